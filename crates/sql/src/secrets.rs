//! Where passwords stand in a statement, so that nobody is shown them.
//!
//! A statement that is wrong is shown in its error message, and every statement that runs in the
//! process list. In a wrong one a password can stand anywhere, so more is hidden than would be
//! needed in a right one.

use crate::lexer::{Kind, Token};

/// The places of passwords, in order: byte offsets from and to.
pub(crate) fn places(tokens: &[Token<'_>]) -> Vec<(usize, usize)> {
    let of_clone = tokens.first().is_some_and(|token| token.is_word("CLONE"));
    let mut places: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        if token.is_word("IDENTIFIED") || token.is_word("PASSWORD") {
            at += usize::from(tokens.get(at).is_some_and(|token| token.is_word("BY")));
            let Some(first) = tokens.get(at) else {
                break;
            };
            // Up to the next clause: a password may have lost its quotes.
            let mut end = first.end;
            at += 1;
            while let Some(token) = tokens.get(at).filter(|token| !is_clause(token)) {
                end = token.end;
                at += 1;
            }
            places.push((first.start, end));
        } else if is_string(token) && is_mentioned(&token.text) {
            // A quote too many: what is inside of strings and what is outside has changed places.
            let end = tokens.last().map_or(token.end, |last| last.end);
            places.push((token.start, end));
            break;
        } else if is_string(token) && may_be_password(tokens, at - 1, of_clone) {
            places.push((token.start, token.end));
        }
    }
    places
}

/// A string behind `BY`, and in `CLONE` every string that is neither an account nor a directory.
fn may_be_password(tokens: &[Token<'_>], at: usize, of_clone: bool) -> bool {
    // Strings side by side are one.
    let first = (0..=at)
        .rev()
        .take_while(|at| is_string(&tokens[*at]))
        .last();
    let before = |count: usize| first?.checked_sub(count).and_then(|at| tokens.get(at));
    let behind = |word: &str| before(1).is_some_and(|token| token.is_word(word));
    let is_assigned = before(1).is_some_and(|token| token.is_symbol("=") || token.is_symbol(":="));
    let directory = behind("DIRECTORY")
        || (is_assigned && before(2).is_some_and(|token| token.is_word("DIRECTORY")));
    let account = behind("FROM") || before(1).is_some_and(|token| token.is_symbol("@"));
    behind("BY") || (of_clone && !directory && !account)
}

/// The text up to a mention of a password that is not replaced: one in a comment.
pub(crate) fn without_mentions(mut text: String) -> String {
    let lower = text.to_ascii_lowercase();
    for word in WORDS {
        let places = lower.match_indices(word).map(|(at, _)| at + word.len());
        let open = places.into_iter().find(|end| {
            let rest = lower[*end..].trim_start();
            let rest = rest.strip_prefix("by").unwrap_or(rest).trim_start();
            !rest.is_empty() && !rest.starts_with("<secret>")
        });
        if let Some(end) = open.filter(|end| *end <= text.len()) {
            text.truncate(end);
            text.push_str(" <secret>");
        }
    }
    text
}

/// Whether a text says that there is a password in it.
pub(crate) fn is_mentioned(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.contains(word))
}

fn is_string(token: &Token<'_>) -> bool {
    matches!(token.kind, Kind::Text | Kind::Quoted)
}

fn is_clause(token: &Token<'_>) -> bool {
    CLAUSES.iter().any(|word| token.is_word(word))
}

const WORDS: [&str; 2] = ["identified", "password"];
/// What may follow a password.
const CLAUSES: [&str; 5] = ["DATA", "REQUIRE", "ENABLE", "START_LSN", "INCREMENT"];

#[cfg(test)]
mod tests {
    use crate::parser::Parser;

    fn shown(sql: &str) -> String {
        Parser::statements(sql).unwrap()[0].redacted()
    }

    #[test]
    fn passwords_are_hidden_also_where_the_statement_is_wrong() {
        for sql in [
            "CLONE INSTANCE FROM u@h:1 IDENTIFIED BY 'hunter2' DATA DIRECTORY '/d'",
            "CLONE INSTANCE FROM u@h:1 IDENTIFIED BY 'hun' 'ter2'",
            "CLONE INSTANCE FROM u@h:1 IDENTIFIED BY hunter2 DATA",
            "CLONE INSTANCE FROM u@h:1IDENTIFIED BY 'hunter2'",
            "CLONE INSTANCE FROM u@h:1 'hunter2' DATA",
            "LONE INSTANCE FROM u@h:1xIDENTIFIED BY 'hunter2'",
            "CLONE /* IDENTIFIED BY 'hunter2' */ LOCAL",
            "CLONE I'NSTANCE FROM u@h:1 IDENTIFIED BY 'hunter2' DATA DIRECTORY = '",
            "SELECT \"IDENTIFIED BY 'hunter2'\" FROM x",
            "SET PASSWORD = 'hunter2'",
        ] {
            let shown = shown(sql);
            assert!(
                !shown.contains("hun") && shown.contains("<secret>"),
                "{shown}"
            );
        }
    }

    #[test]
    fn accounts_and_directories_are_shown() {
        let sql = "CLONE INSTANCE FROM 'u'@'h':1 IDENTIFIED BY 'p' DATA DIRECTORY = '/d' ENABLE";
        assert_eq!(
            shown(sql),
            "CLONE INSTANCE FROM 'u'@'h':1 IDENTIFIED BY <secret> DATA DIRECTORY = '/d' ENABLE"
        );
        let sql = "CLONE LOCAL DATA DIRECTORY '/a' '/b' ENABLE PAGE TRACK";
        assert_eq!(shown(sql), sql);
    }
}
