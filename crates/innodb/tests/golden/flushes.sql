-- More pages than the 8 MiB buffer pool holds, so that thousands of them are flushed.
CREATE DATABASE IF NOT EXISTS f;
USE f;
SET SESSION cte_max_recursion_depth = 100000;
DROP TABLE IF EXISTS flushed;
CREATE TABLE flushed (id INT PRIMARY KEY, filler VARCHAR(2000));
INSERT INTO flushed WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    SELECT i, REPEAT('f', 1800) FROM n;
FLUSH TABLES flushed FOR EXPORT;
UNLOCK TABLES;
