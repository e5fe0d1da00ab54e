//! Random DDL: everything that makes, moves, replaces or removes a tablespace file.

use std::collections::VecDeque;

use super::Source;
use crate::client::quote_name;
use crate::random::Random;
use crate::{Result, Server};

const SCHEMAS: &[&str] = &["churn_a", "churn_b", "churn c#"];

/// A schema that comes and goes.
const PASSING: &str = "churn_passing";

const TABLES: &[&str] = &[
    "t0", "t1", "t2", "t3", "t4", "t5", "t#6", "t 7", "Tab8", "tä9", "parts10", "parts11",
];

/// The schemas, and a table of rows for new tables to copy.
pub(super) fn create(server: &Server) -> Result<()> {
    let mut script = String::from(
        "CREATE SCHEMA IF NOT EXISTS churn_seed;\n\
         CREATE TABLE IF NOT EXISTS churn_seed.rows_to_copy (id INT PRIMARY KEY, a INT, b VARCHAR(200));\n\
         SET SESSION cte_max_recursion_depth = 10000;\n\
         INSERT IGNORE INTO churn_seed.rows_to_copy WITH RECURSIVE n (i) AS \
           (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT i, i % 100, REPEAT(SHA2(i, 256), 2) FROM n;\n",
    );
    for schema in SCHEMAS {
        script += &format!("CREATE SCHEMA IF NOT EXISTS {};\n", quote_name(schema));
    }
    server.sql(&script).map(drop)
}

/// Chooses the next statement. Many fail, because what they name is not there: that is cheap, and
/// needs no book-keeping that a crash or a backup lock would make wrong.
#[derive(Debug)]
pub(super) struct Statements {
    random: Random,
    /// Statements that belong together, to be run before a new choice.
    queue: VecDeque<String>,
}

impl Statements {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            queue: VecDeque::new(),
        }
    }

    fn table(&mut self) -> String {
        let schema = quote_name(self.random.pick(SCHEMAS));
        let table = quote_name(self.random.pick(TABLES));
        format!("{schema}.{table}")
    }

    fn general(&mut self) -> String {
        quote_name(self.random.pick(&["churn_g1", "churn_g2", "churn g#3"]))
    }

    /// `CREATE TABLE`, then rows.
    fn create_table(&mut self) -> String {
        let table = self.table();
        let limit = 1 + self.random.below(2000);
        self.queue.push_back(format!(
            "INSERT INTO {table} (a, b) SELECT a, b FROM churn_seed.rows_to_copy LIMIT {limit}"
        ));
        let options = match self.random.below(9) {
            0 => "ROW_FORMAT=COMPACT".to_owned(),
            1 => "ROW_FORMAT=REDUNDANT".to_owned(),
            2 => "ROW_FORMAT=COMPRESSED".to_owned(),
            3 => "COMPRESSION='zlib'".to_owned(),
            4 => format!("TABLESPACE={}", self.general()),
            5 => "PARTITION BY HASH (id) PARTITIONS 3".to_owned(),
            6 => "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (500), \
                  PARTITION p1 VALUES LESS THAN (1000), PARTITION pmax VALUES LESS THAN MAXVALUE)"
                .to_owned(),
            _ => String::new(),
        };
        format!(
            "CREATE TABLE {table} (id INT AUTO_INCREMENT PRIMARY KEY, a INT, b VARCHAR(200), KEY (a)) {options}"
        )
    }

    fn rename(&mut self) -> String {
        let (one, two, three) = (self.table(), self.table(), self.table());
        let spare = "churn_a.`in between`";
        match self.random.below(4) {
            // Possibly into another schema.
            0 => format!("RENAME TABLE {one} TO {two}"),
            1 | 2 => format!("RENAME TABLE {one} TO {spare}, {two} TO {one}, {spare} TO {two}"),
            _ => format!(
                "RENAME TABLE {one} TO {spare}, {two} TO {one}, {three} TO {two}, {spare} TO {three}"
            ),
        }
    }

    fn alter(&mut self) -> String {
        let table = self.table();
        let number = self.random.below(2);
        let change = match self.random.below(14) {
            0 | 1 => "FORCE".to_owned(),
            2 => "ENGINE=InnoDB, ALGORITHM=COPY".to_owned(),
            3 => format!("ADD INDEX i{number} (b(30), a)"),
            4 => format!("DROP INDEX i{number}"),
            5 | 6 => format!("ADD COLUMN c{number} VARCHAR(20) DEFAULT 'new', ALGORITHM=INSTANT"),
            7 => format!("DROP COLUMN c{number}, ALGORITHM=INSTANT"),
            8 => "ROW_FORMAT=COMPRESSED".to_owned(),
            9 => "ROW_FORMAT=DYNAMIC, TABLESPACE=innodb_file_per_table".to_owned(),
            10 => format!("TABLESPACE={}", self.general()),
            11 => "ADD FULLTEXT INDEX ft (b)".to_owned(),
            12 => "DROP INDEX ft".to_owned(),
            _ => "MODIFY b VARCHAR(300)".to_owned(),
        };
        format!("ALTER TABLE {table} {change}")
    }

    fn partition(&mut self) -> String {
        let table = format!(
            "{}.{}",
            quote_name(self.random.pick(SCHEMAS)),
            self.random.pick(&["parts10", "parts11", "t0"])
        );
        let number = self.random.below(3);
        match self.random.below(9) {
            0 => format!(
                "ALTER TABLE {table} PARTITION BY HASH (id) PARTITIONS {}",
                2 + number
            ),
            1 => format!(
                "ALTER TABLE {table} PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (500), \
                 PARTITION p1 VALUES LESS THAN (1000), PARTITION pmax VALUES LESS THAN MAXVALUE)"
            ),
            2 => format!("ALTER TABLE {table} ADD PARTITION PARTITIONS 1"),
            3 => format!("ALTER TABLE {table} COALESCE PARTITION 1"),
            4 => format!("ALTER TABLE {table} DROP PARTITION p{number}"),
            5 => format!("ALTER TABLE {table} TRUNCATE PARTITION p{number}"),
            6 => format!(
                "ALTER TABLE {table} REORGANIZE PARTITION pmax INTO \
                 (PARTITION p2 VALUES LESS THAN (1500), PARTITION pmax VALUES LESS THAN MAXVALUE)"
            ),
            7 => self.exchange(&table),
            _ => format!("ALTER TABLE {table} REMOVE PARTITIONING"),
        }
    }

    fn schema(&mut self) -> String {
        if self.random.one_in(2) {
            self.queue.push_back(format!(
                "CREATE TABLE {PASSING}.t AS SELECT * FROM churn_seed.rows_to_copy"
            ));
            format!("CREATE SCHEMA {PASSING}")
        } else {
            format!("DROP SCHEMA {PASSING}")
        }
    }

    fn tablespace(&mut self) -> String {
        let name = self.general();
        let number = self.random.below(6);
        match self.random.below(6) {
            0..=2 => format!("CREATE TABLESPACE {name} ADD DATAFILE 'churn_{number}.ibd'"),
            3 => format!("DROP TABLESPACE {name}"),
            4 => format!("ALTER TABLESPACE {name} RENAME TO churn_aside"),
            _ => format!("ALTER TABLESPACE churn_aside RENAME TO {name}"),
        }
    }

    /// Two files swap their places, each keeps its space id.
    fn exchange(&mut self, table: &str) -> String {
        const SPARE: &str = "churn_b.exchanged";
        self.queue.extend([
            format!("CREATE TABLE {SPARE} LIKE {table}"),
            format!("ALTER TABLE {SPARE} REMOVE PARTITIONING"),
            format!(
                "ALTER TABLE {table} EXCHANGE PARTITION p0 WITH TABLE {SPARE} WITHOUT VALIDATION"
            ),
        ]);
        format!("DROP TABLE IF EXISTS {SPARE}")
    }

    fn undo(&mut self) -> String {
        let name = format!("churn_undo_{}", self.random.below(2));
        match self.random.below(5) {
            0 => format!("CREATE UNDO TABLESPACE {name} ADD DATAFILE '{name}.ibu'"),
            1 => format!("ALTER UNDO TABLESPACE {name} SET INACTIVE"),
            2 => format!("DROP UNDO TABLESPACE {name}"),
            // Inactive undo tablespaces are truncated: a new space id in the same file.
            3 => "ALTER UNDO TABLESPACE innodb_undo_002 SET INACTIVE".to_owned(),
            _ => "ALTER UNDO TABLESPACE innodb_undo_002 SET ACTIVE".to_owned(),
        }
    }

    fn rows(&mut self) -> String {
        let table = self.table();
        let low = self.random.below(2000);
        match self.random.below(3) {
            0 => format!(
                "DELETE FROM {table} WHERE id BETWEEN {low} AND {}",
                low + 200
            ),
            1 => format!("UPDATE {table} SET b = REVERSE(b) WHERE a = {}", low % 100),
            _ => format!(
                "INSERT INTO {table} (a, b) SELECT a, b FROM churn_seed.rows_to_copy WHERE id > {low}"
            ),
        }
    }
}

impl Source for Statements {
    fn next(&mut self) -> String {
        if let Some(next) = self.queue.pop_front() {
            return next;
        }
        match self.random.below(100) {
            0..22 => self.create_table(),
            22..30 => format!("DROP TABLE {}", self.table()),
            30..36 => format!("TRUNCATE TABLE {}", self.table()),
            36..50 => self.rename(),
            50..70 => self.alter(),
            70..78 => self.partition(),
            78..82 => self.schema(),
            82..88 => self.tablespace(),
            88..92 => self.undo(),
            92..94 => format!("ALTER TABLE {} ENCRYPTION='N'", self.table()),
            _ => self.rows(),
        }
    }
}
