//! The functions of the component mysqlbackup, which the instance itself has to execute.

use crate::error::Result;
use crate::lexer::Kind;
use crate::parser::Parser;
use crate::statement::PageTrackCall;

/// The functions, with the number of their arguments.
const FUNCTIONS: [(&str, usize); 5] = [
    ("mysqlbackup_page_track_set", 1),
    ("mysqlbackup_page_track_get_start_lsn", 0),
    ("mysqlbackup_page_track_get_changed_page_count", 2),
    ("mysqlbackup_page_track_get_changed_pages", 2),
    ("mysqlbackup_page_track_purge_up_to", 1),
];

/// The call, if the statement is one: `SELECT function(literal, …) [[AS] alias]`.
pub(super) fn call(parser: &Parser<'_>) -> Result<Option<PageTrackCall>> {
    let mut parser = parser.clone();
    parser.expect("SELECT")?;
    let called = |parser: &Parser<'_>| {
        let token = parser.peek()?;
        FUNCTIONS.iter().find(|(name, _)| token.is_word(name))
    };
    let Some((function, count)) = called(&parser) else {
        return Ok(None);
    };
    let start = parser.next().map_or(0, |token| token.start);
    parser.expect_symbol("(")?;
    let mut arguments = Vec::new();
    while arguments.len() < *count {
        if !arguments.is_empty() {
            parser.expect_symbol(",")?;
        }
        arguments.push(literal(&mut parser)?);
    }
    let end = parser.peek().map_or(start, |token| token.end);
    parser.expect_symbol(")")?;
    let column = if parser.peek().is_some() {
        parser.accept("AS");
        parser.name_or_string()?
    } else {
        parser.source()[start..end].to_owned()
    };
    parser.end()?;
    Ok(Some(PageTrackCall {
        function,
        arguments,
        column,
    }))
}

/// A number, or a truth value; nothing else is handed on to the instance.
fn literal(parser: &mut Parser<'_>) -> Result<String> {
    for word in ["TRUE", "FALSE"] {
        if parser.accept(word) {
            return Ok(word.to_owned());
        }
    }
    let sign = if parser.accept_symbol("-") { "-" } else { "" };
    let is_whole = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match parser.peek() {
        Some(token) if token.kind == Kind::Number && is_whole(&token.text) => {
            let text = format!("{sign}{}", token.text);
            parser.next();
            Ok(text)
        }
        _ => Err(parser.error()),
    }
}
