//! What comes on one connection during a stage: a state machine of messages, without IO.

use super::chunks::Chunks;
use super::link::{kind_of, protocol};
use crate::Result;
use std::sync::{Mutex, PoisonError};
use wire::clone::{
    DataDescriptor, Descriptor, FileDescriptor, FileFlags, Response, Stage, StageDescriptor,
};

/// Takes what a stage delivers. Called by several connections at once.
pub(super) trait Sink: Sync {
    /// A file that the stage announces besides those of the list.
    fn announce(&self, file: &FileDescriptor) -> Result<()>;

    /// The file of a chunk was dropped: nothing more comes of it.
    fn dropped(&self, _chunk: u32) {}

    /// A block of data.
    fn put(&self, data: &DataDescriptor, bytes: &[u8]) -> Result<()>;
}

/// What a message means to who reads the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Read on.
    More,
    /// The stage has ended on this connection.
    Ended(StageDescriptor),
}

/// Reads one stage on one connection.
pub(super) struct Intake<'a> {
    stage: Stage,
    chunks: &'a Mutex<Chunks>,
    sink: &'a dyn Sink,
    /// The chunk that comes on this connection.
    current: Option<u32>,
    /// What the next packet is.
    expected: Option<DataDescriptor>,
}

impl<'a> Intake<'a> {
    pub(super) fn new(stage: Stage, chunks: &'a Mutex<Chunks>, sink: &'a dyn Sink) -> Self {
        Self {
            stage,
            chunks,
            sink,
            current: None,
            expected: None,
        }
    }

    /// Takes a message.
    pub(super) fn take(&mut self, response: &Response<'_>) -> Result<Step> {
        if let Some(data) = self.expected.take() {
            return match response {
                Response::Data(bytes) if bytes.len() == data.length as usize => {
                    self.data(&data, bytes)?;
                    Ok(Step::More)
                }
                Response::Data(bytes) => Err(protocol(format!(
                    "{} bytes of data where {} were announced",
                    bytes.len(),
                    data.length
                ))),
                other => Err(protocol(format!("expected data, found {}", kind_of(other)))),
            };
        }
        match response {
            Response::Descriptor(Descriptor::Task(_)) => Ok(Step::More),
            Response::Descriptor(Descriptor::Stage(stage)) => self.stage(*stage),
            Response::Descriptor(Descriptor::File(file)) => {
                self.file(file)?;
                Ok(Step::More)
            }
            Response::Descriptor(Descriptor::Data(data)) if data.stage == self.stage => {
                self.expected = Some(*data);
                Ok(Step::More)
            }
            other => Err(protocol(format!(
                "{} during {:?}",
                kind_of(other),
                self.stage
            ))),
        }
    }

    fn stage(&mut self, stage: StageDescriptor) -> Result<Step> {
        // Signs of life; after a lost connection also what is known of the stage before.
        if stage.acknowledges || stage.stage < self.stage {
            return Ok(Step::More);
        }
        if stage.stage > self.stage {
            return Err(protocol(format!(
                "{:?} begins before {:?} has ended",
                stage.stage, self.stage
            )));
        }
        if stage.begins {
            return Ok(Step::More);
        }
        self.move_to(None);
        Ok(Step::Ended(stage))
    }

    fn file(&mut self, file: &FileDescriptor) -> Result<()> {
        if file.stage == Stage::FileCopy && file.flags.has(FileFlags::DELETED) {
            // Dropped: nothing more comes of this chunk. That the file is gone is said after the
            // stage.
            self.move_to(None);
            self.chunks().complete(file.first_chunk);
            self.sink.dropped(file.first_chunk);
            return Ok(());
        }
        self.sink.announce(file)
    }

    fn data(&mut self, data: &DataDescriptor, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Err(protocol("a block without data"));
        }
        self.move_to(Some(data.chunk));
        // In PAGE COPY the pages of dropped tablespaces are left out.
        let gaps = self.stage == Stage::PageCopy;
        let wanted = self
            .chunks()
            .accept(data.chunk, data.block, data.file, gaps)?;
        if wanted {
            self.sink.put(data, bytes)?;
        }
        Ok(())
    }

    /// A connection delivers one chunk after the other: the one before is complete.
    fn move_to(&mut self, chunk: Option<u32>) {
        if self.current != chunk {
            if let Some(before) = self.current {
                self.chunks().complete(before);
            }
            self.current = chunk;
        }
    }

    fn chunks(&self) -> std::sync::MutexGuard<'_, Chunks> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Nowhere(Mutex<Vec<(u32, usize)>>);

    impl Sink for Nowhere {
        fn announce(&self, _: &FileDescriptor) -> Result<()> {
            Ok(())
        }

        fn put(&self, data: &DataDescriptor, bytes: &[u8]) -> Result<()> {
            self.0.lock().unwrap().push((data.chunk, bytes.len()));
            Ok(())
        }
    }

    fn data(chunk: u32, block: u32, length: u32) -> Response<'static> {
        Response::Descriptor(Descriptor::Data(DataDescriptor {
            stage: Stage::FileCopy,
            chunk,
            block,
            length,
            ..DataDescriptor::default()
        }))
    }

    fn stage(stage: Stage, begins: bool, acknowledges: bool) -> Response<'static> {
        Response::Descriptor(Descriptor::Stage(StageDescriptor {
            stage,
            begins,
            acknowledges,
            ..StageDescriptor::default()
        }))
    }

    fn deleted(chunk: u32) -> Response<'static> {
        Response::Descriptor(Descriptor::File(FileDescriptor {
            stage: Stage::FileCopy,
            flags: FileFlags::DELETED,
            first_chunk: chunk,
            ..FileDescriptor::default()
        }))
    }

    /// Takes all messages; how far it came, and what the donor would be told to leave out.
    fn run(messages: &[Response<'_>]) -> (Result<Step>, Vec<Option<u32>>) {
        let chunks = Mutex::new(Chunks::new(3).unwrap());
        let sink = Nowhere::default();
        let mut intake = Intake::new(Stage::FileCopy, &chunks, &sink);
        let mut result = Ok(Step::More);
        for message in messages {
            result = intake.take(message);
            if result.is_err() {
                break;
            }
        }
        let received = chunks.into_inner().unwrap().received();
        (
            result,
            (1..=3).map(|chunk| received.blocks(chunk)).collect(),
        )
    }

    #[test]
    fn a_stage_is_read_to_its_end() {
        let end = stage(Stage::FileCopy, false, false);
        let (result, received) = run(&[
            stage(Stage::FileCopy, true, false),
            data(1, 1, 2),
            Response::Data(b"ab"),
            stage(Stage::FileCopy, true, true),
            data(1, 2, 2),
            Response::Data(b"ab"),
            data(3, 1, 1),
            Response::Data(b"c"),
            deleted(2),
            end,
        ]);
        assert!(matches!(result, Ok(Step::Ended(_))));
        assert_eq!(received, [None, None, None]);
    }

    #[test]
    fn a_chunk_on_its_way_is_not_complete() {
        let (_, received) = run(&[
            data(2, 1, 2),
            Response::Data(b"ab"),
            data(3, 1, 2),
            Response::Data(b"ab"),
            data(3, 2, 2),
        ]);
        assert_eq!(received, [Some(0), None, Some(1)]);
    }

    #[test]
    fn what_no_donor_says_is_refused() {
        for messages in [
            vec![Response::Data(b"ab")],
            vec![data(1, 1, 3), Response::Data(b"ab")],
            vec![data(1, 1, 0), Response::Data(b"")],
            vec![data(1, 1, 2), data(1, 2, 2)],
            vec![data(4, 1, 2), Response::Data(b"ab")],
            vec![
                data(1, 1, 2),
                Response::Data(b"ab"),
                data(1, 1, 2),
                Response::Data(b"ab"),
            ],
            vec![stage(Stage::PageCopy, true, false)],
            vec![Response::Complete],
        ] {
            let (result, _) = run(&messages);
            assert_eq!(result.unwrap_err().code(), 3863, "{messages:?}");
        }
    }
}
