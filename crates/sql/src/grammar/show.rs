//! `SHOW …`, `DESC …`.

use crate::error::{Result, SqlError};
use crate::parser::Parser;
use crate::statement::{Filter, List, Scope, Show, TableName};

pub(super) fn statement(parser: &mut Parser<'_>) -> Result<Show> {
    parser.expect("SHOW")?;
    let show = shown(parser)?;
    parser.end()?;
    Ok(show)
}

pub(super) fn describe(parser: &mut Parser<'_>) -> Result<Show> {
    let explain = parser.next().is_some_and(|token| token.is_word("EXPLAIN"));
    let is_query = |parser: &Parser<'_>| {
        let next = parser.peek();
        next.is_some_and(|token| {
            ["SELECT", "WITH", "TABLE", "FORMAT", "ANALYZE"]
                .iter()
                .any(|word| token.is_word(word))
        })
    };
    if is_query(parser) {
        return Err(SqlError::unsupported(if explain {
            "EXPLAIN"
        } else {
            "DESCRIBE"
        }));
    }
    let table = table_name(parser)?;
    let filter = match parser.peek() {
        Some(_) => Filter::Like(parser.name_or_string()?),
        None => Filter::None,
    };
    parser.end()?;
    Ok(Show::Columns {
        table,
        full: false,
        filter,
    })
}

fn shown(parser: &mut Parser<'_>) -> Result<Show> {
    if parser.accept("CREATE TABLE") {
        return table_name(parser).map(Show::CreateTable);
    }
    if parser.accept("MASTER STATUS") || parser.accept("BINARY LOG STATUS") {
        return Ok(Show::BinaryLogStatus);
    }
    if parser.accept("BINARY LOGS") || parser.accept("MASTER LOGS") {
        return Ok(Show::BinaryLogs);
    }
    if parser.accept("DATABASES") || parser.accept("SCHEMAS") {
        let filter = filter(parser)?;
        return Ok(Show::Databases { filter });
    }
    if parser.accept("GRANTS") {
        if parser.accept("FOR CURRENT_USER") && parser.accept_symbol("(") {
            parser.expect_symbol(")")?;
        }
        return Ok(Show::Grants);
    }
    if let Some(show) = listed(parser)? {
        return Ok(show);
    }
    if let Some(show) = messages(parser)? {
        return Ok(show);
    }
    let full = parser.accept("FULL");
    if parser.accept("PROCESSLIST") {
        return Ok(Show::ProcessList { full });
    }
    if parser.accept("TABLES") {
        let schema = in_schema(parser)?;
        let filter = filter(parser)?;
        return Ok(Show::Tables {
            schema,
            full,
            filter,
        });
    }
    if parser.accept("COLUMNS") || parser.accept("FIELDS") {
        return columns(parser, full);
    }
    if full {
        return Err(parser.error());
    }
    for words in NOT_HERE {
        if parser.accept(words) {
            return Err(SqlError::unsupported(&format!("SHOW {words}")));
        }
    }
    let scope = scope(parser);
    if parser.accept("VARIABLES") {
        let filter = filter(parser)?;
        return Ok(Show::Variables { scope, filter });
    }
    if parser.accept("STATUS") {
        let filter = filter(parser)?;
        return Ok(Show::Status { filter });
    }
    Err(parser.error())
}

/// What `information_schema` has, in other columns.
fn listed(parser: &mut Parser<'_>) -> Result<Option<Show>> {
    for (words, list) in [
        ("CHARACTER SET", List::CharacterSets),
        ("CHARSET", List::CharacterSets),
        ("COLLATION", List::Collations),
        ("ENGINES", List::Engines),
        ("STORAGE ENGINES", List::Engines),
        ("PLUGINS", List::Plugins),
        ("INDEX", List::Indexes),
        ("INDEXES", List::Indexes),
        ("KEYS", List::Indexes),
        ("EXTENDED INDEX", List::Indexes),
        ("TABLE STATUS", List::TableStatus),
    ] {
        if !parser.accept(words) {
            continue;
        }
        let mut table = None;
        if list == List::Indexes {
            if !parser.accept("FROM") {
                parser.expect("IN")?;
            }
            table = Some(table_name(parser)?);
        }
        if [List::Indexes, List::TableStatus].contains(&list)
            && let Some(schema) = in_schema(parser)?
        {
            let name = table.map_or(String::new(), |table: TableName| table.name);
            table = Some(TableName {
                schema: Some(schema),
                name,
            });
        }
        let filter = filter(parser)?;
        return Ok(Some(Show::Listed {
            list,
            table,
            filter,
        }));
    }
    Ok(None)
}

/// `WARNINGS`, `ERRORS`, `COUNT(*) WARNINGS`; a limit is taken and has no effect, there are only
/// ever a few.
fn messages(parser: &mut Parser<'_>) -> Result<Option<Show>> {
    let count = parser.accept("COUNT");
    if count {
        parser.expect_symbol("(")?;
        parser.expect_symbol("*")?;
        parser.expect_symbol(")")?;
    }
    let errors_only = parser.accept("ERRORS");
    if !errors_only && !parser.accept("WARNINGS") {
        return if count { Err(parser.error()) } else { Ok(None) };
    }
    if !count && parser.accept("LIMIT") {
        parser.number()?;
        if parser.accept_symbol(",") {
            parser.number()?;
        }
    }
    Ok(Some(Show::Warnings { errors_only, count }))
}

fn columns(parser: &mut Parser<'_>, full: bool) -> Result<Show> {
    if !parser.accept("FROM") {
        parser.expect("IN")?;
    }
    let mut table = table_name(parser)?;
    if let Some(schema) = in_schema(parser)? {
        table.schema = Some(schema);
    }
    let filter = filter(parser)?;
    Ok(Show::Columns {
        table,
        full,
        filter,
    })
}

fn in_schema(parser: &mut Parser<'_>) -> Result<Option<String>> {
    if parser.accept("FROM") || parser.accept("IN") {
        return parser.name().map(Some);
    }
    Ok(None)
}

fn scope(parser: &mut Parser<'_>) -> Scope {
    if parser.accept("GLOBAL") {
        return Scope::Global;
    }
    if !parser.accept("SESSION") {
        parser.accept("LOCAL");
    }
    Scope::Session
}

fn filter(parser: &mut Parser<'_>) -> Result<Filter> {
    if parser.accept("LIKE") {
        return parser.string().map(Filter::Like);
    }
    if parser.accept("WHERE") {
        if parser.peek().is_none() {
            return Err(parser.error());
        }
        let from = parser.tokens().len() - parser.rest().len();
        // The engine reads the condition.
        while parser.next().is_some() {}
        return Ok(Filter::Where { from });
    }
    Ok(Filter::None)
}

fn table_name(parser: &mut Parser<'_>) -> Result<TableName> {
    let first = parser.name()?;
    if parser.accept_symbol(".") {
        let name = parser.name()?;
        return Ok(TableName {
            schema: Some(first),
            name,
        });
    }
    Ok(TableName {
        schema: None,
        name: first,
    })
}

/// What the server shows and nothing here has.
const NOT_HERE: [&str; 18] = [
    "BINLOG EVENTS",
    "CREATE DATABASE",
    "CREATE EVENT",
    "CREATE FUNCTION",
    "CREATE PROCEDURE",
    "CREATE SCHEMA",
    "CREATE TRIGGER",
    "CREATE USER",
    "CREATE VIEW",
    "ENGINE",
    "EVENTS",
    "FUNCTION STATUS",
    "OPEN TABLES",
    "PRIVILEGES",
    "PROCEDURE STATUS",
    "PROFILES",
    "REPLICA STATUS",
    "TRIGGERS",
];
