//! `SET …` and `RESET PERSIST`.

use crate::error::Result;
use crate::lexer::Kind;
use crate::parser::Parser;
use crate::statement::{Assignment, Expression, Scope, Statement};

pub(super) fn statement(parser: &mut Parser<'_>) -> Result<Vec<Assignment>> {
    parser.expect("SET")?;
    if is_about_transactions(parser) {
        while parser.next().is_some() {}
        return Ok(vec![Assignment::Session]);
    }
    let mut assignments = vec![assignment(parser)?];
    while parser.accept_symbol(",") {
        assignments.push(assignment(parser)?);
    }
    parser.end()?;
    Ok(assignments)
}

pub(super) fn reset(parser: &mut Parser<'_>) -> Result<Statement> {
    parser.expect("RESET PERSIST")?;
    let if_exists = parser.accept("IF EXISTS");
    let is_named = if_exists || parser.peek().is_some();
    let name = if is_named { Some(parser.name()?) } else { None };
    parser.end()?;
    Ok(Statement::ResetPersist { name, if_exists })
}

/// `SET [SESSION | GLOBAL] TRANSACTION …`.
fn is_about_transactions(parser: &Parser<'_>) -> bool {
    let mut ahead = parser.clone();
    for scope in ["SESSION", "LOCAL", "GLOBAL"] {
        if ahead.accept(scope) {
            break;
        }
    }
    ahead.accept("TRANSACTION")
}

fn assignment(parser: &mut Parser<'_>) -> Result<Assignment> {
    if parser.accept("NAMES") {
        value_of_charset(parser)?;
        if parser.accept("COLLATE") {
            parser.name_or_string()?;
        }
        return Ok(Assignment::Session);
    }
    if parser.accept("CHARACTER SET") || parser.accept("CHARSET") {
        value_of_charset(parser)?;
        return Ok(Assignment::Session);
    }
    if parser.accept_symbol("@") {
        let is_name = |kind| matches!(kind, Kind::Host | Kind::Quoted | Kind::Text);
        let name = parser.take(is_name)?.text.to_lowercase();
        equals(parser)?;
        let value = expression(parser)?;
        return Ok(Assignment::User { name, value });
    }
    let (scope, name) = variable(parser)?;
    equals(parser)?;
    Ok(Assignment::Variable {
        scope,
        name,
        value: expression(parser)?,
    })
}

fn value_of_charset(parser: &mut Parser<'_>) -> Result<()> {
    let value = |kind| matches!(kind, Kind::Word | Kind::Text | Kind::Quoted);
    parser.take(value).map(drop)
}

fn equals(parser: &mut Parser<'_>) -> Result<()> {
    if parser.accept_equals() {
        return Ok(());
    }
    Err(parser.error())
}

/// `GLOBAL x`, `@@GLOBAL.x`, `@@x`, `x`: scope and name, in lower case.
fn variable(parser: &mut Parser<'_>) -> Result<(Scope, String)> {
    let is_system = parser.accept_symbol("@@");
    let mut scope = None;
    for (word, named) in SCOPES {
        let mut ahead = parser.clone();
        if !ahead.accept(word) {
            continue;
        }
        // `SET global = 1` would be about a variable of that name.
        if is_system && ahead.accept_symbol(".") || !is_system && !ahead.accept_equals() {
            *parser = ahead;
            scope = Some(named);
            break;
        }
    }
    let mut name = parser.name()?;
    while parser.accept_symbol(".") {
        name.push('.');
        name.push_str(&parser.name()?);
    }
    Ok((scope.unwrap_or(Scope::Session), name.to_ascii_lowercase()))
}

/// Up to the next comma outside of parentheses.
fn expression(parser: &mut Parser<'_>) -> Result<Expression> {
    let mut depth = 0_usize;
    let mut tokens = Vec::new();
    while let Some(token) = parser.peek() {
        if depth == 0 && token.is_symbol(",") {
            break;
        }
        depth += usize::from(token.is_symbol("("));
        depth = depth.saturating_sub(usize::from(token.is_symbol(")")));
        tokens.extend(parser.next());
    }
    let source = parser.source();
    match tokens.as_slice() {
        [] => Err(parser.error()),
        [token] if token.is_word("DEFAULT") => Ok(Expression::Default),
        [token] => {
            let text = token.text.clone().into_owned();
            Ok(match token.kind {
                Kind::Word | Kind::Quoted => Expression::Name(text),
                Kind::Text => Expression::Text(text),
                Kind::Number => Expression::Number(text),
                Kind::Host | Kind::Symbol => return Err(parser.error()),
            })
        }
        [sign, number] if sign.is_symbol("-") && number.kind == Kind::Number => {
            Ok(Expression::Number(format!("-{}", number.text)))
        }
        [first, .., last] => Ok(Expression::Other(source[first.start..last.end].to_owned())),
    }
}

const SCOPES: [(&str, Scope); 5] = [
    ("GLOBAL", Scope::Global),
    ("SESSION", Scope::Session),
    ("LOCAL", Scope::Session),
    ("PERSIST", Scope::Persist),
    ("PERSIST_ONLY", Scope::PersistOnly),
];
