//! Where the donor is: its task, and the begin and end of stages.

use super::numbers::Put as _;
use super::{Dialect, Stage, StageExtra};
use crate::cursor::{Cursor, Malformed};

/// Which task of the donor serves a connection; the first descriptor after EXECUTE. For
/// information only.
///
/// | offset | bytes | |
/// |---|---|---|
/// | 12 | 4 | task |
/// | 16 | 4 | chunk |
/// | 20 | 4 | block |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TaskDescriptor {
    /// The task: 0 is the master's.
    pub task: u32,
    /// The chunk it begins with.
    pub chunk: u32,
    /// The block it begins with.
    pub block: u32,
}

impl TaskDescriptor {
    pub(super) fn decode_body(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            task: cursor.be32("task")?,
            chunk: cursor.be32("chunk of a task")?,
            block: cursor.be32("block of a task")?,
        })
    }

    pub(super) fn encode_body(&self, out: &mut Vec<u8>) {
        out.put32(self.task);
        out.put32(self.chunk);
        out.put32(self.block);
    }
}

/// The begin or the end of a stage; as acknowledgement and sign of life too.
///
/// | offset | bytes | |
/// |---|---|---|
/// | 12 | 4 | stage |
/// | 16 | 4 | task |
/// | 20 | 4 | chunks of the stage |
/// | 24 | 4 | FILE COPY: data files. PAGE COPY: pages. REDO COPY: redo files. Else 0 |
/// | 28 | 8 | bytes to transfer, estimated |
/// | 36 | 8 | bytes on disk, estimated |
/// | 44 | 2 | flags: 1 begin (else end), 2 acknowledgement or sign of life |
///
/// In GreatSQL's dialect [`StageExtra`] lies between: four bytes at offset 28, the estimates behind
/// them, 32 bytes at offset 48, the flags at offset 80.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StageDescriptor {
    /// The stage.
    pub stage: Stage,
    /// The donor's task.
    pub task: u32,
    /// Chunks of the stage.
    pub chunks: u32,
    /// Files, pages, or redo files of the stage.
    pub files: u32,
    /// Bytes to transfer, estimated; the master's begin only.
    pub estimate: u64,
    /// Bytes on disk, estimated.
    pub estimate_disk: u64,
    /// What MySQL's protocol has no place for, and does not carry.
    pub extra: StageExtra,
    /// The stage begins; else it ends.
    pub begins: bool,
    /// From the donor: a sign of life while it waits. From the client: acknowledges the end.
    pub acknowledges: bool,
}

impl StageDescriptor {
    /// What a client sends back to acknowledge this end of a stage.
    #[must_use]
    pub fn acknowledgement(self) -> Self {
        Self {
            acknowledges: true,
            ..self
        }
    }

    pub(super) fn decode_body(
        dialect: Dialect,
        cursor: &mut Cursor<'_>,
    ) -> Result<Self, Malformed> {
        let stage = cursor.stage()?;
        let task = cursor.be32("task of a stage")?;
        let chunks = cursor.be32("chunks of a stage")?;
        let files = cursor.be32("files of a stage")?;
        let data_files = match dialect {
            Dialect::Stock => 0,
            Dialect::GreatSql => cursor.be32("data files of a stage")?,
        };
        let estimate = cursor.be64("estimate of a stage")?;
        let estimate_disk = cursor.be64("estimate of disk space")?;
        let extra = match dialect {
            Dialect::Stock => StageExtra::default(),
            Dialect::GreatSql => StageExtra::decode(data_files, cursor)?,
        };
        let flags = cursor.be16("flags of a stage")?;
        Ok(Self {
            stage,
            task,
            chunks,
            files,
            estimate,
            estimate_disk,
            extra,
            begins: flags & BEGIN != 0,
            acknowledges: flags & ACKNOWLEDGE != 0,
        })
    }

    pub(super) fn encode_body(&self, dialect: Dialect, out: &mut Vec<u8>) {
        out.put32(self.stage.number().into());
        out.put32(self.task);
        out.put32(self.chunks);
        out.put32(self.files);
        if dialect == Dialect::GreatSql {
            out.put32(self.extra.data_files);
        }
        out.put64(self.estimate);
        out.put64(self.estimate_disk);
        if dialect == Dialect::GreatSql {
            self.extra.encode(out);
        }
        let begin = if self.begins { BEGIN } else { 0 };
        let acknowledge = if self.acknowledges { ACKNOWLEDGE } else { 0 };
        out.put16(begin | acknowledge);
    }
}

const BEGIN: u16 = 1;
const ACKNOWLEDGE: u16 = 2;
