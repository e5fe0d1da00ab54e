//! `CLONE LOCAL …` and `CLONE INSTANCE FROM …`.

use std::path::PathBuf;

use wire::Secret;

use crate::error::Result;
use crate::lexer::{Kind, Token};
use crate::parser::Parser;
use crate::statement::{CloneStatement, Donor, From};

pub(super) fn statement(parser: &mut Parser<'_>) -> Result<CloneStatement> {
    parser.expect("CLONE")?;
    let statement = if parser.accept("LOCAL") {
        let directory = Some(data_directory(parser)?);
        with_tail(parser, None, directory)?
    } else {
        parser.expect("INSTANCE FROM")?;
        instance(parser)?
    };
    parser.end()?;
    Ok(statement)
}

fn instance(parser: &mut Parser<'_>) -> Result<CloneStatement> {
    let (user, host, port) = account(parser)?;
    parser.expect("IDENTIFIED BY")?;
    let password = Secret::new(parser.string()?);
    let is_next = |parser: &Parser<'_>| parser.peek().is_some_and(|token| token.is_word("DATA"));
    let directory = if is_next(parser) {
        Some(data_directory(parser)?)
    } else {
        None
    };
    let ssl = if parser.accept("REQUIRE") {
        let ssl = !parser.accept("NO");
        parser.expect("SSL")?;
        Some(ssl)
    } else {
        None
    };
    let donor = Donor {
        user,
        host,
        port,
        password,
        ssl,
    };
    if directory.is_none() {
        // No tail belongs to a clone that replaces the instance's own data.
        parser.end()?;
    }
    with_tail(parser, Some(donor), directory)
}

/// `user@host:port`, without blanks around the colon. The parts may be quoted.
fn account(parser: &mut Parser<'_>) -> Result<(String, String, u16)> {
    let user = parser.name_or_string()?;
    parser.expect_symbol("@")?;
    let is_host = |kind| matches!(kind, Kind::Host | Kind::Quoted | Kind::Text);
    let host = parser.take(is_host)?;
    let joined = |parser: &Parser<'_>| {
        let colon = parser
            .rest()
            .first()
            .is_some_and(|token| token.start == host.end);
        let port = parser.rest().get(1);
        colon && port.is_some_and(|token| token.start == host.end + 1)
    };
    if !joined(parser) {
        return Err(parser.error());
    }
    parser.expect_symbol(":")?;
    let before = parser.clone();
    let port = u16::try_from(parser.number()?).map_err(|_| before.error())?;
    Ok((user, host_name(&host), port))
}

/// Hosts compare in lower case.
fn host_name(token: &Token<'_>) -> String {
    token.text.to_lowercase()
}

fn data_directory(parser: &mut Parser<'_>) -> Result<PathBuf> {
    parser.expect("DATA DIRECTORY")?;
    parser.accept_equals();
    parser.string().map(PathBuf::from)
}

fn enable_page_track(parser: &mut Parser<'_>) -> Result<bool> {
    let enable = parser.accept("ENABLE");
    if enable {
        parser.expect("PAGE TRACK")?;
    }
    Ok(enable)
}

fn with_tail(
    parser: &mut Parser<'_>,
    donor: Option<Donor>,
    directory: Option<PathBuf>,
) -> Result<CloneStatement> {
    let mut page_track = enable_page_track(parser)?;
    let mut from = From::Nothing;
    if parser.accept("START_LSN") {
        parser.accept_equals();
        from = From::StartLsn(parser.number()?);
        page_track = page_track || enable_page_track(parser)?;
    } else if parser.accept("INCREMENT") {
        parser.expect("BASED DIRECTORY")?;
        parser.accept_equals();
        from = From::BasedOn(parser.string()?.into());
        if !page_track {
            parser.expect("ENABLE PAGE TRACK")?;
            page_track = true;
        }
    }
    Ok(CloneStatement {
        donor,
        directory,
        page_track,
        from,
    })
}
