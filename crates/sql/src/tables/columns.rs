//! Columns of the tables: names and declared types.

/// Names and declared types of columns.
pub(crate) type Columns = &'static [(&'static str, &'static str)];

type Column = (&'static str, &'static str);

const HISTORY_COLUMNS: [Column; 16] = [
    ("ID", "int"),
    ("PID", "int"),
    ("CLONE_TYPE", "varchar(50)"),
    ("STATE", "char(16)"),
    ("BEGIN_TIME", "timestamp(3)"),
    ("END_TIME", "timestamp(3)"),
    ("SOURCE", "varchar(512)"),
    ("DESTINATION", "varchar(512)"),
    ("ERROR_NO", "int"),
    ("ERROR_MESSAGE", "varchar(512)"),
    ("BINLOG_FILE", "varchar(512)"),
    ("BINLOG_POSITION", "bigint"),
    ("GTID_EXECUTED", "varchar(4096)"),
    ("START_LSN", "bigint"),
    ("PAGE_TRACK_LSN", "bigint"),
    ("END_LSN", "bigint"),
];

/// Where `CLONE_TYPE` is, which only the history has.
const CLONE_TYPE: usize = 2;

const STATUS_COLUMNS: [Column; 15] = {
    let mut columns = [HISTORY_COLUMNS[0]; 15];
    let mut at = 0;
    while at < columns.len() {
        columns[at] = HISTORY_COLUMNS[if at < CLONE_TYPE { at } else { at + 1 }];
        at += 1;
    }
    columns
};

pub(super) const HISTORY: Columns = &HISTORY_COLUMNS;
pub(super) const STATUS: Columns = &STATUS_COLUMNS;

pub(super) const PROGRESS: Columns = &[
    ("ID", "int"),
    ("STAGE", "char(32)"),
    ("STATE", "char(16)"),
    ("BEGIN_TIME", "timestamp(6)"),
    ("END_TIME", "timestamp(6)"),
    ("THREADS", "int"),
    ("ESTIMATE", "bigint"),
    ("DATA", "bigint"),
    ("NETWORK", "bigint"),
    ("DATA_SPEED", "int"),
    ("NETWORK_SPEED", "int"),
];

/// In `SHOW PROCESSLIST` the names are written otherwise.
pub(super) const PROCESSLIST: Columns = &[
    ("ID", "bigint unsigned"),
    ("USER", "varchar(32)"),
    ("HOST", "varchar(261)"),
    ("DB", "varchar(64)"),
    ("COMMAND", "varchar(16)"),
    ("TIME", "int"),
    ("STATE", "varchar(64)"),
    ("INFO", "varchar(65535)"),
];

pub(super) const VARIABLES: Columns = &[
    ("VARIABLE_NAME", "varchar(64)"),
    ("VARIABLE_VALUE", "varchar(1024)"),
];

pub(super) const PERSISTED: Columns = &[
    ("VARIABLE_NAME", "varchar(64)"),
    ("VARIABLE_VALUE", "varchar(1024)"),
];

pub(super) const VARIABLES_INFO: Columns = &[
    ("VARIABLE_NAME", "varchar(64)"),
    ("VARIABLE_SOURCE", "varchar(64)"),
    ("VARIABLE_PATH", "varchar(1024)"),
    ("MIN_VALUE", "varchar(64)"),
    ("MAX_VALUE", "varchar(64)"),
];

pub(super) const SCHEMATA: Columns = &[
    ("CATALOG_NAME", "varchar(64)"),
    ("SCHEMA_NAME", "varchar(64)"),
    ("DEFAULT_CHARACTER_SET_NAME", "varchar(64)"),
    ("DEFAULT_COLLATION_NAME", "varchar(64)"),
    ("SQL_PATH", "varchar(64)"),
    ("DEFAULT_ENCRYPTION", "varchar(3)"),
];

pub(super) const TABLES: Columns = &[
    ("TABLE_CATALOG", "varchar(64)"),
    ("TABLE_SCHEMA", "varchar(64)"),
    ("TABLE_NAME", "varchar(64)"),
    ("TABLE_TYPE", "varchar(11)"),
    ("ENGINE", "varchar(64)"),
    ("VERSION", "int"),
    ("ROW_FORMAT", "varchar(10)"),
    ("TABLE_ROWS", "bigint unsigned"),
    ("AVG_ROW_LENGTH", "bigint unsigned"),
    ("DATA_LENGTH", "bigint unsigned"),
    ("MAX_DATA_LENGTH", "bigint unsigned"),
    ("INDEX_LENGTH", "bigint unsigned"),
    ("DATA_FREE", "bigint unsigned"),
    ("AUTO_INCREMENT", "bigint unsigned"),
    ("CREATE_TIME", "timestamp"),
    ("UPDATE_TIME", "datetime"),
    ("CHECK_TIME", "datetime"),
    ("TABLE_COLLATION", "varchar(64)"),
    ("CHECKSUM", "bigint"),
    ("CREATE_OPTIONS", "varchar(256)"),
    ("TABLE_COMMENT", "varchar(2048)"),
];

pub(super) const COLUMNS: Columns = &[
    ("TABLE_CATALOG", "varchar(64)"),
    ("TABLE_SCHEMA", "varchar(64)"),
    ("TABLE_NAME", "varchar(64)"),
    ("COLUMN_NAME", "varchar(64)"),
    ("ORDINAL_POSITION", "int unsigned"),
    ("COLUMN_DEFAULT", "text"),
    ("IS_NULLABLE", "varchar(3)"),
    ("DATA_TYPE", "longtext"),
    ("CHARACTER_MAXIMUM_LENGTH", "bigint"),
    ("CHARACTER_OCTET_LENGTH", "bigint"),
    ("NUMERIC_PRECISION", "bigint unsigned"),
    ("NUMERIC_SCALE", "bigint unsigned"),
    ("DATETIME_PRECISION", "int unsigned"),
    ("CHARACTER_SET_NAME", "varchar(64)"),
    ("COLLATION_NAME", "varchar(64)"),
    ("COLUMN_TYPE", "mediumtext"),
    ("COLUMN_KEY", "varchar(3)"),
    ("EXTRA", "varchar(256)"),
    ("PRIVILEGES", "varchar(154)"),
    ("COLUMN_COMMENT", "text"),
    ("GENERATION_EXPRESSION", "longtext"),
    ("SRS_ID", "int unsigned"),
];

pub(super) const STATISTICS: Columns = &[
    ("TABLE_CATALOG", "varchar(64)"),
    ("TABLE_SCHEMA", "varchar(64)"),
    ("TABLE_NAME", "varchar(64)"),
    ("NON_UNIQUE", "int"),
    ("INDEX_SCHEMA", "varchar(64)"),
    ("INDEX_NAME", "varchar(64)"),
    ("SEQ_IN_INDEX", "int unsigned"),
    ("COLUMN_NAME", "varchar(64)"),
    ("COLLATION", "varchar(1)"),
    ("CARDINALITY", "bigint"),
    ("SUB_PART", "bigint"),
    ("PACKED", "varchar(64)"),
    ("NULLABLE", "varchar(3)"),
    ("INDEX_TYPE", "varchar(11)"),
    ("COMMENT", "varchar(8)"),
    ("INDEX_COMMENT", "varchar(2048)"),
    ("IS_VISIBLE", "varchar(3)"),
    ("EXPRESSION", "longtext"),
];

pub(super) const ENGINES: Columns = &[
    ("ENGINE", "varchar(64)"),
    ("SUPPORT", "varchar(8)"),
    ("COMMENT", "varchar(80)"),
    ("TRANSACTIONS", "varchar(3)"),
    ("XA", "varchar(3)"),
    ("SAVEPOINTS", "varchar(3)"),
];

pub(super) const PLUGINS: Columns = &[
    ("PLUGIN_NAME", "varchar(64)"),
    ("PLUGIN_VERSION", "varchar(20)"),
    ("PLUGIN_STATUS", "varchar(10)"),
    ("PLUGIN_TYPE", "varchar(80)"),
    ("PLUGIN_LIBRARY", "varchar(64)"),
    ("PLUGIN_LICENSE", "varchar(80)"),
    ("LOAD_OPTION", "varchar(64)"),
];
