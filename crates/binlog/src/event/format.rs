//! The first event of every file.

use super::ChecksumAlgorithm;
use crate::Problem;
use crate::cursor::Cursor;

/// A format description event (type 15).
///
/// | offset in the body | bytes | field |
/// |---:|---:|---|
/// | 0 | 2 | format version: 4 |
/// | 2 | 50 | version of the server, zeros behind it |
/// | 52 | 4 | time when the server started, or 0 in the files after its first |
/// | 56 | 1 | length of event headers: 19 |
/// | 57 | n | length of the fixed part of each event type |
/// | end-5 | 1 | checksum algorithm: 0 none, 1 CRC32 |
/// | end-4 | 4 | checksum |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatDescription {
    /// The server's version, for example `8.4.3`.
    pub server_version: String,
    /// When the server started, seconds since 1970, if this is the first file since; else 0.
    pub server_start: u32,
    /// Whether the other events have checksums.
    pub checksum: ChecksumAlgorithm,
}

impl FormatDescription {
    /// Parses the event's body without its checksum.
    ///
    /// # Errors
    /// [`Problem::Unsupported`] for files of MariaDB, and of MySQL before 5.6.1, which has no
    /// checksums; [`Problem::Damaged`].
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let mut cursor = Cursor::new(body);
        let version = cursor.u16("the format version")?;
        let server_version = cursor.take(50, "the server's version")?;
        let server_start = cursor.u32("the time of the server's start")?;
        let header_len = cursor.u8("the length of headers")?;
        if version != 4 || usize::from(header_len) != super::HEADER_LEN {
            let detail = format!("binary log format {version} with headers of {header_len} bytes");
            return Err(Problem::Unsupported(detail));
        }
        let text = server_version.split(|byte| *byte == 0).next();
        let server_version = String::from_utf8_lossy(text.unwrap_or_default()).into_owned();
        if server_version.to_ascii_lowercase().contains("mariadb") {
            let detail = format!("binary log of {server_version}: only those of MySQL are read");
            return Err(Problem::Unsupported(detail));
        }
        if version_number(&server_version).is_none_or(|number| number < 50_601) {
            let detail = format!("binary log of server version '{server_version}': too old");
            return Err(Problem::Unsupported(detail));
        }
        let lengths = cursor.rest().len().checked_sub(1);
        let lengths = lengths.ok_or_else(|| Problem::damaged("a format description cut short"))?;
        cursor.take(lengths, "the lengths of event types")?;
        let checksum = match cursor.u8("the checksum algorithm")? {
            0 => ChecksumAlgorithm::None,
            1 => ChecksumAlgorithm::Crc32,
            other => {
                let detail = format!("checksum algorithm {other} is not known");
                return Err(Problem::Unsupported(detail));
            }
        };
        Ok(Self {
            server_version,
            server_start,
            checksum,
        })
    }

    /// The version as one number: 80403 for 8.4.3.
    pub fn version_number(&self) -> u32 {
        version_number(&self.server_version).unwrap_or(0)
    }
}

fn version_number(text: &str) -> Option<u32> {
    let number = text
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .next()?;
    let mut parts = number.split('.').map(str::parse::<u32>);
    let [major, minor, patch] = [parts.next()?, parts.next()?, parts.next()?];
    let in_range = |part: u32| (part < 100).then_some(part);
    Some(in_range(major.ok()?)? * 10_000 + in_range(minor.ok()?)? * 100 + in_range(patch.ok()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_numbers() {
        assert_eq!(version_number("8.4.3"), Some(80_403));
        assert_eq!(version_number("8.0.32-26"), Some(80_032));
        assert_eq!(version_number("9.7.4-debug"), Some(90_704));
        assert_eq!(version_number(""), None);
        assert_eq!(version_number("8.4"), None);
    }
}
