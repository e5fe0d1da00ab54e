//! The server's generic answers: OK, ERR and end of rows.

use crate::Error;
use crate::cursor::{Cursor, Malformed};

/// First byte of an OK packet.
pub(crate) const OK: u8 = 0x00;
/// First byte of an end-of-rows packet; in the login, of a request to switch the plugin.
pub(crate) const EOF: u8 = 0xFE;
/// First byte of an error packet.
pub(crate) const ERR: u8 = 0xFF;
/// First byte of a request for a local file.
pub(crate) const LOCAL_INFILE: u8 = 0xFB;

/// Another result follows this one.
pub(crate) const MORE_RESULTS: u16 = 0x0008;
/// The session reads backslashes in literals as themselves.
pub(crate) const NO_BACKSLASH_ESCAPES: u16 = 0x0200;

/// The end of a statement without rows, or of the rows of a statement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) affected: u64,
    pub(crate) status: u16,
    pub(crate) warnings: u16,
}

/// Parses an OK packet (first byte 0x00, or 0xFE after rows under `CLIENT_DEPRECATE_EOF`).
pub(crate) fn parse_ok(packet: &[u8]) -> Result<Finished, Malformed> {
    let mut cursor = Cursor::new(packet);
    cursor.u8("OK header")?;
    let affected = cursor.lenenc("affected rows")?;
    cursor.lenenc("last insert id")?;
    let status = cursor.u16("status flags")?;
    let warnings = cursor.u16("warnings")?;
    Ok(Finished {
        affected,
        status,
        warnings,
    })
}

/// Parses the EOF packet of servers without `CLIENT_DEPRECATE_EOF`.
pub(crate) fn parse_eof(packet: &[u8]) -> Result<Finished, Malformed> {
    let mut cursor = Cursor::new(packet);
    cursor.u8("EOF header")?;
    let warnings = cursor.u16("warnings")?;
    let status = cursor.u16("status flags")?;
    Ok(Finished {
        affected: 0,
        status,
        warnings,
    })
}

/// Parses an error packet into the error it reports.
pub(crate) fn parse_error(packet: &[u8]) -> Result<Error, Error> {
    let mut cursor = Cursor::new(packet);
    cursor.u8("error header")?;
    let code = cursor.u16("error number")?;
    // Before the login the server does not know whether we understand SQLSTATE, and leaves it out.
    let sqlstate = if cursor.peek() == Some(b'#') {
        cursor.u8("SQLSTATE marker")?;
        text(cursor.take(5, "SQLSTATE")?)
    } else {
        "HY000".to_owned()
    };
    let message = text(cursor.rest());
    Ok(Error::Server {
        code,
        sqlstate,
        message,
    })
}

/// Bytes of the server as text; what is not UTF-8 is replaced.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_before_the_login_have_no_sqlstate() {
        let error = parse_error(b"\xff\x10\x04Too many connections").unwrap();
        assert_eq!(
            error.to_string(),
            "server error 1040 (HY000): Too many connections"
        );
    }

    #[test]
    fn ok_packets_carry_rows_status_and_warnings() {
        let ok = parse_ok(&[0, 0xFC, 1, 2, 0, 8, 0, 3, 0]).unwrap();
        assert_eq!(
            ok,
            Finished {
                affected: 513,
                status: MORE_RESULTS,
                warnings: 3
            }
        );
        assert!(parse_ok(&[0, 0, 0, 2]).is_err());
    }
}
