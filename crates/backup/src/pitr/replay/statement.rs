//! A statement from the binary log, executed in a session as the donor's session executed it.

use crate::pitr::statement::EventDdl;
use crate::{Error, Result};
use binlog::gtid::Gtid;
use std::fmt::Write as _;
use wire::{Connection, quote_string};

/// A statement with what its meaning depends on (`Query_event`, status variables).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Logged<'a> {
    schema: &'a [u8],
    text: &'a [u8],
    sql_mode: Option<u64>,
    /// Client, connection and server.
    character_sets: Option<[u16; 3]>,
    schema_collation: Option<u16>,
    time_zone: Option<&'a [u8]>,
    locale: Option<u16>,
    microseconds: u32,
    /// Account of the session, where the statement leaves it open.
    invoker: Option<(&'a [u8], &'a [u8])>,
}

impl<'a> Logged<'a> {
    /// Takes the body of a query event apart. `None` if it is not one.
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let mut bytes = Bytes(body);
        bytes.take(8)?;
        let schema = usize::from(bytes.u8()?);
        bytes.take(2)?;
        let variables = usize::from(bytes.u16()?);
        let mut variables = Bytes(bytes.take(variables)?);
        let mut logged = Self {
            schema: bytes.take(schema)?,
            ..Self::default()
        };
        bytes.take(1)?;
        logged.text = bytes.0;
        while let Some(code) = variables.u8() {
            if !logged.variable(code, &mut variables)? {
                // The server writes them in a fixed order, and stops here too.
                break;
            }
        }
        Some(logged)
    }

    /// Reads one variable; `false` for one that is not known, whose length is not known either.
    fn variable(&mut self, code: u8, bytes: &mut Bytes<'a>) -> Option<bool> {
        match code {
            1 => self.sql_mode = Some(bytes.u64()?),
            4 => self.character_sets = Some([bytes.u16()?, bytes.u16()?, bytes.u16()?]),
            5 => self.time_zone = Some(bytes.text()?),
            7 => self.locale = Some(bytes.u16()?),
            8 => self.schema_collation = Some(bytes.u16()?),
            11 => self.invoker = Some((bytes.text()?, bytes.text()?)),
            12 => {
                // 254 schemas are too many to be named.
                let count = Some(bytes.u8()?).filter(|count| *count != 254);
                for _ in 0..count.unwrap_or(0) {
                    let end = bytes.0.iter().position(|byte| *byte == 0)?;
                    bytes.take(end + 1)?;
                }
            }
            13 => {
                let three = bytes.take(3)?;
                self.microseconds = three
                    .iter()
                    .rev()
                    .fold(0, |all, byte| all << 8 | u32::from(*byte));
            }
            6 => drop(bytes.text()?),
            0 | 3 | 10 => drop(bytes.take(4)?),
            9 | 17 => drop(bytes.take(8)?),
            18 => drop(bytes.take(2)?),
            16 | 19 | 20 => drop(bytes.take(1)?),
            _ => return Some(false),
        }
        Some(true)
    }

    /// What a session has to be set to.
    fn settings(&self, timestamp: u32) -> String {
        let mut text = format!("SET TIMESTAMP = {timestamp}.{:06}", self.microseconds);
        // Writing to a string does not fail.
        if let Some(mode) = self.sql_mode {
            let _ = write!(text, ", sql_mode = {mode}");
        }
        if let Some([client, connection, server]) = self.character_sets {
            let _ = write!(
                text,
                ", character_set_client = {client}, collation_connection = {connection}, collation_server = {server}"
            );
        }
        if let Some(zone) = self
            .time_zone
            .and_then(|zone| std::str::from_utf8(zone).ok())
        {
            let _ = write!(text, ", time_zone = {}", quote_string(zone));
        }
        if let Some(locale) = self.locale {
            let _ = write!(text, ", lc_time_names = {locale}");
        }
        if let Some(collation) = self.schema_collation {
            let _ = write!(text, ", collation_database = {collation}");
        }
        text
    }

    /// The statement. One that leaves the definer to the session gets it in words.
    fn statement(&self) -> Vec<u8> {
        let found = EventDdl::find(self.text).filter(|ddl| !ddl.has_definer);
        let (Some(ddl), Some((user, host))) = (found, self.invoker) else {
            return self.text.to_owned();
        };
        let mut text = self.text.to_owned();
        let name = |name: &[u8]| {
            let mut quoted = vec![b'`'];
            for byte in name {
                quoted.extend_from_slice(if *byte == b'`' {
                    b"``"
                } else {
                    std::slice::from_ref(byte)
                });
            }
            quoted.push(b'`');
            quoted
        };
        let definer = [b"DEFINER=", &name(user)[..], b"@", &name(host), b" "].concat();
        text.splice(ddl.keyword..ddl.keyword, definer);
        text
    }
}

/// What a session would be set to, and would execute, for the body of a query event.
pub(in crate::pitr) fn words(body: &[u8]) -> Option<(String, Vec<u8>)> {
    let logged = Logged::parse(body)?;
    Some((logged.settings(0), logged.statement()))
}

/// Executes the statement of a query event that began at `timestamp`, under its GTID.
pub(super) fn execute(
    session: &mut Connection,
    gtid: Option<&Gtid>,
    timestamp: u32,
    body: &[u8],
) -> Result<()> {
    let unreadable = || Error::refused(1105, "a statement in the binary log cannot be read", "");
    let logged = Logged::parse(body).ok_or_else(unreadable)?;
    let failed = |e: wire::Error| {
        let text = String::from_utf8_lossy(logged.text);
        let text: String = text.chars().take(300).collect();
        Error::refused(
            e.code().unwrap_or(1105),
            format!("replay the statement '{text}': {e}"),
            "",
        )
    };
    let mut schema = logged.schema;
    let gtid = gtid.map_or_else(|| "ANONYMOUS".to_owned(), ToString::to_string);
    // Before the character set is the statement's.
    session.execute("SET NAMES utf8mb4").map_err(failed)?;
    if !schema.is_empty() {
        // COM_INIT_DB: a name is bytes there. A statement may name its schemas itself, when the one
        // of its session is gone.
        let _ = command(session, 2, schema);
        schema = b"";
    }
    debug_assert!(schema.is_empty());
    session
        .execute(&logged.settings(timestamp))
        .map_err(failed)?;
    session
        .execute(&format!("SET gtid_next = '{gtid}'"))
        .map_err(failed)?;
    // COM_QUERY: the text is in the client's character set.
    let done = command(session, 3, &logged.statement());
    session
        .execute("SET gtid_next = 'AUTOMATIC', sql_mode = DEFAULT")
        .map_err(failed)?;
    done.map_err(failed)
}

fn command(session: &mut Connection, code: u8, payload: &[u8]) -> wire::Result<()> {
    session.send_command(code, payload)?;
    let packet = session.read_packet()?;
    match wire::Error::from_packet(&packet) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Bytes that are taken from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A length of one byte, and the text.
    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(length.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn settings_are_those_of_the_event() {
        let variables = [
            &b"\x00\0\0\0\0"[..],
            b"\x01\x20\0\0\0\0\0\0\0",
            b"\x06\x03std",
            b"\x04\x2d\0\x2d\0\xff\0",
            b"\x05\x06+08:00",
            b"\x0b\x04us`r\x04host",
            b"\x0c\x01shop\0",
            b"\x0d\x01\x02\0",
            b"\xf0",
        ]
        .concat();
        let text = b"alter event e disable";
        let mut body = vec![0; 8];
        body.extend([4, 0, 0]);
        body.extend(u16::try_from(variables.len()).unwrap().to_le_bytes());
        body.extend(&variables);
        body.extend(b"shop\0");
        body.extend(text);
        let logged = Logged::parse(&body).unwrap();
        assert_eq!((logged.schema, logged.text), (&b"shop"[..], &text[..]));
        assert_eq!(
            logged.settings(7),
            "SET TIMESTAMP = 7.000513, sql_mode = 32, character_set_client = 45, collation_connection = 45, \
             collation_server = 255, time_zone = '+08:00'"
        );
        assert_eq!(
            logged.statement(),
            b"alter DEFINER=`us``r`@`host` event e disable"
        );
    }

    proptest! {
        #[test]
        fn no_event_makes_it_panic(body: Vec<u8>) {
            let _ = words(&body);
        }
    }
}
