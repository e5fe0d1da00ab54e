//! The `?` of a statement.

/// Where the placeholders of a statement are: each `?` outside of literals, quoted names and
/// comments.
pub(super) fn marks(sql: &str) -> Vec<usize> {
    let bytes = sql.as_bytes();
    let mut marks = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at..];
        at += match byte {
            b'?' => {
                marks.push(at);
                1
            }
            b'\'' | b'"' | b'`' => quoted(rest),
            b'#' => until(rest, b"\n"),
            b'-' if matches!(
                rest,
                [_, b'-'] | [_, b'-', b' ' | b'\t' | b'\n' | b'\r', ..]
            ) =>
            {
                until(rest, b"\n")
            }
            b'/' if rest.starts_with(b"/*") => 2 + until(&rest[2..], b"*/"),
            _ => 1,
        };
    }
    marks
}

/// Length of a quoted piece; to the end, if it is not closed.
fn quoted(bytes: &[u8]) -> usize {
    let quote = bytes[0];
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        if byte == quote {
            // A doubled quote ends one piece and begins the next, which comes to the same.
            return at;
        }
        if byte == b'\\' && quote != b'`' {
            at += 1;
        }
    }
    bytes.len()
}

/// Length up to and with `end`; to the end, if there is none.
fn until(bytes: &[u8], end: &[u8]) -> usize {
    let found = bytes.windows(end.len()).position(|window| window == end);
    found.map_or(bytes.len(), |at| at + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_found_where_they_are_some() {
        let at = |sql: &str| marks(sql);
        assert_eq!(at("SELECT ?, '?', \"?\", `?`, ?"), [7, 25]);
        assert_eq!(at(r"SELECT 'it''s \' ?', ?"), [21]);
        assert_eq!(at("SELECT 1 -- ?\n, ? # ?\n, /* ? */ ?"), [16, 32]);
        assert_eq!(at("SELECT 1--?"), [10]);
        assert!(at("SELECT '?").is_empty());
        assert!(at("SELECT 1 /* ?").is_empty());
    }
}
