//! Which binary logs there are, and in what order.

use crate::archive::{ArchivedLog, LogName, Storage, server_of, stored_in};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A binary log that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogFile {
    /// Its name on the server, for example `binlog.000013`.
    pub(crate) name: String,
    /// Where it was.
    pub(crate) path: PathBuf,
    stored: ArchivedLog,
}

impl LogFile {
    fn new(stored: ArchivedLog) -> Result<Self> {
        let path = &stored.path;
        let path = std::path::absolute(path).map_err(|e| Error::io("open file", path, e))?;
        Ok(Self {
            name: stored.name.to_string(),
            stored: ArchivedLog {
                path: path.clone(),
                ..stored
            },
            path,
        })
    }

    /// Whether it is compressed.
    pub(crate) fn compressed(&self) -> bool {
        self.stored.storage == Storage::Zstd
    }

    /// Opens it for reading from the beginning. An archiver may have finished it since it was found:
    /// then it is the finished one, which begins with the same bytes.
    pub(crate) fn open(&self) -> Result<Source> {
        match open(&self.stored) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        match self.stored.finished()? {
            Some(finished) => open(&finished),
            None => Err(Error::refused(
                1105,
                format!(
                    "'{}' was found and is not there any more",
                    self.path.display()
                ),
                "Run the restore again on files that nobody removes.",
            )),
        }
    }

    /// Bytes it takes.
    pub(crate) fn stored_bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |meta| meta.len())
    }
}

/// Not [`ArchivedLog::open`]: a plain one can be sought in, and a compressed one of somebody else has
/// no index.
fn open(log: &ArchivedLog) -> Result<Source> {
    let error = |e| Error::io("open file", &log.path, e);
    let file = File::open(&log.path).map_err(error)?;
    if log.storage == Storage::Zstd {
        let decoder = zstd::Decoder::new(file).map_err(error)?;
        return Ok(Source::Compressed(Box::new(decoder)));
    }
    Ok(Source::Plain(file))
}

/// The bytes of a binary log.
pub(crate) enum Source {
    /// As they are.
    Plain(File),
    /// Decompressed as they are read.
    Compressed(Box<zstd::Decoder<'static, io::BufReader<File>>>),
}

impl Source {
    /// Whether it can be read from any byte on.
    pub(crate) fn can_seek(&self) -> bool {
        matches!(self, Self::Plain(_))
    }
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
                let named = ArchivedLog::stored_as(place);
                let finished = named.as_ref().map(ArchivedLog::finished).transpose()?;
                let taken = match finished.flatten().or(named) {
                    Some(log) => logs.take(log)?,
                    None => false,
                };
                if !taken {
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
            if let Some(server) = server_of(place)?
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
            for log in stored_in(place)? {
                logs.take(log)?;
            }
        }
        Ok(logs)
    }

    /// Whether it is a file of this binary log.
    fn take(&mut self, log: ArchivedLog) -> Result<bool> {
        let file = LogFile::new(log)?;
        let Some((_, number)) = number_of(&file.name).filter(|(base, _)| *base == self.base) else {
            return Ok(false);
        };
        if let Some(other) = self.files.get(&number) {
            let real = |path: &Path| {
                path.canonicalize()
                    .map_err(|e| Error::io("open file", path, e))
            };
            if real(&other.path)? != real(&file.path)? {
                return Err(Error::refused(
                    1105,
                    format!(
                        "{} is there twice: '{}' and '{}'",
                        file.name,
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
    let log: LogName = name.parse().ok()?;
    let (base, _) = name.rsplit_once('.')?;
    let number = u32::try_from(log.number()).ok();
    // The server gives no higher number.
    Some((base, number.filter(|number| *number <= 0x7FFF_FFFF)?))
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
        assert!(logs.get(9).unwrap().compressed());
        let part = logs.get(10).unwrap();
        assert_eq!(
            (part.name.as_str(), part.compressed()),
            ("binlog.000010", false)
        );
    }

    #[test]
    fn a_part_that_is_finished_after_it_was_found_is_read_as_the_finished_log() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let part = path("binlog.000009.part");
        std::fs::write(&part, "beginning").unwrap();
        let logs = Logs::find(&[dir.path().to_owned()], "binlog.000009", UUID).unwrap();
        let read = || {
            let mut source = logs.get(9).unwrap().open()?;
            let mut text = String::new();
            source.read_to_string(&mut text).unwrap();
            Ok::<_, Error>((text, source.can_seek()))
        };
        assert_eq!(read().unwrap(), ("beginning".into(), true));
        std::fs::rename(&part, path("binlog.000009")).unwrap();
        std::fs::write(path("binlog.000009"), "beginning and end").unwrap();
        assert_eq!(read().unwrap(), ("beginning and end".into(), true));
        // One that is named is the finished one at once.
        std::fs::write(&part, "beginning").unwrap();
        let places = [part.clone(), dir.path().to_owned()];
        let named = Logs::find(&places, "binlog.000009", UUID).unwrap();
        assert_eq!(named.get(9).unwrap().path, path("binlog.000009"));
        std::fs::remove_file(&part).unwrap();
        std::fs::remove_file(path("binlog.000009")).unwrap();
        let packed = zstd::encode_all(&b"beginning and end"[..], 3).unwrap();
        std::fs::write(path("binlog.000009.zstd"), packed).unwrap();
        assert_eq!(read().unwrap(), ("beginning and end".into(), false));
        std::fs::remove_file(path("binlog.000009.zstd")).unwrap();
        let error = read().unwrap_err();
        assert!(error.to_string().contains("not there any more"), "{error}");
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
        assert!(logs.get(1_000_000).unwrap().compressed());
        assert_eq!(logs.name(1_000_000), "binlog.1000000");
        assert!(Logs::find(&[dir.path().join("relay.000001")], "binlog.000009", UUID).is_err());
        std::fs::write(dir.path().join("binlog.000009.zstd"), "").unwrap();
        let error = Logs::find(&place, "binlog.000009", UUID).unwrap_err();
        assert!(error.to_string().contains("there twice"), "{error}");
    }
}
