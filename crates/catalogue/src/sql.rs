//! All SQL of the catalogue.
//!
//! Text columns compare without regard to case (`STATE = 'completed'` finds rows, as with the
//! server's default collation); where the catalogue itself compares paths it asks for `BINARY`.

/// `PRAGMA application_id` of a catalogue ("InCl").
pub(crate) const APPLICATION_ID: i64 = 0x496e_436c;

/// `PRAGMA user_version` this code reads and writes.
pub(crate) const SCHEMA_VERSION: i64 = 1;

/// The schema, version 1. `INTEGER PRIMARY KEY AUTOINCREMENT` is the only spelling SQLite takes for
/// an `int AUTO_INCREMENT` key, so a face that maps declared types takes `INTEGER` for `int`.
pub(crate) const CREATE_SCHEMA: &str = "
CREATE TABLE clone_history (
  ID INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  PID int DEFAULT 0,
  CLONE_TYPE varchar(50) COLLATE NOCASE DEFAULT NULL,
  STATE char(16) COLLATE NOCASE DEFAULT NULL,
  BEGIN_TIME timestamp(3) NULL DEFAULT NULL,
  END_TIME timestamp(3) NULL DEFAULT NULL,
  SOURCE varchar(512) COLLATE NOCASE DEFAULT NULL,
  DESTINATION varchar(512) COLLATE NOCASE DEFAULT NULL,
  ERROR_NO int DEFAULT NULL,
  ERROR_MESSAGE varchar(512) COLLATE NOCASE DEFAULT NULL,
  BINLOG_FILE varchar(512) COLLATE NOCASE DEFAULT NULL,
  BINLOG_POSITION bigint DEFAULT NULL,
  GTID_EXECUTED varchar(4096) COLLATE NOCASE DEFAULT NULL,
  START_LSN bigint DEFAULT NULL,
  PAGE_TRACK_LSN bigint DEFAULT NULL,
  END_LSN bigint DEFAULT NULL
);
CREATE TABLE bookkeeping (
  ID INTEGER PRIMARY KEY NOT NULL REFERENCES clone_history (ID) ON DELETE CASCADE,
  set_id TEXT,
  begin_us INTEGER NOT NULL,
  end_us INTEGER,
  owner_pid INTEGER,
  owner_start INTEGER,
  owner_boot TEXT,
  reaped INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX bookkeeping_set ON bookkeeping (set_id);
CREATE INDEX bookkeeping_begin ON bookkeeping (begin_us, ID);
CREATE TABLE stages (
  ID int NOT NULL REFERENCES clone_history (ID) ON DELETE CASCADE,
  ordinal INTEGER NOT NULL,
  STAGE char(32) COLLATE NOCASE NOT NULL,
  STATE char(16) COLLATE NOCASE NOT NULL,
  BEGIN_TIME timestamp(6) NULL DEFAULT NULL,
  END_TIME timestamp(6) NULL DEFAULT NULL,
  THREADS int NOT NULL DEFAULT 0,
  ESTIMATE bigint NOT NULL DEFAULT 0,
  DATA bigint NOT NULL DEFAULT 0,
  NETWORK bigint NOT NULL DEFAULT 0,
  DATA_SPEED int NOT NULL DEFAULT 0,
  NETWORK_SPEED int NOT NULL DEFAULT 0,
  PRIMARY KEY (ID, ordinal)
);
CREATE VIEW clone_status AS
  SELECT ID, PID, STATE, BEGIN_TIME, END_TIME, SOURCE, DESTINATION, ERROR_NO, ERROR_MESSAGE,
         BINLOG_FILE, BINLOG_POSITION, GTID_EXECUTED, START_LSN, PAGE_TRACK_LSN, END_LSN
  FROM clone_history
  WHERE ID IN (SELECT ID FROM bookkeeping ORDER BY begin_us DESC, ID DESC LIMIT 5)
  ORDER BY ID;
CREATE VIEW clone_progress AS
  SELECT ID, STAGE, STATE, BEGIN_TIME, END_TIME, THREADS, ESTIMATE, DATA, NETWORK, DATA_SPEED,
         NETWORK_SPEED
  FROM stages
  WHERE ID IN (SELECT ID FROM bookkeeping ORDER BY begin_us DESC, ID DESC LIMIT 5)
  ORDER BY ID, ordinal;
";

/// Number of tables, indexes and views in the file.
pub(crate) const COUNT_OBJECTS: &str = "SELECT count(*) FROM sqlite_schema";

// Rows of clone_history.

pub(crate) const INSERT_CLONE: &str = "
INSERT INTO clone_history (ID, PID, CLONE_TYPE, STATE, BEGIN_TIME, END_TIME, SOURCE, DESTINATION,
  ERROR_NO, ERROR_MESSAGE, BINLOG_FILE, BINLOG_POSITION, GTID_EXECUTED, START_LSN, PAGE_TRACK_LSN,
  END_LSN)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";

pub(crate) const INSERT_BOOKKEEPING: &str = "
INSERT INTO bookkeeping (ID, set_id, begin_us, end_us, owner_pid, owner_start, owner_boot)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// What decides whether a clone may be changed: its state, its begin, and whether `Failed` was
/// only concluded from the absence of its process.
pub(crate) const CLONE_STATE: &str = "
SELECT STATE, begin_us, reaped FROM clone_history JOIN bookkeeping USING (ID) WHERE ID = ?1";

pub(crate) const FINISH_CLONE: &str = "
UPDATE clone_history SET STATE = ?2, END_TIME = ?3, ERROR_NO = ?4, ERROR_MESSAGE = ?5,
  BINLOG_FILE = ?6, BINLOG_POSITION = ?7, GTID_EXECUTED = ?8, START_LSN = ?9, PAGE_TRACK_LSN = ?10,
  END_LSN = ?11
WHERE ID = ?1";

pub(crate) const FINISH_BOOKKEEPING: &str = "
UPDATE bookkeeping SET end_us = ?2, set_id = coalesce(?3, set_id), reaped = 0 WHERE ID = ?1";

/// A row that was imported from a set while the clone that made the set was still being recorded.
pub(crate) const DELETE_IMPORTED_TWIN: &str = "
DELETE FROM clone_history WHERE ID IN
  (SELECT ID FROM bookkeeping WHERE set_id = ?2 AND owner_pid IS NULL AND ID <> ?1)";

pub(crate) const REAP_CLONE: &str = "
UPDATE clone_history SET STATE = 'Failed', END_TIME = ?2, ERROR_NO = ?3, ERROR_MESSAGE = ?4
WHERE ID = ?1 AND STATE = 'In Progress'";

pub(crate) const REAP_BOOKKEEPING: &str =
    "UPDATE bookkeeping SET end_us = ?2, reaped = 1 WHERE ID = ?1";

pub(crate) const RUNNING: &str = "
SELECT ID, PID, begin_us, owner_pid, owner_start, owner_boot
FROM clone_history JOIN bookkeeping USING (ID) WHERE STATE = 'In Progress' ORDER BY ID";

// Reading.

pub(crate) const HISTORY: &str = "SELECT * FROM clone_history ORDER BY ID";
pub(crate) const CLONE_BY_ID: &str = "SELECT * FROM clone_history WHERE ID = ?1";
pub(crate) const CLONE_BY_SET: &str = "
SELECT h.* FROM clone_history h JOIN bookkeeping b USING (ID) WHERE b.set_id = ?1
ORDER BY b.begin_us DESC, ID DESC LIMIT 1";
/// The newest clone into a directory; a slash at the end makes no difference.
pub(crate) const CLONE_BY_DESTINATION: &str = "
SELECT h.* FROM clone_history h JOIN bookkeeping b USING (ID)
WHERE rtrim(h.DESTINATION, '/') = rtrim(?1, '/') COLLATE BINARY
ORDER BY b.begin_us DESC, ID DESC LIMIT 1";
pub(crate) const STATUS: &str = "SELECT * FROM clone_status ORDER BY ID";
/// Stages of the last `?1` clones, of all when it is negative (SQLite's "no limit").
pub(crate) const PROGRESS: &str = "
SELECT * FROM stages
WHERE ID IN (SELECT ID FROM bookkeeping ORDER BY begin_us DESC, ID DESC LIMIT ?1)
ORDER BY ID, ordinal";

// Importing.

/// The row a set already has: by its identity, or by begin and directory. Set identities decide
/// when both sides have one.
pub(crate) const FIND_TWIN: &str = "
SELECT ID, reaped, set_id FROM clone_history JOIN bookkeeping USING (ID)
WHERE (?1 IS NOT NULL AND set_id = ?1)
   OR ((?1 IS NULL OR set_id IS NULL)
       AND rtrim(DESTINATION, '/') = rtrim(?2, '/') COLLATE BINARY
       AND (BEGIN_TIME = ?3 OR abs(begin_us - ?4) < 1000))
ORDER BY (set_id IS NOT NULL) DESC, ID LIMIT 1";
pub(crate) const ID_TAKEN: &str = "SELECT count(*) FROM clone_history WHERE ID = ?1";
pub(crate) const REMEMBER_SET: &str = "
UPDATE bookkeeping SET set_id = ?2 WHERE ID = ?1 AND set_id IS NULL";

// Stages.

pub(crate) const INSERT_STAGE: &str =
    "INSERT INTO stages (ID, ordinal, STAGE, STATE) VALUES (?1, ?2, ?3, 'Not Started')";
pub(crate) const STAGE_TIMES: &str =
    "SELECT BEGIN_TIME, END_TIME FROM stages WHERE ID = ?1 AND STAGE = ?2";
pub(crate) const UPDATE_STAGE: &str = "
UPDATE stages SET STATE = ?3, BEGIN_TIME = ?4, END_TIME = ?5, THREADS = ?6, ESTIMATE = ?7,
  DATA = ?8, NETWORK = ?9, DATA_SPEED = ?10, NETWORK_SPEED = ?11
WHERE ID = ?1 AND STAGE = ?2";
/// Ends the stages that run when their clone ends.
pub(crate) const END_RUNNING_STAGES: &str = "
UPDATE stages SET STATE = ?2, END_TIME = ?3, DATA_SPEED = 0, NETWORK_SPEED = 0
WHERE ID = ?1 AND (STATE = 'In Progress' OR (?4 AND STATE = 'Failed'))";

/// The definition GreatSQL shows for the table.
pub(crate) const CLONE_HISTORY_DDL: &str = "CREATE TABLE `clone_history` (
  `ID` int NOT NULL AUTO_INCREMENT,
  `PID` int DEFAULT '0',
  `CLONE_TYPE` varchar(50) DEFAULT NULL,
  `STATE` char(16) DEFAULT NULL,
  `BEGIN_TIME` timestamp(3) NULL DEFAULT NULL,
  `END_TIME` timestamp(3) NULL DEFAULT NULL,
  `SOURCE` varchar(512) DEFAULT NULL,
  `DESTINATION` varchar(512) DEFAULT NULL,
  `ERROR_NO` int DEFAULT NULL,
  `ERROR_MESSAGE` varchar(512) DEFAULT NULL,
  `BINLOG_FILE` varchar(512) DEFAULT NULL,
  `BINLOG_POSITION` bigint DEFAULT NULL,
  `GTID_EXECUTED` varchar(4096) DEFAULT NULL,
  `START_LSN` bigint DEFAULT NULL,
  `PAGE_TRACK_LSN` bigint DEFAULT NULL,
  `END_LSN` bigint DEFAULT NULL,
  PRIMARY KEY (`ID`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci STATS_PERSISTENT=0 COMMENT='Clone history'";
