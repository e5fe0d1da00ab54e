//! Transactions that keep invariants.
//!
//! Each is a stored procedure: a failure in the middle (deadlock, lock wait timeout) rolls all of
//! it back, which a client that merely sends statements could not promise.

use std::fmt::Write;

use anyhow::ensure;

use super::Source;
use crate::random::Random;
use crate::{Result, Server};

const ACCOUNTS: u64 = 2000;
const COUNTERS: u64 = 16;

/// Schema, tables and procedures. Existing ones are kept, with what they contain.
pub(super) fn create(server: &Server) -> Result<()> {
    let mut script = String::from(TABLES);
    script.push_str("DELIMITER //\n");
    for (name, parameters, body) in PROCEDURES {
        let _ = writeln!(
            script,
            "CREATE PROCEDURE IF NOT EXISTS load.{name}({parameters})\nBEGIN\n  \
               DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;\n  \
               START TRANSACTION;\n  {body}\n  COMMIT;\nEND//"
        );
    }
    script = script.replace("load.", "`load`.");
    server.sql(&script).map(drop)
}

const TABLES: &str = "
CREATE SCHEMA IF NOT EXISTS `load`;
CREATE TABLE IF NOT EXISTS load.accounts (
  id INT PRIMARY KEY, balance BIGINT NOT NULL, note VARCHAR(200) NOT NULL DEFAULT '', KEY (balance));
INSERT IGNORE INTO load.accounts (id, balance)
  WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
  SELECT a.i + 1000 * b.i, 0 FROM n a, n b WHERE b.i < 2;
CREATE TABLE IF NOT EXISTS load.counters (id INT PRIMARY KEY, entries BIGINT NOT NULL);
INSERT IGNORE INTO load.counters
  WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 15) SELECT i, 0 FROM n;
CREATE TABLE IF NOT EXISTS load.journal (
  id BIGINT PRIMARY KEY AUTO_INCREMENT, debit INT NOT NULL, credit INT NOT NULL, amount BIGINT NOT NULL,
  at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), KEY (debit), KEY (credit));
CREATE TABLE IF NOT EXISTS load.orders (
  id BIGINT PRIMARY KEY, lines_count INT NOT NULL, total BIGINT NOT NULL, memo TEXT);
CREATE TABLE IF NOT EXISTS load.order_lines (
  order_id BIGINT, line INT, price BIGINT NOT NULL, text VARCHAR(100), PRIMARY KEY (order_id, line), KEY (price))
  PARTITION BY HASH (order_id) PARTITIONS 3;
CREATE TABLE IF NOT EXISTS load.documents (
  id INT PRIMARY KEY, body MEDIUMTEXT, doc JSON, size INT AS (LENGTH(body)) VIRTUAL, KEY (size));
CREATE TABLE IF NOT EXISTS load.zipped (
  id INT PRIMARY KEY, body VARCHAR(3000), KEY (body(50))) ROW_FORMAT=DYNAMIC;
";

/// Name, parameters, body between START TRANSACTION and COMMIT.
const PROCEDURES: &[(&str, &str, &str)] = &[
    (
        "transfer",
        "one INT, two INT, amount BIGINT, counter INT",
        "UPDATE load.accounts SET balance = balance - amount, note = SHA2(amount, 256) WHERE id = one;
  UPDATE load.accounts SET balance = balance + amount, note = REPEAT('x', amount % 200) WHERE id = two;
  INSERT INTO load.journal (debit, credit, amount) VALUES (one, two, amount);
  UPDATE load.counters SET entries = entries + 1 WHERE id = counter;",
    ),
    (
        "forget",
        "counter INT, wanted INT",
        "DELETE FROM load.journal ORDER BY id LIMIT wanted;
  UPDATE load.counters SET entries = entries - ROW_COUNT() WHERE id = counter;",
    ),
    (
        "order_goods",
        "number BIGINT, line_count INT",
        "REPLACE INTO load.orders VALUES (number, 0, 0, REPEAT(SHA2(number, 512), line_count));
  DELETE FROM load.order_lines WHERE order_id = number;
  INSERT INTO load.order_lines
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < line_count)
    SELECT number, i, i * (number % 97), SHA2(i + number, 256) FROM n;
  UPDATE load.orders SET lines_count = (SELECT COUNT(*) FROM load.order_lines WHERE order_id = number),
    total = (SELECT SUM(price) FROM load.order_lines WHERE order_id = number) WHERE id = number;",
    ),
    (
        "cancel",
        "low BIGINT, high BIGINT",
        "DELETE FROM load.order_lines WHERE order_id BETWEEN low AND high;
  DELETE FROM load.orders WHERE id BETWEEN low AND high;",
    ),
    (
        "write_document",
        "number INT, length INT",
        "REPLACE INTO load.documents (id, body, doc)
    VALUES (number, REPEAT(SHA2(RAND(number), 512), length), JSON_OBJECT('n', number, 'l', length));
  REPLACE INTO load.zipped VALUES (number, REPEAT(SHA2(RAND(length), 256), 1 + length % 40));",
    ),
    (
        "edit_document",
        "number INT",
        "UPDATE load.documents SET doc = JSON_SET(doc, '$.edited', NOW(6)), body = CONCAT(LEFT(body, 5000), number)
    WHERE id = number;
  DELETE FROM load.zipped WHERE id = number;",
    ),
    // A transaction that leaves undo work only.
    (
        "change_mind",
        "one INT",
        "UPDATE load.accounts SET balance = balance + 1 WHERE id BETWEEN one AND one + 20;
  INSERT INTO load.journal (debit, credit, amount) SELECT id, id, 0 FROM load.accounts WHERE id BETWEEN one AND one + 20;
  ROLLBACK;",
    ),
];

/// Chooses the next transaction.
#[derive(Debug)]
pub(super) struct Statements(Random);

impl Statements {
    pub(super) fn new(seed: u64) -> Self {
        Self(Random::new(seed))
    }
}

impl Source for Statements {
    fn next(&mut self) -> String {
        let random = &mut self.0;
        let account = random.below(ACCOUNTS);
        let counter = random.below(COUNTERS);
        match random.below(100) {
            0..50 => {
                let other = (account + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
                let amount = random.below(1000);
                format!("CALL `load`.transfer({account}, {other}, {amount}, {counter})")
            }
            50..55 => format!("CALL `load`.forget({counter}, {})", random.below(8)),
            55..75 => {
                format!(
                    "CALL `load`.order_goods({}, {})",
                    random.below(20_000),
                    1 + random.below(12)
                )
            }
            75..80 => {
                let low = random.below(20_000);
                format!("CALL `load`.cancel({low}, {})", low + random.below(40))
            }
            80..90 => {
                // Mostly small, sometimes large objects of up to 128 KB.
                let length = if random.one_in(5) {
                    random.below(1000)
                } else {
                    random.below(20)
                };
                format!(
                    "CALL `load`.write_document({}, {length})",
                    random.below(1000)
                )
            }
            90..97 => format!("CALL `load`.edit_document({})", random.below(1000)),
            _ => format!("CALL `load`.change_mind({account})"),
        }
    }
}

pub(super) fn check(server: &Server) -> Result<()> {
    let balances = server.query_value("SELECT SUM(balance) FROM `load`.accounts")?;
    ensure!(balances == "0", "the balances sum up to {balances}, not 0");
    let entries = server.sql_rows(
        "SELECT (SELECT COUNT(*) FROM `load`.journal), (SELECT SUM(entries) FROM `load`.counters)",
    )?;
    ensure!(
        matches!(entries.as_slice(), [row] if row.len() == 2 && row[0] == row[1]),
        "journal entries and counters differ: {entries:?}"
    );
    let orders = server.sql_rows(
        "SELECT id, lines_count, total, COUNT(line), SUM(price) FROM `load`.orders \
         LEFT JOIN `load`.order_lines ON order_id = id GROUP BY id \
         HAVING lines_count <> COUNT(line) OR total <> SUM(price) LIMIT 5",
    )?;
    ensure!(
        orders.is_empty(),
        "orders and their lines differ: {orders:?}"
    );
    let orphans = server.query_value(
        "SELECT COUNT(*) FROM `load`.order_lines LEFT JOIN `load`.orders ON order_id = id WHERE id IS NULL",
    )?;
    ensure!(orphans == "0", "{orphans} order lines have no order");
    Ok(())
}
