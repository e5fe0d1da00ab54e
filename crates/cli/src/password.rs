//! Asking for a password on the terminal.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, Read, Write as _};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use wire::Secret;

/// Asks on the terminal of the process, without echo; where there is none, takes the first line of
/// the standard input.
///
/// # Errors
/// `Interrupted` when the user pressed Ctrl-C.
pub(crate) fn ask() -> io::Result<Secret> {
    let Ok(mut terminal) = OpenOptions::new().read(true).write(true).open("/dev/tty") else {
        return first_line();
    };
    terminal.write_all(b"Enter password: ")?;
    let quiet = Quiet::new(terminal.try_clone()?)?;
    let text = typed(&mut terminal);
    drop(quiet);
    terminal.write_all(b"\n")?;
    Ok(Secret::new(text?))
}

fn first_line() -> io::Result<Secret> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(Secret::new(line.trim_end_matches(['\r', '\n'])))
}

/// Reads keys up to the end of the line. The terminal hands them over one by one and makes no
/// signal of Ctrl-C: a process killed here would leave a terminal without echo.
fn typed(keys: &mut impl Read) -> io::Result<String> {
    let mut text = Vec::new();
    loop {
        let mut key = [0];
        if keys.read(&mut key)? == 0 {
            break;
        }
        match key[0] {
            b'\r' | b'\n' | END_OF_TRANSMISSION => break,
            INTERRUPT => return Err(io::ErrorKind::Interrupted.into()),
            BACKSPACE | DELETE => erase_character(&mut text),
            KILL_LINE => text.clear(),
            byte => text.push(byte),
        }
    }
    String::from_utf8(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Takes the last character away: a byte of UTF-8 that begins one, and those that continue it.
fn erase_character(text: &mut Vec<u8>) {
    while let Some(byte) = text.pop() {
        if byte & 0xC0 != 0x80 {
            break;
        }
    }
}

/// A terminal that shows nothing of what is typed, as long as this lives.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn new(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut modes = before.clone();
        modes
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&terminal, OptionalActions::Flush, &modes)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

const INTERRUPT: u8 = 3;
const END_OF_TRANSMISSION: u8 = 4;
const BACKSPACE: u8 = 8;
const KILL_LINE: u8 = 21;
const DELETE: u8 = 127;

#[cfg(test)]
mod tests {
    use super::*;

    fn typing(keys: &[u8]) -> io::Result<String> {
        typed(&mut &*keys)
    }

    #[test]
    fn a_line_is_taken_up_to_its_end() {
        assert_eq!(typing(b"secret\nmore").unwrap(), "secret");
        assert_eq!(typing(b"\r").unwrap(), "");
        assert_eq!(typing(b"secret").unwrap(), "secret");
    }

    #[test]
    fn characters_and_lines_are_erased() {
        assert_eq!(typing("aé\u{7f}b\n".as_bytes()).unwrap(), "ab");
        assert_eq!(typing(b"\x7f\x08a\n").unwrap(), "a");
        assert_eq!(typing(b"abc\x15d\n").unwrap(), "d");
    }

    #[test]
    fn the_user_can_change_their_mind() {
        let error = typing(b"abc\x03").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    }
}
