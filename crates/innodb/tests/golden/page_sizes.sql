-- With innodb_page_size KIB KiB. Compressed tables exist up to 16 KiB; the client goes on after refusals.
CREATE DATABASE g;
USE g;
CREATE TABLE dynamic (id INT PRIMARY KEY, filler VARCHAR(300));
INSERT INTO dynamic VALUES (1, 'KIB'), (2, 'KIB');
CREATE TABLE lz4 (id INT PRIMARY KEY, filler VARCHAR(300)) COMPRESSION='lz4';
INSERT INTO lz4 SELECT * FROM dynamic;
CREATE TABLE sealed (id INT PRIMARY KEY, filler VARCHAR(300)) ENCRYPTION='Y';
CREATE TABLE zip1 (id INT PRIMARY KEY, filler VARCHAR(300)) ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=1;
INSERT INTO zip1 SELECT * FROM dynamic;
