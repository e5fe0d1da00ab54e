//! Text as part of a statement.

/// `text` as an SQL string literal, with its quotes.
///
/// Valid under the SQL mode of a [`Connection`](crate::Connection), which switches
/// `NO_BACKSLASH_ESCAPES` off for its session.
pub fn quote_string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for character in text.chars() {
        match character {
            '\'' => quoted.push_str("''"),
            '\\' => quoted.push_str("\\\\"),
            '\0' => quoted.push_str("\\0"),
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

/// `name` as a quoted SQL identifier.
pub fn quote_identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_backslashes_and_zero_bytes_are_escaped() {
        assert_eq!(quote_string("it's a \\ and \0"), "'it''s a \\\\ and \\0'");
        assert_eq!(quote_string(""), "''");
    }

    #[test]
    fn backticks_in_identifiers_are_doubled() {
        assert_eq!(quote_identifier("a`b"), "`a``b`");
    }
}
