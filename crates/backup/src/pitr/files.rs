//! Which binary logs there are, and in what order.

use crate::{Error, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Suffix of a compressed binary log.
const ZSTD: &str = ".zstd";
/// Suffix of the last log of an archive, which is not whole.
const PART: &str = ".part";

/// A binary log that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogFile {
    /// Its name on the server, for example `binlog.000013`.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Whether it is compressed.
    pub(crate) compressed: bool,
}

impl LogFile {
    /// Opens it for reading from the beginning.
    pub(crate) fn open(&self) -> Result<Source> {
        let error = |e| Error::io("open file", &self.path, e);
        let file = File::open(&self.path).map_err(error)?;
        if self.compressed {
            let decoder = zstd::Decoder::new(file).map_err(error)?;
            return Ok(Source::Compressed(Box::new(decoder)));
        }
        Ok(Source::Plain(file))
    }

    /// Bytes it takes.
    pub(crate) fn stored_bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |meta| meta.len())
    }
}

/// The bytes of a binary log.
pub(crate) enum Source {
    /// As they are.
    Plain(File),
    /// Decompressed as they are read.
    Compressed(Box<zstd::Decoder<'static, io::BufReader<File>>>),
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Compressed(decoder) => decoder.read(buffer),
        }
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Plain(file) => file.seek(to),
            Self::Compressed(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a compressed file is read from its beginning",
            )),
        }
    }
}

/// The binary logs of one server, by number.
#[derive(Debug)]
pub(crate) struct Logs {
    base: String,
    files: BTreeMap<u32, LogFile>,
    /// What the user named, for messages.
    named: String,
}

impl Logs {
    /// What is among `places`, files and directories, of the binary log to which `first` belongs
    /// (the name of a file on the server with this uuid).
    pub(crate) fn find(places: &[PathBuf], first: &str, server_uuid: &str) -> Result<Self> {
        let Some((base, _)) = number_of(first) else {
            return Err(Error::refused(
                1105,
                format!(
                    "the set's binary log position is in '{first}', which is no name of a binary log"
                ),
                "Replay the binary logs by hand, with mysqlbinlog.",
            ));
        };
        let named: Vec<_> = places.iter().map(|p| p.display().to_string()).collect();
        let mut logs = Self {
            base: base.to_owned(),
            files: BTreeMap::new(),
            named: named.join(", "),
        };
        for place in places {
            let meta =
                std::fs::metadata(place).map_err(|e| Error::io("open binary logs", place, e))?;
            if !meta.is_dir() {
                if !logs.take(place)? {
                    return Err(Error::refused(
                        1105,
                        format!(
                            "'{}' is not a file of the binary log {base}",
                            place.display()
                        ),
                        "A binary log keeps the name that it had on its server.",
                    ));
                }
                continue;
            }
            if let Some(server) = crate::archive::server_of(place)?
                && !server.eq_ignore_ascii_case(server_uuid)
            {
                return Err(Error::refused(
                    1105,
                    format!(
                        "'{}' is the archive of the server {server}, the set is of {server_uuid}",
                        place.display()
                    ),
                    "Name the binary logs of the server that was backed up.",
                ));
            }
            let error = |e| Error::io("read directory", place, e);
            for entry in std::fs::read_dir(place).map_err(error)? {
                logs.take(&entry.map_err(error)?.path())?;
            }
        }
        Ok(logs)
    }

    fn take(&mut self, path: &Path) -> Result<bool> {
        let Some(stored) = path.file_name().and_then(|name| name.to_str()) else {
            return Ok(false);
        };
        let name = stored.strip_suffix(ZSTD).unwrap_or(stored);
        let name = name.strip_suffix(PART).unwrap_or(name);
        let Some((_, number)) = number_of(name).filter(|(base, _)| *base == self.base) else {
            return Ok(false);
        };
        let file = LogFile {
            name: name.to_owned(),
            path: std::path::absolute(path).map_err(|e| Error::io("open file", path, e))?,
            compressed: stored.ends_with(ZSTD),
        };
        if let Some(other) = self.files.get(&number) {
            // Of a log that an archiver has just finished the part may still be there.
            let is_part = |path: &Path| path.extension().is_some_and(|end| end == &PART[1..]);
            if is_part(&other.path) != is_part(path) && other.path.parent() == file.path.parent() {
                if is_part(&other.path) {
                    self.files.insert(number, file);
                }
                return Ok(true);
            }
            let real = |path: &Path| {
                path.canonicalize()
                    .map_err(|e| Error::io("open file", path, e))
            };
            if real(&other.path)? != real(&file.path)? {
                return Err(Error::refused(
                    1105,
                    format!(
                        "{name} is there twice: '{}' and '{}'",
                        other.path.display(),
                        file.path.display()
                    ),
                    "Name one of them only.",
                ));
            }
            return Ok(true);
        }
        self.files.insert(number, file);
        Ok(true)
    }

    /// The file with this number.
    pub(crate) fn get(&self, number: u32) -> Option<&LogFile> {
        self.files.get(&number)
    }

    /// The name of the file with this number, whether it is there or not.
    pub(crate) fn name(&self, number: u32) -> String {
        // More digits than six appear by themselves.
        format!("{}.{number:06}", self.base)
    }

    /// Whether there is a file with a higher number.
    pub(crate) fn has_after(&self, number: u32) -> bool {
        self.files
            .last_key_value()
            .is_some_and(|(last, _)| *last > number)
    }

    /// Bytes that the files from this number on take.
    pub(crate) fn bytes_from(&self, number: u32) -> u64 {
        self.files
            .range(number..)
            .map(|(_, file)| file.stored_bytes())
            .sum()
    }

    /// What the user named.
    pub(crate) fn named(&self) -> &str {
        &self.named
    }
}

/// Base and number of a binary log's name: `binlog.000013` is number 13 of `binlog`. After
/// `binlog.999999` comes `binlog.1000000`.
pub(crate) fn number_of(name: &str) -> Option<(&str, u32)> {
    let (base, digits) = name.rsplit_once('.')?;
    let is_number = digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let padded = digits.len() == 6 || !digits.starts_with('0');
    if base.is_empty() || base.contains('/') || !is_number || !padded {
        return None;
    }
    // The server gives no higher number.
    let number = digits
        .parse()
        .ok()
        .filter(|number| *number <= 0x7FFF_FFFF)?;
    Some((base, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "c42c1e3e-0f41-11ef-b6bf-d08e7908bcb1";

    #[test]
    fn numbers_go_on_after_six_digits() {
        assert_eq!(number_of("binlog.000013"), Some(("binlog", 13)));
        assert_eq!(number_of("a.b-bin.1000000"), Some(("a.b-bin", 1_000_000)));
        for name in [
            "binlog",
            "binlog.13",
            "binlog.0000013",
            "binlog.index",
            ".000001",
            "binlog.99999999999",
        ] {
            assert_eq!(number_of(name), None, "{name}");
        }
    }

    #[test]
    fn a_finished_log_counts_and_not_its_part() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "binlog.000009.part",
            "binlog.000009.zstd",
            "binlog.000010.part",
        ] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let logs = Logs::find(&[dir.path().to_owned()], "binlog.000009", UUID).unwrap();
        assert!(logs.get(9).unwrap().compressed);
        let part = logs.get(10).unwrap();
        assert_eq!(
            (part.name.as_str(), part.compressed),
            ("binlog.000010", false)
        );
    }

    #[test]
    fn a_directory_holds_much_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "binlog.000009",
            "binlog.999999",
            "binlog.1000000.zstd",
            "binlog.index",
            "relay.000001",
        ] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let place = [dir.path().to_owned(), dir.path().join("binlog.000009")];
        let logs = Logs::find(&place, "binlog.000009", UUID).unwrap();
        let numbers: Vec<u32> = logs.files.keys().copied().collect();
        assert_eq!(numbers, [9, 999_999, 1_000_000]);
        assert!(logs.get(1_000_000).unwrap().compressed);
        assert_eq!(logs.name(1_000_000), "binlog.1000000");
        assert!(Logs::find(&[dir.path().join("relay.000001")], "binlog.000009", UUID).is_err());
        std::fs::write(dir.path().join("binlog.000009.zstd"), "").unwrap();
        let error = Logs::find(&place, "binlog.000009", UUID).unwrap_err();
        assert!(error.to_string().contains("there twice"), "{error}");
    }
}
