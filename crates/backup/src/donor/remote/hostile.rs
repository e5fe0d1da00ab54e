//! Donors that say anything: an error, or data at a place that was announced; never a panic.

use super::chunks::Chunks;
use super::files::Files;
use super::intake::{Intake, Sink, Step};
use super::redo::RedoSink;
use super::sinks::{FileSink, PageSink};
use super::spool::Spool;
use crate::recipient::{Recipient, Snapshot, StagePlan};
use crate::{FileDesc, FileId, Job, JobOptions, Result};
use innodb::geometry::PageSize;
use innodb::ids::PageNo;
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use wire::clone::{
    DataDescriptor, Descriptor, FileDescriptor, FileFlags, Response, Stage, StageDescriptor,
};

/// Knows how long files may become.
#[derive(Debug, Default)]
struct Bounds(Mutex<HashMap<FileId, u64>>);

impl Recipient for Bounds {
    fn prepare(&self, _: &Job) -> Result<()> {
        Ok(())
    }

    fn begin(&self, _: crate::Stage, _: &StagePlan) -> Result<()> {
        Ok(())
    }

    fn add_file(&self, _: &FileDesc) -> Result<()> {
        Ok(())
    }

    fn write(&self, file: FileId, offset: u64, bytes: &[u8]) -> Result<()> {
        let sizes = self.0.lock().unwrap();
        assert!(offset + bytes.len() as u64 <= sizes[&file]);
        Ok(())
    }

    fn write_pages(&self, _: FileId, _: u64, _: &[PageNo], _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn set_length(&self, _: FileId, _: u64) -> Result<()> {
        Ok(())
    }

    fn end(&self, _: crate::Stage) -> Result<()> {
        Ok(())
    }

    fn sync(&self, _: &Job) -> Result<()> {
        Ok(())
    }

    fn seal(&self, _: &Snapshot) -> Result<()> {
        Ok(())
    }
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..4u32, 1 => Just(u32::MAX), 1 => any::<u32>()]
}

fn long() -> impl Strategy<Value = u64> {
    let pages = (0..5u64).prop_map(|pages| pages * 16384);
    prop_oneof![4 => pages, 1 => any::<u64>(), 1 => Just(u64::MAX)]
}

fn stage() -> impl Strategy<Value = Stage> {
    prop::sample::select(vec![Stage::FileCopy, Stage::PageCopy, Stage::RedoCopy])
}

prop_compose! {
    fn file()(
        stage in stage(), size in long(), flags in 0..0x20u16, space in number(), index in 0..4u32,
        chunks in (number(), number()), redo in any::<bool>(),
        name in prop::sample::select(vec!["./a/t.ibd", "/x/../y.ibd", "../..", "ibdata1", "", "u.ibu"]),
        space_flags in prop::sample::select(vec![16417u32, 16425, 0, u32::MAX]),
    ) -> FileDescriptor {
        FileDescriptor {
            stage, size, space_flags, index, flags: FileFlags(flags & !4),
            space: if redo { FileDescriptor::REDO } else { space },
            first_chunk: chunks.0, last_chunk: chunks.1, name: name.into(),
            ..FileDescriptor::default()
        }
    }
}

#[derive(Debug, Clone)]
enum Message {
    File(FileDescriptor),
    Data(DataDescriptor),
    Bytes(u32),
    Stage(StageDescriptor),
    Complete,
}

fn message() -> impl Strategy<Value = Message> {
    let data = (stage(), 0..4u32, number(), number(), long(), long());
    let data = data.prop_map(
        |(stage, chunk, block, file, offset, file_size)| DataDescriptor {
            stage,
            chunk,
            block,
            file,
            length: 16384,
            offset,
            file_size,
            ..DataDescriptor::default()
        },
    );
    let stages = (stage(), any::<bool>(), any::<bool>());
    let stages = stages.prop_map(|(stage, begins, acknowledges)| StageDescriptor {
        stage,
        begins,
        acknowledges,
        ..StageDescriptor::default()
    });
    prop_oneof![
        2 => file().prop_map(Message::File),
        6 => data.prop_map(Message::Data),
        6 => Just(Message::Bytes(16384)),
        1 => (0..20_000u32).prop_map(Message::Bytes),
        1 => stages.prop_map(Message::Stage),
        1 => Just(Message::Complete),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_a_donor_says_is_a_panic(
        list in prop::collection::vec(file(), 0..4),
        messages in prop::collection::vec(message(), 0..30),
        stage in stage(),
        filling in prop::sample::select(vec![0u8, 7]),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let job = Job::new(&JobOptions::default(), Arc::new(AtomicBool::new(false)));
        let mut files = Files::new(PageSize::DEFAULT);
        for file in &list {
            let _ = files.apply(file);
        }
        for (_, desc) in files.describe().unwrap_or_default() {
            prop_assert!(crate::set::layout::is_safe(&desc.name), "{}", desc.name);
            prop_assert!(!desc.name.starts_with("#clone"));
        }
        let bounds = Bounds::default();
        for (index, file) in (0..).zip(files.all()) {
            bounds.0.lock().unwrap().insert(FileId(index), file.size);
        }
        let spool = Spool::new(directory.path(), "spool").unwrap();
        let redo = RedoSink::new(Spool::new(directory.path(), "redo").unwrap(), None, &job);
        let file_sink = FileSink {
            files: &files,
            base: None,
            spool: &spool,
            recipient: &bounds,
            progress: &job.progress,
        };
        let page_sink = PageSink { files: &files, spool: &spool, progress: &job.progress };
        let sink: &dyn Sink = match stage {
            Stage::FileCopy => &file_sink,
            Stage::PageCopy => &page_sink,
            _ => &redo,
        };
        let chunks = Mutex::new(Chunks::new(3).unwrap());
        let mut intake = Intake::new(stage, &chunks, sink);
        for message in messages {
            let bytes;
            let response = match message {
                Message::File(file) => Response::Descriptor(Descriptor::File(file)),
                Message::Data(data) => Response::Descriptor(Descriptor::Data(data)),
                Message::Stage(stage) => Response::Descriptor(Descriptor::Stage(stage)),
                Message::Complete => Response::Complete,
                Message::Bytes(length) => {
                    bytes = vec![filling; length as usize];
                    Response::Data(&bytes)
                }
            };
            match intake.take(&response) {
                Ok(Step::More) => {}
                Ok(Step::Ended(_)) | Err(_) => break,
            }
        }
        for (_, file) in files.live() {
            let _ = file.length();
        }
        let _ = super::sinks::check_received(&files, 0);
    }
}
