//! Functions that are called in the usual way.

use super::kind::Kind;
use crate::error::SqlError;

/// A function of the server, and what stands for it in the engine.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    /// The least and the largest number of arguments.
    pub(super) count: (usize, usize),
    pub(super) target: &'static str,
    /// A letter for each argument, the last also for those behind it: `t` as text, `n` as number,
    /// `w` as the kind of the result, `c` so and compared like texts, `r` as it is.
    pub(super) arguments: &'static str,
    pub(super) yields: Yields,
}

/// What a function yields.
#[derive(Debug)]
pub(super) enum Yields {
    Kind(Kind),
    /// The kind of the first argument.
    First,
    /// A kind that all arguments can have.
    Widest,
    /// As a sum of the arguments.
    Sum,
    /// The time now, with as many digits as the first argument says.
    Now(fn(u8) -> Kind),
    /// With the digits of the first argument.
    Fraction(fn(u8) -> Kind),
}

use Kind::{Binary, Date, DateTime, Decimal, Double, Int, Json, Text, Time, Unsigned};
use Yields::{First, Fraction, Now, Sum, Widest};

const INT: Yields = Yields::Kind(Int);
const TEXT: Yields = Yields::Kind(Text);
const DOUBLE: Yields = Yields::Kind(Double);
const JSON: Yields = Yields::Kind(Json);

const fn function(
    name: &'static str,
    count: (usize, usize),
    target: &'static str,
    arguments: &'static str,
    yields: Yields,
) -> Function {
    Function {
        name,
        count,
        target,
        arguments,
        yields,
    }
}

/// The function of this name, which is in upper case.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// The function of a schema.
pub(super) fn find_in(schema: &str, name: &str) -> Option<&'static Function> {
    let is_sys = schema.eq_ignore_ascii_case("sys");
    let found = SYS
        .iter()
        .find(|function| function.name.eq_ignore_ascii_case(name));
    found.filter(|_| is_sys)
}

pub(super) fn unknown(name: &str) -> SqlError {
    SqlError::new(1305, format!("FUNCTION {name} does not exist"))
}

pub(super) fn wrong_count(name: &str) -> SqlError {
    SqlError::new(
        1582,
        format!("Incorrect parameter count in the call to native function '{name}'"),
    )
}

const MANY: usize = usize::MAX;

const FUNCTIONS: &[Function] = &[
    // Choices.
    function("COALESCE", (1, MANY), "first_known", "w", Widest),
    function("IFNULL", (2, 2), "first_known", "w", Widest),
    function("ISNULL", (1, 1), "isnull", "r", INT),
    function("GREATEST", (2, MANY), "greatest", "w", Widest),
    function("LEAST", (2, MANY), "least", "w", Widest),
    // Texts.
    function("ASCII", (1, 1), "ascii", "t", INT),
    function("BIN", (1, 1), "bin", "n", TEXT),
    function("BIT_LENGTH", (1, 1), "bit_length", "t", INT),
    function("CHAR_LENGTH", (1, 1), "char_length", "t", INT),
    function("CHARACTER_LENGTH", (1, 1), "char_length", "t", INT),
    function("CONCAT", (1, MANY), "concat_all", "t", TEXT),
    function("CONCAT_WS", (2, MANY), "concat_with", "t", TEXT),
    function("ELT", (2, MANY), "elt", "nt", TEXT),
    function("FIELD", (2, MANY), "field", "t", INT),
    function("FIND_IN_SET", (2, 2), "find_in_set", "t", INT),
    function("FORMAT", (2, 3), "format_number", "nnt", TEXT),
    function("FORMAT_BYTES", (1, 1), "format_bytes", "n", TEXT),
    function("FORMAT_PICO_TIME", (1, 1), "format_pico_time", "n", TEXT),
    function("HEX", (1, 1), "hexed", "r", TEXT),
    function("INSERT", (4, 4), "insert_text", "tnnt", TEXT),
    function("INSTR", (2, 2), "position", "t", INT),
    function("LCASE", (1, 1), "lower_text", "t", TEXT),
    function("LEFT", (2, 2), "left_part", "tn", TEXT),
    function("LENGTH", (1, 1), "length_bytes", "t", INT),
    function("LOCATE", (2, 3), "locate", "ttn", INT),
    function("LOWER", (1, 1), "lower_text", "t", TEXT),
    function("LPAD", (3, 3), "lpad", "tnt", TEXT),
    function("LTRIM", (1, 1), "ltrimmed", "t", TEXT),
    function("OCTET_LENGTH", (1, 1), "length_bytes", "t", INT),
    function("OCT", (1, 1), "oct", "n", TEXT),
    function("QUOTE", (1, 1), "quote_text", "t", TEXT),
    function("REGEXP_LIKE", (2, 2), "regexp_like", "t", INT),
    function("REGEXP_REPLACE", (3, 3), "regexp_replace", "t", TEXT),
    function("REGEXP_SUBSTR", (2, 2), "regexp_substr", "t", TEXT),
    function("REPEAT", (2, 2), "repeat_text", "tn", TEXT),
    function("REPLACE", (3, 3), "replace_text", "t", TEXT),
    function("REVERSE", (1, 1), "reverse", "t", TEXT),
    function("RIGHT", (2, 2), "right_part", "tn", TEXT),
    function("RPAD", (3, 3), "rpad", "tnt", TEXT),
    function("RTRIM", (1, 1), "rtrimmed", "t", TEXT),
    function("SPACE", (1, 1), "space", "n", TEXT),
    function("STRCMP", (2, 2), "strcmp", "t", INT),
    function("SUBSTRING_INDEX", (3, 3), "substring_index", "ttn", TEXT),
    function("UCASE", (1, 1), "upper_text", "t", TEXT),
    function("UNHEX", (1, 1), "unhexed", "t", Yields::Kind(Binary)),
    function("UPPER", (1, 1), "upper_text", "t", TEXT),
    // Numbers.
    function("ABS", (1, 1), "abs", "n", First),
    function("CEIL", (1, 1), "ceil", "n", INT),
    function("CEILING", (1, 1), "ceil", "n", INT),
    function("EXP", (1, 1), "exp", "n", DOUBLE),
    function("FLOOR", (1, 1), "floor", "n", INT),
    function("LN", (1, 1), "ln", "n", DOUBLE),
    function("LOG", (1, 2), "log", "n", DOUBLE),
    function("LOG10", (1, 1), "log10", "n", DOUBLE),
    function("LOG2", (1, 1), "log2", "n", DOUBLE),
    function("MOD", (2, 2), "remainder", "n", Sum),
    function("PI", (0, 0), "pi", "n", Yields::Kind(Decimal(6))),
    function("POW", (2, 2), "pow", "n", DOUBLE),
    function("POWER", (2, 2), "pow", "n", DOUBLE),
    function("SIGN", (1, 1), "sign", "n", INT),
    function("SQRT", (1, 1), "sqrt", "n", DOUBLE),
    // Times.
    function("CURDATE", (0, 0), "curdate", "n", Yields::Kind(Date)),
    function("CURRENT_DATE", (0, 0), "curdate", "n", Yields::Kind(Date)),
    function("CURRENT_TIME", (0, 1), "curtime", "n", Now(Time)),
    function("CURRENT_TIMESTAMP", (0, 1), "now", "n", Now(DateTime)),
    function("CURTIME", (0, 1), "curtime", "n", Now(Time)),
    function("DATE", (1, 1), "date", "t", Yields::Kind(Date)),
    function("DATEDIFF", (2, 2), "datediff", "t", INT),
    function("DATE_FORMAT", (2, 2), "date_format", "t", TEXT),
    function("DAY", (1, 1), "day", "t", INT),
    function("DAYNAME", (1, 1), "dayname", "t", TEXT),
    function("DAYOFMONTH", (1, 1), "day", "t", INT),
    function("DAYOFWEEK", (1, 1), "dayofweek", "t", INT),
    function("DAYOFYEAR", (1, 1), "dayofyear", "t", INT),
    function("HOUR", (1, 1), "hour", "t", INT),
    function("LAST_DAY", (1, 1), "last_day", "t", Yields::Kind(Date)),
    function("LOCALTIME", (0, 1), "now", "n", Now(DateTime)),
    function("LOCALTIMESTAMP", (0, 1), "now", "n", Now(DateTime)),
    function("MICROSECOND", (1, 1), "microsecond", "t", INT),
    function("MINUTE", (1, 1), "minute", "t", INT),
    function("MONTH", (1, 1), "month", "t", INT),
    function("MONTHNAME", (1, 1), "monthname", "t", TEXT),
    function("NOW", (0, 1), "now", "n", Now(DateTime)),
    function("QUARTER", (1, 1), "quarter", "t", INT),
    function("SECOND", (1, 1), "second", "t", INT),
    function("SEC_TO_TIME", (1, 1), "sec_to_time", "n", Fraction(Time)),
    function("SYSDATE", (0, 1), "now", "n", Now(DateTime)),
    function("TIME", (1, 1), "time_of", "t", Fraction(Time)),
    function("TIMEDIFF", (2, 2), "timediff", "t", Fraction(Time)),
    function("TIMESTAMP", (1, 1), "timestamp_of", "t", Fraction(DateTime)),
    function("TIME_FORMAT", (2, 2), "time_format", "t", TEXT),
    function("TIME_TO_SEC", (1, 1), "time_to_sec", "t", INT),
    function("TO_DAYS", (1, 1), "to_days", "t", INT),
    function("UTC_DATE", (0, 0), "utc_date", "n", Yields::Kind(Date)),
    function("UTC_TIME", (0, 1), "utc_time", "n", Now(Time)),
    function("UTC_TIMESTAMP", (0, 1), "utc_timestamp", "n", Now(DateTime)),
    function("WEEK", (1, 1), "week", "t", INT),
    function("WEEKDAY", (1, 1), "weekday", "t", INT),
    function("YEAR", (1, 1), "year", "t", INT),
    // JSON.
    function("JSON_EXTRACT", (2, 2), "json_at", "t", JSON),
    function("JSON_LENGTH", (1, 1), "json_size", "t", INT),
    function("JSON_QUOTE", (1, 1), "json_quoted", "t", TEXT),
    function("JSON_TYPE", (1, 1), "json_kind", "t", TEXT),
    function("JSON_UNQUOTE", (1, 1), "json_unquoted", "t", TEXT),
    function("JSON_VALID", (1, 1), "json_is_valid", "t", INT),
    // The session.
    function(
        "CONNECTION_ID",
        (0, 0),
        "connection_id",
        "n",
        Yields::Kind(Unsigned),
    ),
    function("CURRENT_ROLE", (0, 0), "current_role", "n", TEXT),
    function("CURRENT_USER", (0, 0), "user", "n", TEXT),
    function("DATABASE", (0, 0), "database", "n", TEXT),
    function("FOUND_ROWS", (0, 0), "found_rows", "n", INT),
    function(
        "LAST_INSERT_ID",
        (0, 0),
        "last_insert_id",
        "n",
        Yields::Kind(Unsigned),
    ),
    function("ROW_COUNT", (0, 0), "row_count", "n", INT),
    function("SCHEMA", (0, 0), "database", "n", TEXT),
    function("SESSION_USER", (0, 0), "user", "n", TEXT),
    function("SYSTEM_USER", (0, 0), "user", "n", TEXT),
    function("USER", (0, 0), "user", "n", TEXT),
    function("VERSION", (0, 0), "version", "n", TEXT),
];

/// Functions of the schema `sys`.
const SYS: &[Function] = &[
    function("format_bytes", (1, 1), "format_bytes", "n", TEXT),
    function("version_major", (0, 0), "version_major", "n", INT),
    function("version_minor", (0, 0), "version_minor", "n", INT),
    function("version_patch", (0, 0), "version_patch", "n", INT),
];

/// Whether the server has a function of this name, which is in upper case.
pub(super) fn is_of_the_server(name: &str) -> bool {
    let prefixes = [
        "ST_", "MBR", "JSON_", "GTID_", "IS_", "REGEXP_", "AES_", "WAIT_", "PS_",
    ];
    NOT_HERE.contains(&name) || prefixes.iter().any(|prefix| name.starts_with(prefix))
}

const NOT_HERE: &[&str] = &[
    "ACOS",
    "ADDTIME",
    "ASIN",
    "ATAN",
    "ATAN2",
    "BENCHMARK",
    "BIN_TO_UUID",
    "BIT_AND",
    "BIT_COUNT",
    "BIT_OR",
    "BIT_XOR",
    "CHAR",
    "CHARSET",
    "COERCIBILITY",
    "COLLATION",
    "COMPRESS",
    "CONV",
    "CONVERT_TZ",
    "COS",
    "COT",
    "DEFAULT",
    "DEGREES",
    "EXPORT_SET",
    "EXTRACTVALUE",
    "FROM_BASE64",
    "FROM_DAYS",
    "GET_FORMAT",
    "GET_LOCK",
    "GROUPING",
    "INET6_ATON",
    "INET6_NTOA",
    "INET_ATON",
    "INET_NTOA",
    "INTERVAL",
    "LOAD_FILE",
    "MAKEDATE",
    "MAKETIME",
    "MAKE_SET",
    "MATCH",
    "MD5",
    "NAME_CONST",
    "ORD",
    "PERIOD_ADD",
    "PERIOD_DIFF",
    "RADIANS",
    "RAND",
    "RANDOM_BYTES",
    "RELEASE_ALL_LOCKS",
    "RELEASE_LOCK",
    "ROLES_GRAPHML",
    "SHA",
    "SHA1",
    "SHA2",
    "SIN",
    "SLEEP",
    "SOUNDEX",
    "STATEMENT_DIGEST",
    "STATEMENT_DIGEST_TEXT",
    "STD",
    "STDDEV",
    "STDDEV_POP",
    "STDDEV_SAMP",
    "STR_TO_DATE",
    "SUBTIME",
    "TAN",
    "TO_SECONDS",
    "UNCOMPRESS",
    "UNCOMPRESSED_LENGTH",
    "UPDATEXML",
    "UUID",
    "UUID_SHORT",
    "TO_BASE64",
    "CRC32",
    "UUID_TO_BIN",
    "VALIDATE_PASSWORD_STRENGTH",
    "VALUES",
    "VARIANCE",
    "VAR_POP",
    "VAR_SAMP",
    "WEEKOFYEAR",
    "WEIGHT_STRING",
    "YEARWEEK",
];
