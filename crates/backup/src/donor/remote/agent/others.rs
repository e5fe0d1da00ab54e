//! REDO COPY of an agent: the log, and the files that are not InnoDB's.

use crate::donor::remote::intake::Sink;
use crate::donor::remote::link::protocol;
use crate::donor::remote::redo::RedoSink;
use crate::donor::remote::spool::Spool;
use crate::files::{FileKind, SERVER_DIRECTORIES};
use crate::recipient::Recipient;
use crate::set::layout::is_safe;
use crate::{FileDesc, FileId, Job, Progress, Result, Sealing, Stage};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wire::clone::{DataDescriptor, FileDescriptor};

/// Receives REDO COPY.
#[derive(Debug)]
pub(super) struct OthersSink {
    pub redo: RedoSink,
    spool: Spool,
    plain: Mutex<BTreeMap<u32, Plain>>,
    progress: Arc<Progress>,
}

/// A file that is not made of pages.
#[derive(Debug, Clone)]
struct Plain {
    name: String,
    size: u64,
    received: u64,
}

impl OthersSink {
    /// Kept in `scratch` until it is delivered.
    ///
    /// `keys` takes the key of an encrypted log.
    pub(super) fn new(scratch: &Path, keys: Option<Arc<Sealing>>, job: &Job) -> Result<Self> {
        let redo = Spool::new(scratch, "#clone/#received_redo")?;
        Ok(Self {
            redo: RedoSink::new(redo, keys, job),
            spool: Spool::new(scratch, "#clone/#received_files")?,
            plain: Mutex::default(),
            progress: Arc::clone(&job.progress),
        })
    }

    fn plain(&self) -> MutexGuard<'_, BTreeMap<u32, Plain>> {
        self.plain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Delivers the files that are not InnoDB's, under ids from `first_id` on; `taken` are names of
    /// others.
    pub(super) fn deliver_plain(
        &self,
        first_id: u32,
        mut taken: HashSet<String>,
        recipient: &dyn Recipient,
        job: &Job,
    ) -> Result<()> {
        let plain = self.plain().clone();
        for (id, (index, file)) in (first_id..).zip(plain) {
            if file.received != file.size {
                return Err(protocol(format!(
                    "{} of {} bytes of '{}' were sent",
                    file.received, file.size, file.name
                )));
            }
            if !taken.insert(file.name.clone()) {
                return Err(protocol(format!("two files with the name '{}'", file.name)));
            }
            let desc = FileDesc {
                id: FileId(id),
                name: file.name,
                kind: FileKind::Plain,
                space: None,
                length: file.size,
                allocated: file.size,
                source: None,
            };
            recipient.add_file(&desc)?;
            let mut buffer = vec![0; crate::io::BUFFER];
            let mut offset = 0;
            while offset < file.size {
                job.check()?;
                let piece = (file.size - offset).min(buffer.len() as u64) as usize;
                self.spool.read(index, offset, &mut buffer[..piece])?;
                recipient.write(desc.id, offset, &buffer[..piece])?;
                offset += piece as u64;
            }
            recipient.set_length(desc.id, file.size)?;
        }
        Ok(())
    }
}

impl Sink for OthersSink {
    fn announce(&self, file: &FileDescriptor) -> Result<()> {
        if file.space == FileDescriptor::REDO {
            return self.redo.announce(file);
        }
        let name = std::str::from_utf8(&file.name).ok().filter(|name| {
            let first = name.split('/').next().unwrap_or_default();
            is_safe(name) && !SERVER_DIRECTORIES.contains(&first) && !first.starts_with("#clone")
        });
        let Some(name) = name.filter(|_| file.space == FileDescriptor::BUFFER_POOL) else {
            let name = String::from_utf8_lossy(&file.name);
            return Err(protocol(format!("a file '{name}' in REDO COPY")));
        };
        let mut plain = self.plain();
        if plain.len() >= MAX_FILES {
            return Err(protocol("too many files"));
        }
        // Every connection announces the files.
        let known = plain.entry(file.index).or_insert_with(|| Plain {
            name: name.to_owned(),
            size: file.size,
            received: 0,
        });
        if known.name != name || known.size != file.size {
            return Err(protocol(format!("file {} is announced as two", file.index)));
        }
        Ok(())
    }

    fn put(&self, data: &DataDescriptor, bytes: &[u8]) -> Result<()> {
        {
            let mut plain = self.plain();
            let Some(file) = plain.get_mut(&data.file) else {
                drop(plain);
                return self.redo.put(data, bytes);
            };
            let end = data.offset.checked_add(bytes.len() as u64);
            if end.is_none_or(|end| end > file.size) {
                let name = &file.name;
                return Err(protocol(format!("bytes beyond the end of '{name}'")));
            }
            // Each block is put once.
            file.received += bytes.len() as u64;
        }
        self.progress.receive(Stage::PageCopy, bytes.len() as u64);
        self.spool.write(data.file, data.offset, bytes)
    }
}

/// Tables of other engines have three files at most, and a server some hundred thousand tables.
const MAX_FILES: usize = 1 << 22;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::JobOptions;

    fn file(index: u32, name: &str, size: u64) -> FileDescriptor {
        FileDescriptor {
            stage: wire::clone::Stage::RedoCopy,
            size,
            space: FileDescriptor::BUFFER_POOL,
            index,
            name: name.into(),
            ..FileDescriptor::default()
        }
    }

    fn data(file: u32, offset: u64) -> DataDescriptor {
        DataDescriptor {
            file,
            offset,
            ..DataDescriptor::default()
        }
    }

    #[test]
    fn what_no_agent_says_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::create_dir(scratch.path().join("#clone")).unwrap();
        let job = Job::new(&JobOptions::default(), Arc::default());
        let sink = OthersSink::new(scratch.path(), None, &job).unwrap();
        for name in [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "#clone/manifest.json",
            "#innodb_redo/#ib_redo0",
            "a//b",
        ] {
            assert_eq!(
                sink.announce(&file(1, name, 10)).unwrap_err().code(),
                3863,
                "{name}"
            );
        }
        let table = FileDescriptor {
            space: 7,
            ..file(1, "a/t.ibd", 10)
        };
        assert_eq!(sink.announce(&table).unwrap_err().code(), 3863);
        sink.announce(&file(1, "a/t.MYD", 10)).unwrap();
        // Every connection announces it, but not as another one.
        sink.announce(&file(1, "a/t.MYD", 10)).unwrap();
        assert!(sink.announce(&file(1, "a/t.MYD", 11)).is_err());
        assert!(sink.announce(&file(1, "a/t.MYI", 10)).is_err());
        sink.put(&data(1, 4), b"456789").unwrap();
        assert!(sink.put(&data(1, 8), b"890").is_err());
        assert!(sink.put(&data(1, u64::MAX), b"x").is_err());
        assert!(sink.put(&data(2, 0), b"x").is_err(), "never announced");
    }
}
