//! Variables of a server that clients ask for when they connect. They describe what is so here;
//! what a session sets of them is remembered for that session only.

/// What the endpoint says it is: a server of this series, whose protocol it speaks.
pub const SERVER_VERSION: &str = concat!("8.4.0-innoclone-", env!("CARGO_PKG_VERSION"));

/// The value of a variable that every session begins with.
pub(crate) fn initial(name: &str) -> Option<&'static str> {
    let found = VARIABLES.binary_search_by(|(known, _)| (*known).cmp(name));
    found.ok().map(|at| VARIABLES[at].1)
}

/// All of them, by name.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    VARIABLES.iter().copied()
}

/// Names and values, by name.
const VARIABLES: [(&str, &str); 45] = [
    ("auto_increment_increment", "1"),
    ("autocommit", "ON"),
    ("character_set_client", "utf8mb4"),
    ("character_set_connection", "utf8mb4"),
    ("character_set_database", "utf8mb4"),
    ("character_set_results", "utf8mb4"),
    ("character_set_server", "utf8mb4"),
    ("character_set_system", "utf8mb3"),
    ("collation_connection", "utf8mb4_0900_ai_ci"),
    ("collation_database", "utf8mb4_0900_ai_ci"),
    ("collation_server", "utf8mb4_0900_ai_ci"),
    ("foreign_key_checks", "ON"),
    ("init_connect", ""),
    ("interactive_timeout", "28800"),
    ("license", "Apache-2.0"),
    ("lower_case_table_names", "0"),
    ("max_allowed_packet", "67108864"),
    ("max_execution_time", "0"),
    ("net_buffer_length", "16384"),
    ("net_read_timeout", "30"),
    ("net_write_timeout", "60"),
    ("performance_schema", "ON"),
    ("protocol_version", "10"),
    ("query_cache_size", "0"),
    ("query_cache_type", "OFF"),
    ("read_only", "OFF"),
    ("session_track_schema", "ON"),
    ("sql_auto_is_null", "OFF"),
    ("sql_mode", SQL_MODE),
    ("sql_notes", "ON"),
    ("sql_quote_show_create", "ON"),
    ("sql_safe_updates", "OFF"),
    ("sql_select_limit", "18446744073709551615"),
    ("sql_warnings", "OFF"),
    ("super_read_only", "OFF"),
    ("system_time_zone", "SYSTEM"),
    ("time_zone", "SYSTEM"),
    ("transaction_isolation", "REPEATABLE-READ"),
    ("transaction_read_only", "OFF"),
    ("unique_checks", "ON"),
    ("version", SERVER_VERSION),
    ("version_comment", "innoclone"),
    ("version_compile_machine", std::env::consts::ARCH),
    ("version_compile_os", std::env::consts::OS),
    ("wait_timeout", "28800"),
];

const SQL_MODE: &str = "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,\
                        ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_found() {
        assert!(VARIABLES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(initial("autocommit"), Some("ON"));
        assert_eq!(initial("nothing"), None);
    }
}
