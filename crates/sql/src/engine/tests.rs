use std::sync::Arc;

use rusqlite::types::Value;

use super::*;
use crate::parser::Parser;

/// Variables as a session would have them.
struct Variables;

impl Lookup for Variables {
    fn system(&self, _: Option<&str>, name: &str) -> Result<String> {
        match name {
            "version" => Ok("'8'".to_owned()),
            _ => Err(SqlError::new(1193, name)),
        }
    }

    fn user(&self, _: &str) -> String {
        "NULL".to_owned()
    }

    fn table(&self, schema: Option<&str>, name: &str) -> Result<Shape> {
        if schema.is_none_or(|schema| schema == "mysql") && name == "clone_history" {
            return Ok(HISTORY);
        }
        Err(no_table(&format!("{}.{name}", schema.unwrap_or("mysql"))))
    }
}

const CLONES: &[(&str, &str)] = &[
    ("ID", "int"),
    ("STATE", "char(16)"),
    ("BEGIN_TIME", "timestamp(3)"),
    ("DESTINATION", "varchar(512)"),
    ("END_LSN", "bigint"),
];

const HISTORY: Shape = Shape {
    schema: "mysql",
    name: "clone_history",
    columns: CLONES,
};

fn engine() -> Engine {
    let around = Surroundings {
        user: "u@h".to_owned(),
        connection_id: 9,
        ..Surroundings::default()
    };
    let mut engine = Engine::new(&around).unwrap();
    let row = |id: i64, state: &str, path: &str| {
        let time = format!("2024-06-1{id} 15:05:41.288");
        let texts = [state, &time, path].map(|text| Value::Text(text.to_owned()));
        let mut row = vec![Value::Integer(id)];
        row.extend(texts);
        row.push(Value::Integer(id * 100));
        row
    };
    let rows = vec![
        row(1, "Completed", "/b/full_1"),
        row(2, "Completed", "/b/incr'2"),
        row(3, "Failed", "/b/full%3"),
    ];
    engine.add(HISTORY, rows).unwrap();
    engine
}

fn run(sql: &str) -> Result<ResultSet> {
    let all = Parser::statements(sql)?;
    let query = translated(&all[0], &Variables)?;
    engine().query(&query.sql, &query.kinds, &Arc::default())
}

/// All rows, values separated by `|`, rows by a blank.
fn rows(sql: &str) -> String {
    let result = run(sql).unwrap_or_else(|error| panic!("{sql}\n{error}"));
    let row = |row: Vec<Option<String>>| {
        let cells = row
            .into_iter()
            .map(|cell| cell.unwrap_or_else(|| "NULL".to_owned()));
        cells.collect::<Vec<_>>().join("|")
    };
    result
        .rows
        .into_iter()
        .map(row)
        .collect::<Vec<_>>()
        .join(" ")
}

fn names(sql: &str) -> Vec<String> {
    let columns = run(sql)
        .unwrap_or_else(|error| panic!("{sql}\n{error}"))
        .columns;
    columns.into_iter().map(|column| column.name).collect()
}

#[test]
fn queries_of_the_usual_forms_are_answered() {
    for (sql, expected) in [
        ("SELECT STATE FROM mysql.clone_history WHERE ID=3", "Failed"),
        (
            "select `id` from `mysql`.`clone_history` where state = 'completed' order by id desc",
            "2 1",
        ),
        (
            "SELECT COUNT(*), MAX(END_LSN) FROM mysql.clone_history",
            "3|300",
        ),
        (
            "SELECT ID FROM mysql.clone_history ORDER BY ID DESC LIMIT 1, 1",
            "2",
        ),
        (
            "SELECT h.ID FROM mysql.clone_history AS h WHERE h.ID IN (1, 3) AND NOT h.ID = 1",
            "3",
        ),
        (
            "SELECT STATE, COUNT(*) c FROM mysql.clone_history GROUP BY STATE HAVING c > 1",
            "Completed|2",
        ),
        (
            "SELECT ID FROM mysql.clone_history WHERE BEGIN_TIME > '2024-06-12'",
            "2 3",
        ),
        (
            "SELECT DISTINCT STATE FROM mysql.clone_history UNION SELECT 'x' ORDER BY 1",
            "Completed Failed x",
        ),
        (
            "WITH c AS (SELECT ID FROM mysql.clone_history) SELECT SUM(ID) FROM c",
            "6",
        ),
        (
            "TABLE mysql.clone_history LIMIT 1",
            "1|Completed|2024-06-11 15:05:41.288|/b/full_1|100",
        ),
        ("SELECT 1 FROM DUAL", "1"),
        (
            "SELECT a.ID FROM mysql.clone_history a JOIN mysql.clone_history b USING (ID) WHERE b.ID = 2 FOR UPDATE",
            "2",
        ),
        (
            "SELECT SQL_NO_CACHE 1, @@version, @x, 'a' 'b', \"c\", TRUE, NULL",
            "1|8|NULL|ab|c|1|NULL",
        ),
        (
            "SELECT 7/2, 7 DIV 2, 7 % 4, 7 MOD 4, MOD(7, 4)",
            "3.5000|3|3|3|3",
        ),
        (
            "SELECT 1 && 0, 1 || 0, !0, 1 <=> NULL, 2 <=> 2, 'ab' RLIKE 'B$'",
            "0|1|1|0|1|1",
        ),
        (
            "SELECT CASE WHEN ID > 2 THEN 'big' ELSE 'small' END FROM mysql.clone_history",
            "small small big",
        ),
    ] {
        assert_eq!(rows(sql), expected, "{sql}");
    }
}

#[test]
fn strings_and_patterns_escape_as_in_the_server() {
    for (sql, expected) in [
        (r"SELECT 'it\'s', 'a''b', 'x\\y'", r"it's|a'b|x\y"),
        (
            r"SELECT ID FROM mysql.clone_history WHERE DESTINATION LIKE '%full\_%'",
            "1",
        ),
        (
            r"SELECT ID FROM mysql.clone_history WHERE DESTINATION LIKE '%\%3' AND ID > 0",
            "3",
        ),
        (
            "SELECT ID FROM mysql.clone_history WHERE DESTINATION LIKE '/B/incr\\'%' OR ID = 9",
            "2",
        ),
        (
            "SELECT ID FROM mysql.clone_history WHERE (DESTINATION LIKE '%|_1' ESCAPE '|') ORDER BY ID",
            "1",
        ),
        (
            "SELECT 'a_c' LIKE CONCAT('a', '\\\\', '_c'), 'abc' LIKE CONCAT('a', '\\\\', '_c')",
            "1|0",
        ),
        (
            "SELECT 'A' = 'a' COLLATE utf8mb4_bin, 'A' = 'a' COLLATE utf8mb4_0900_ai_ci",
            "0|1",
        ),
        ("SELECT _utf8mb4'x', N'y'", "x|y"),
    ] {
        assert_eq!(rows(sql), expected, "{sql}");
    }
}

#[test]
fn functions_of_the_server_work() {
    for (sql, expected) in [
        (
            "SELECT USER(), CURRENT_USER, CURRENT_USER(), CONNECTION_ID(), DATABASE()",
            "u@h|u@h|u@h|9|NULL",
        ),
        (
            "SELECT IF(1 > 2, 'a', 'b'), IFNULL(NULL, 3), COALESCE(NULL, 4), GREATEST(1, 5), LEAST(2, 3)",
            "b|3|4|5|2",
        ),
        (
            "SELECT LEFT('abc', 2), RIGHT('abc', 2), MID('abcd', 2, 2), UCASE('x'), LENGTH('ü'), CHAR_LENGTH('ü')",
            "ab|bc|bc|X|2|1",
        ),
        (
            "SELECT LPAD('7', 3, '0'), SUBSTRING_INDEX('/a/b', '/', -1), LOCATE('b', 'abc')",
            "007|b|2",
        ),
        (
            "SELECT TIMESTAMPDIFF(SECOND, '2024-06-10 10:00:00', '2024-06-10 10:01:01.5')",
            "61",
        ),
        (
            "SELECT DATE_FORMAT('2024-06-10 01:02:03', '%Y/%c/%e %H')",
            "2024/6/10 01",
        ),
        (
            "SELECT '2024-06-10 00:00:00' - INTERVAL 1 DAY, '2024-06-10' + INTERVAL 1 MONTH",
            "2024-06-09 00:00:00|2024-07-10",
        ),
        (
            "SELECT DATE_SUB('2024-06-10', INTERVAL 2 DAY), DATE_ADD('2024-06-10', INTERVAL '1' HOUR)",
            "2024-06-08|2024-06-10 01:00:00",
        ),
        (
            "SELECT COUNT(*) FROM mysql.clone_history h WHERE h.BEGIN_TIME < NOW() - INTERVAL 1 WEEK",
            "3",
        ),
        (
            "SELECT FLOOR(1.7), CEIL(1.2), ROUND(2.5), TRUNCATE(1.999, 1)",
            "1|2|3|1.9",
        ),
        (
            "SELECT GROUP_CONCAT(ID SEPARATOR '-') FROM mysql.clone_history",
            "1-2-3",
        ),
        ("SELECT CAST('12' AS UNSIGNED) + 1, CAST(5 AS CHAR)", "13|5"),
        (
            "SELECT ROW_NUMBER() OVER (ORDER BY ID DESC) FROM mysql.clone_history LIMIT 1",
            "1",
        ),
    ] {
        assert_eq!(rows(sql), expected, "{sql}");
    }
}

#[test]
fn columns_are_named_as_they_were_written() {
    for (sql, expected) in [
        (
            "SELECT id, Id, mysql.clone_history.end_lsn FROM mysql.clone_history",
            vec!["id", "Id", "end_lsn"],
        ),
        (
            "SELECT COUNT( * ), 1+1,'x' FROM mysql.clone_history",
            vec!["COUNT( * )", "1+1", "x"],
        ),
        (
            "SELECT ID AS a, ID b, ID `c d`, ID 'e', max(ID) AS `f` FROM mysql.clone_history",
            vec!["a", "b", "c d", "e", "f"],
        ),
        (
            "SELECT * FROM mysql.clone_history",
            vec!["ID", "STATE", "BEGIN_TIME", "DESTINATION", "END_LSN"],
        ),
        (
            "SELECT h.*, ID FROM mysql.clone_history h",
            vec!["ID", "STATE", "BEGIN_TIME", "DESTINATION", "END_LSN", "ID"],
        ),
        (
            "SELECT DISTINCT CASE ID WHEN 1 THEN 2 END, CAST(ID AS CHAR) FROM mysql.clone_history",
            vec!["CASE ID WHEN 1 THEN 2 END", "CAST(ID AS CHAR)"],
        ),
        ("select @@version limit 1", vec!["@@version"]),
        (
            "WITH c (x) AS (SELECT 1 y) SELECT (SELECT x FROM c) , x FROM c",
            vec!["(SELECT x FROM c)", "x"],
        ),
        (
            "SELECT ID FROM mysql.clone_history UNION SELECT 5 AS five",
            vec!["ID"],
        ),
        (
            "SELECT NULL, CURRENT_USER, ID IS NULL FROM mysql.clone_history",
            vec!["NULL", "CURRENT_USER", "ID IS NULL"],
        ),
    ] {
        assert_eq!(names(sql), expected, "{sql}");
    }
}

#[test]
fn columns_have_the_types_of_the_tables_and_expressions_those_of_their_values() {
    let types = |sql: &str| -> Vec<ColumnType> {
        run(sql)
            .unwrap()
            .columns
            .into_iter()
            .map(|column| column.kind)
            .collect()
    };
    assert_eq!(
        types("SELECT * FROM mysql.clone_history"),
        [
            ColumnType::Int,
            ColumnType::Char(16),
            ColumnType::Timestamp(3),
            ColumnType::VarChar(512),
            ColumnType::BigInt
        ]
    );
    assert_eq!(
        types("SELECT 1, 1.5, 'x', NULL, COUNT(*) FROM mysql.clone_history"),
        [
            ColumnType::BigInt,
            ColumnType::Decimal(1),
            ColumnType::Text,
            ColumnType::Null,
            ColumnType::BigInt
        ]
    );
}

#[test]
fn mistakes_have_the_numbers_of_the_server() {
    for (sql, code) in [
        ("SELECT * FROM mysql.nothing", 1146),
        ("SELECT * FROM test.t", 1049),
        ("SELECT nothing FROM mysql.clone_history", 1054),
        (
            "SELECT \"ID\" FROM mysql.clone_history WHERE `nothing` = 1",
            1054,
        ),
        (
            "SELECT ID FROM mysql.clone_history a, mysql.clone_history b",
            1052,
        ),
        ("SELECT nothing(1)", 1305),
        ("SELECT load_extension('x')", 1305),
        ("SELECT randomblob(1000000000)", 1305),
        ("SELECT LEFT('x')", 1582),
        ("SELECT @@nothing", 1193),
        ("SELECT", 1064),
        ("SELECT FROM", 1064),
        ("SELECT $$", 1064),
        ("SELECT 1 FROM mysql.clone_history WHERE", 1064),
        ("SELECT 1 UNION SELECT 1, 2", 1222),
        (
            "SELECT * FROM mysql.clone_history INTO OUTFILE '/tmp/x'",
            1235,
        ),
        ("SELECT (1, 2) = (1, 2)", 1235),
        ("SELECT SHA2('a', 256)", 1235),
        ("SELECT 1 GROUP BY 1 WITH ROLLUP", 1235),
        ("SELECT 1 < ALL (SELECT 2)", 1235),
        ("SELECT 9223372036854775807 + 1", 1690),
    ] {
        let error = run(sql).unwrap_err();
        assert_eq!(error.code, code, "{sql}\n{error}");
    }
}

#[test]
fn a_query_reads_its_tables_and_nothing_else() {
    for sql in [
        "SELECT * FROM sqlite_master",
        "SELECT * FROM mysql.sqlite_schema",
        "SELECT * FROM pragma_database_list",
        "SELECT * FROM json_each('[1]')",
        "SELECT * FROM sqlite_temp_schema",
    ] {
        let error = run(sql).unwrap_err();
        assert!(
            [1046, 1049, 1064, 1142, 1146].contains(&error.code),
            "{sql}\n{error}"
        );
    }
    for sql in [
        "DELETE FROM mysql.clone_history",
        "PRAGMA database_list",
        "ATTACH '/tmp/x' AS x",
        "CREATE TABLE x (a)",
        "VACUUM INTO '/tmp/x'",
    ] {
        assert!(engine().query(sql, &[], &Arc::default()).is_err(), "{sql}");
    }
}

#[test]
fn what_takes_for_ever_is_ended() {
    let from = vec!["mysql.clone_history"; 20];
    let from: Vec<String> = from
        .iter()
        .enumerate()
        .map(|(at, t)| format!("{t} t{at}"))
        .collect();
    let sql = format!("SELECT COUNT(*) FROM {}", from.join(", "));
    assert_eq!(run(&sql).unwrap_err().code, 3024);
    let cancelled = Arc::new(AtomicBool::new(true));
    let all = Parser::statements(&sql).unwrap();
    let query = translated(&all[0], &Variables).unwrap();
    let error = engine().query(&query.sql, &[], &cancelled).unwrap_err();
    assert_eq!((error.code, error.sqlstate.as_str()), (1317, "70100"));
}
