//! Names of a query's columns.
//!
//! A column without an alias has the text of its expression as name, as it was written; a plain
//! column reference has the column's name as it was written. SQLite has other rules, so every item
//! of the select list that has no alias gets one.

use crate::lexer::{Kind, Token};

/// A place behind an item, and the alias to put there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Alias {
    /// Index of the token behind the item.
    pub(super) before: usize,
    pub(super) name: String,
}

/// The aliases that the first select list at the top of a statement needs.
pub(super) fn missing(source: &str, tokens: &[Token<'_>]) -> Vec<Alias> {
    let mut aliases = Vec::new();
    let Some(start) = first_item(tokens) else {
        return aliases;
    };
    let mut depth = 0_usize;
    let mut item = start;
    for at in start..=tokens.len() {
        let token = tokens.get(at);
        let ends = depth == 0 && token.is_none_or(|token| token.is_symbol(",") || ends_list(token));
        if ends {
            if let Some(name) = name_of(source, &tokens[item..at]) {
                aliases.push(Alias { before: at, name });
            }
            if !token.is_some_and(|token| token.is_symbol(",")) {
                break;
            }
            item = at + 1;
        }
        depth += usize::from(token.is_some_and(|token| token.is_symbol("(")));
        depth = depth.saturating_sub(usize::from(token.is_some_and(|token| token.is_symbol(")"))));
    }
    aliases
}

/// The token behind the first SELECT outside of parentheses, and behind its modifiers.
fn first_item(tokens: &[Token<'_>]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut select = None;
    for (at, token) in tokens.iter().enumerate() {
        depth += usize::from(token.is_symbol("("));
        depth = depth.saturating_sub(usize::from(token.is_symbol(")")));
        if depth == 0 && token.is_word("SELECT") {
            select = Some(at + 1);
            break;
        }
    }
    let mut at = select?;
    while tokens
        .get(at)
        .is_some_and(|token| MODIFIERS.iter().any(|word| token.is_word(word)))
    {
        at += 1;
    }
    Some(at)
}

/// The name of an item that has no alias.
fn name_of(source: &str, item: &[Token<'_>]) -> Option<String> {
    let (first, last) = (item.first()?, item.last()?);
    if last.is_symbol("*") {
        return None;
    }
    if let [.., before, _] = item
        && is_name(last)
        && ends_operand(before)
    {
        return None;
    }
    if item.iter().any(|token| token.is_word("AS")) && has_alias(item) {
        return None;
    }
    let is_reference = item.iter().enumerate().all(|(at, token)| {
        let name = matches!(token.kind, Kind::Word | Kind::Quoted);
        if at % 2 == 0 {
            name
        } else {
            token.is_symbol(".")
        }
    });
    if is_reference || (item.len() == 1 && first.kind == Kind::Text) {
        return Some(last.text.clone().into_owned());
    }
    Some(source[first.start..last.end].to_owned())
}

/// `… AS name` at the end, and not inside of `CAST(… AS …)`.
fn has_alias(item: &[Token<'_>]) -> bool {
    matches!(item, [.., word, _] if word.is_word("AS"))
}

fn is_name(token: &Token<'_>) -> bool {
    match token.kind {
        Kind::Quoted | Kind::Text => true,
        Kind::Word => !OPERAND_WORDS.iter().any(|word| token.is_word(word)),
        _ => false,
    }
}

/// Whether an operand can end here: a name behind it is an alias.
fn ends_operand(token: &Token<'_>) -> bool {
    match token.kind {
        Kind::Quoted | Kind::Number | Kind::Host | Kind::Text => true,
        Kind::Word => !OPERATORS.iter().any(|word| token.is_word(word)),
        Kind::Symbol => token.is_symbol(")"),
    }
}

fn ends_list(token: &Token<'_>) -> bool {
    ENDS.iter().any(|word| token.is_word(word))
}

const MODIFIERS: [&str; 9] = [
    "ALL",
    "DISTINCT",
    "DISTINCTROW",
    "HIGH_PRIORITY",
    "STRAIGHT_JOIN",
    "SQL_NO_CACHE",
    "SQL_CALC_FOUND_ROWS",
    "SQL_BIG_RESULT",
    "SQL_SMALL_RESULT",
];
const ENDS: [&str; 13] = [
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "ORDER",
    "LIMIT",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "WINDOW",
    "FOR",
    "LOCK",
    "INTO",
];
/// Words behind which an operand or a name of something else stands.
const OPERATORS: [&str; 21] = [
    "AND", "OR", "NOT", "XOR", "DIV", "MOD", "IS", "LIKE", "REGEXP", "RLIKE", "BETWEEN", "IN",
    "COLLATE", "BINARY", "CASE", "WHEN", "THEN", "ELSE", "INTERVAL", "DISTINCT", "AS",
];
/// Words that end an expression and are no alias.
const OPERAND_WORDS: [&str; 6] = ["END", "NULL", "TRUE", "FALSE", "UNKNOWN", "CURRENT_USER"];
