//! The fuzz target's body on stable Rust: statements put together and damaged, the same in every
//! run.

mod fuzz_bodies;

use testkit::Random;

const STATEMENTS: [&str; 16] = [
    "CLONE LOCAL DATA DIRECTORY = '/nonexistent/a' ENABLE PAGE TRACK START_LSN = 5",
    "CLONE LOCAL DATA DIRECTORY '/nonexistent/a' INCREMENT BASED DIRECTORY = '/b' ENABLE PAGE TRACK",
    "CLONE INSTANCE FROM u@h.x:3306 IDENTIFIED BY 'hunter2' DATA DIRECTORY = '/a' REQUIRE NO SSL ENABLE PAGE TRACK",
    "SET GLOBAL clone_file_compress = CLONE_FILE_COMPRESS_ZSTD, @@session.a := concat(@@sql_mode, 'x'), @v = 1 + 2",
    "SET PERSIST clone_valid_donor_list = 'a:1,b:2'",
    "RESET PERSIST IF EXISTS clone_ddl_timeout",
    "SHOW GLOBAL VARIABLES LIKE 'clone\\_%'",
    "SHOW VARIABLES WHERE Variable_name LIKE '%x' OR Value > 5",
    "SHOW FULL COLUMNS FROM performance_schema.clone_status LIKE 'B%'",
    "SELECT h.ID, COUNT(*) n, `STATE`, NOW() - INTERVAL 1 DAY FROM mysql.clone_history AS h WHERE STATE LIKE 'a\\%' GROUP BY 1 ORDER BY 2 DESC LIMIT 1, 2",
    "WITH c AS (SELECT 1 x) SELECT CASE x WHEN 1 THEN IF(x, 'a' 'b', NULL) END, DATE_SUB('2024-01-01', INTERVAL 2 MONTH) FROM c /*! UNION */ SELECT 1, 2",
    "SELECT 7 DIV 2 && !1 <=> NULL, 'é' RLIKE '^.$', @@global.clone_ddl_timeout, @v, 0x1F, .5e3, \"q\"",
    "SELECT mysqlbackup_page_track_purge_up_to(-9223372036854775807) AS x",
    "INSTALL COMPONENT \"file://component_mysqlbackup\", 'x'",
    "KILL QUERY 11; -- comment\n# another\n/* third */",
    "SELECT LPAD('x', 99999999, 'y'), SUBSTRING_INDEX('a/b', '/', -1), TRUNCATE(1e308, -400), DATE_FORMAT(NOW(), '%')",
];

/// What can be put into itself, or behind itself, for ever.
const REPEATED: [(&str, &str, &str); 16] = [
    ("SELECT ", "(", "1"),
    ("SELECT ", "NOT ", "1"),
    ("SELECT ", "- ", "1"),
    ("SELECT ", "~", "1"),
    ("SELECT ", "IF(1,", "2"),
    ("SELECT ", "(SELECT ", "1"),
    ("SELECT ", "CASE WHEN ", "1"),
    ("SELECT ", "1 IN (", "1"),
    ("SELECT ", "INTERVAL (", "1"),
    ("SELECT * FROM ", "(", "mysql.clone_history"),
    ("SELECT * FROM ", "(SELECT * FROM ", "mysql.clone_history"),
    ("", "WITH a AS (", "SELECT 1"),
    ("", "(", "SELECT 1"),
    ("SELECT 1", " + 1", ""),
    ("SELECT 1", " OR 1", ""),
    ("SELECT 1", " UNION SELECT 1", ""),
];

const PIECES: [&str; 22] = [
    "'",
    "\"",
    "`",
    "\\",
    "(",
    ")",
    ",",
    ";",
    "@",
    "@@",
    ":",
    "--",
    "/*",
    "*/",
    "LIKE",
    "INTERVAL",
    "FROM",
    "SELECT",
    "AS",
    "hunter2",
    "é",
    "18446744073709551616",
];

#[test]
fn statements_are_answered_or_refused_and_never_panic() {
    damaged();
    endless();
    fuzz_bodies::clean();
}

/// What nests deep or is long is bounded in stack, memory and time.
fn endless() {
    for (head, repeated, tail) in REPEATED {
        for count in [1, 40, 60, 1000, 100_000] {
            let open = format!("{head}{}{tail}", repeated.repeat(count));
            fuzz_bodies::statement(open.as_bytes());
            let closed = open.clone() + &")".repeat(count);
            fuzz_bodies::statement(closed.as_bytes());
        }
    }
    let long = format!("SELECT '{}', {}", "x".repeat(1 << 22), "9".repeat(1 << 16));
    fuzz_bodies::statement(long.as_bytes());
    let list = format!("SELECT 1 IN ({}1)", "1,".repeat(50_000));
    fuzz_bodies::statement(list.as_bytes());
}

fn damaged() {
    let mut random = Random::new(0x9E37_79B9_7F4A_7C15);
    let queries = include_str!("queries.sql").lines();
    let queries = queries.filter(|line| !line.starts_with("--"));
    let all = STATEMENTS.iter().map(|statement| (*statement, 1500));
    for (statement, rounds) in all.chain(queries.map(|query| (query, 100))) {
        fuzz_bodies::statement(statement.as_bytes());
        for _ in 0..rounds {
            let mut text: Vec<char> = statement.chars().collect();
            for _ in 0..=random.index(3) {
                let at = random.index(text.len());
                match random.index(5) {
                    0 => text.truncate(at),
                    1 if !text.is_empty() => drop(text.remove(at)),
                    2 => {
                        let piece = PIECES[random.index(PIECES.len())];
                        text.splice(at..at, piece.chars());
                    }
                    3 => {
                        let other = STATEMENTS[random.index(STATEMENTS.len())];
                        let words: Vec<&str> = other.split(' ').collect();
                        let word = format!(" {} ", words[random.index(words.len())]);
                        text.splice(at..at, word.chars());
                    }
                    _ => {
                        let end = at + random.index(text.len() - at + 1);
                        text.drain(at..end);
                    }
                }
            }
            let text: String = text.into_iter().collect();
            fuzz_bodies::statement(text.as_bytes());
        }
    }
}
