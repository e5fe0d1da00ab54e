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
fn damaged_statements_are_errors_and_not_panics() {
    let mut random = Random::new(0x9E37_79B9_7F4A_7C15);
    for statement in STATEMENTS {
        fuzz_bodies::statement(statement.as_bytes());
        for _ in 0..1500 {
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
    fuzz_bodies::clean();
}
