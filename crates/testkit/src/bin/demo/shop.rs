//! The tables whose definition changes between the backups.

/// Before the full backup.
pub(crate) const OPENING: &str = "
CREATE SCHEMA shop;
CREATE TABLE shop.prices (id INT PRIMARY KEY, name VARCHAR(60) NOT NULL, price DECIMAL(9,2) NOT NULL);
CREATE TABLE shop.cart (id INT PRIMARY KEY, product INT NOT NULL, customer VARCHAR(60));
CREATE TABLE shop.leftover (id INT PRIMARY KEY, body TEXT);
SET SESSION cte_max_recursion_depth = 100000;
INSERT INTO shop.prices WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
  SELECT i, CONCAT('product ', i), i % 500 + 0.99 FROM n;
INSERT INTO shop.cart SELECT id, id % 97, SHA2(id, 224) FROM shop.prices;
INSERT INTO shop.leftover SELECT id, REPEAT(SHA2(id, 256), 5) FROM shop.prices;
";

/// Between the full backup and the first increment: statement, and why it is interesting.
pub(crate) const FIRST_CHANGES: &[(&str, &str)] = &[
    (
        "CREATE TABLE shop.prices_new LIKE shop.prices",
        "a new table",
    ),
    (
        "INSERT INTO shop.prices_new SELECT id, name, price * 1.1 FROM shop.prices",
        "with data",
    ),
    (
        "RENAME TABLE shop.prices TO shop.prices_old, shop.prices_new TO shop.prices",
        "takes the name of an old one",
    ),
    ("TRUNCATE TABLE shop.cart", "same name, new file"),
    ("DROP TABLE shop.leftover", "gone"),
];

/// Between the two increments.
pub(crate) const SECOND_CHANGES: &[(&str, &str)] = &[
    (
        "ALTER TABLE shop.prices ADD COLUMN currency CHAR(3) NOT NULL DEFAULT 'EUR', ALGORITHM=INSTANT",
        "nothing is copied",
    ),
    (
        "ALTER TABLE shop.prices_old ADD INDEX by_price (price), ALGORITHM=INPLACE",
        "pages without redo",
    ),
    ("CREATE SCHEMA archive", "a new directory"),
    (
        "RENAME TABLE shop.prices_old TO archive.prices",
        "a file moves into it",
    ),
    (
        "INSERT INTO shop.cart VALUES (1, 2, 'somebody')",
        "into the truncated table",
    ),
    (
        "OPTIMIZE TABLE sbtest.sbtest2",
        "rebuilt: every page is new",
    ),
];
