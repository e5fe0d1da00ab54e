//! `clone_valid_donor_list`: whom a remote clone may read from.

use crate::error::{Result, SqlError};

/// Checks the form `host:port,host:port`, without blanks.
pub(crate) fn check_list(list: &str) -> Result<()> {
    let is_valid = |entry: &str| {
        let Some((host, port)) = entry.rsplit_once(':') else {
            return false;
        };
        !host.is_empty() && port.parse::<u16>().is_ok()
    };
    let blank = list.chars().any(char::is_whitespace);
    if !blank && list.split(',').all(is_valid) {
        return Ok(());
    }
    Err(SqlError::configuration(
        "Invalid Format. Please enter \"<hostname1>:<port1>,...\"' with no extra space",
    ))
}

/// Fails unless the list names the donor; the host `0.0.0.0` stands for every host.
pub(crate) fn check_donor(list: Option<&str>, host: &str, port: u16) -> Result<()> {
    let is_donor = |entry: &str| {
        let (listed, listed_port) = entry.rsplit_once(':').unwrap_or_default();
        listed_port.parse() == Ok(port)
            && (listed == "0.0.0.0" || listed.to_lowercase() == host.to_lowercase())
    };
    if list.is_some_and(|list| list.split(',').any(is_donor)) {
        return Ok(());
    }
    let shown = list.unwrap_or_default();
    Err(SqlError::configuration(format_args!(
        "{host}:{port} is not found in clone_valid_donor_list: {shown}"
    ))
    .hint(format!(
        "SET GLOBAL clone_valid_donor_list = '{host}:{port}'"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_hosts_and_ports_and_no_blanks() {
        for list in ["a:1", "A.b:3306,[::1]:2", "0.0.0.0:1"] {
            check_list(list).unwrap();
        }
        for list in ["", "a", "a:", ":1", "a:1, b:2", "a:1,", "a:70000", "a:x"] {
            assert_eq!(check_list(list).unwrap_err().code, 3869, "{list}");
        }
    }

    #[test]
    fn a_donor_must_be_listed_with_its_port() {
        let list = Some("db1:3306,0.0.0.0:7");
        check_donor(list, "DB1", 3306).unwrap();
        check_donor(list, "anything", 7).unwrap();
        let error = check_donor(list, "db1", 3307).unwrap_err();
        assert_eq!(
            error.message,
            "Clone system configuration: db1:3307 is not found in clone_valid_donor_list: \
             db1:3306,0.0.0.0:7"
        );
        assert!(check_donor(None, "db1", 3306).is_err());
    }
}
