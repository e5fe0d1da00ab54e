//! Recipients: what consumes a snapshot.

mod backup_set;
mod data_directory;
mod keep_away;
mod pack;
mod target;
mod tree;
mod views;
pub(crate) mod wire;

pub use backup_set::{BackupSetRecipient, SetOptions};
pub use data_directory::DataDirectoryRecipient;
pub(crate) use keep_away::{Admission, KEEP_AWAY};
pub use pack::Compression;
pub use target::{Target, free_space};

use crate::set::{BinlogPosition, LsnRecord, Means, PagesBy, ServerRecord, SetId, SetKind};
use crate::{FileDesc, FileId, Job, Result, Sealing, Stage};
use innodb::ids::PageNo;
use innodb::lsn::Lsn;
use roaring::RoaringBitmap;
use std::sync::Arc;

/// What a stage is going to deliver of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// All its bytes, by [`Recipient::write`]. What is not written is a hole.
    Whole,
    /// These pages, by [`Recipient::write_pages`]; the recipient has the others, or need not have.
    Pages(RoaringBitmap),
}

/// A file in a stage's plan.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedFile {
    /// The file. One that was in an earlier stage's plan keeps its id, whatever its name is now.
    pub desc: FileDesc,
    /// What the stage delivers of it.
    pub delivery: Delivery,
}

/// What a stage is going to deliver.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StagePlan {
    /// All files made of pages that the snapshot has. What an earlier plan had and this one has
    /// not is gone; other names are renames.
    pub files: Vec<PlannedFile>,
    /// All directories of the snapshot.
    pub directories: Vec<String>,
}

/// What a finished snapshot is, for the recipient to record.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Full or increment.
    pub kind: SetKind,
    /// The set an increment is based on.
    pub parent: Option<(SetId, String)>,
    /// Donor.
    pub server: ServerRecord,
    /// LSNs.
    pub lsn: LsnRecord,
    /// Binary log position at the end LSN.
    pub binlog: BinlogPosition,
    /// `innodb_page_size` in bytes.
    pub page_size: u32,
    /// How changed pages were found.
    pub pages_by: PagesBy,
    /// How a backup over the network got them.
    pub means: Option<Means>,
    /// Keys of encrypted tablespaces that are to be sealed: they are no longer where they were.
    pub keys: Option<Arc<Sealing>>,
    /// `LOCAL INSTANCE`, or host and port.
    pub source: String,
}

impl Snapshot {
    /// `PAGE_TRACK_LSN`.
    pub(crate) fn next_start(&self) -> Lsn {
        self.lsn.next_start(self.means.as_ref())
    }
}

/// Bytes of a turn where order does not matter: enough that opening the files does not count.
const TURN: u64 = 16 << 20;

/// Consumes a snapshot. Methods that take `&self` are called by several workers at once.
pub trait Recipient: Send + Sync + std::fmt::Debug {
    /// Makes the destination ready: DROP DATA.
    fn prepare(&self, job: &Job) -> Result<()>;

    /// Begins a stage that delivers `plan`.
    fn begin(&self, stage: Stage, plan: &StagePlan) -> Result<()>;

    /// A file outside the plans: redo, non-InnoDB tables. Delivered whole by [`Self::write`].
    fn add_file(&self, desc: &FileDesc) -> Result<()>;

    /// Bytes of a file that one worker delivers before another worker's turn comes. A recipient that
    /// puts bytes in order waits for the workers whose bytes come before, and has less to keep
    /// meanwhile when turns are short.
    fn turn(&self) -> u64 {
        TURN
    }

    /// Nothing more comes of a file delivered whole, and what came is worth nothing: it was
    /// replaced at the source. Other workers may still be delivering.
    fn abandon(&self, _file: FileId) {}

    /// Whether the piece at `offset` of a file delivered whole is wanted. The donor may leave out
    /// what is not, and deliver it all the same.
    fn wants(&self, _file: FileId, _offset: u64) -> bool {
        true
    }

    /// Bytes of a file delivered whole.
    fn write(&self, file: FileId, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Images of planned pages: `pages` are neighbours in the plan's order, the first of them has
    /// position `first` there; `images` holds their images in the same order.
    fn write_pages(&self, file: FileId, first: u64, pages: &[PageNo], images: &[u8]) -> Result<()>;

    /// The final length of a file.
    fn set_length(&self, file: FileId, length: u64) -> Result<()>;

    /// Whether everything that was delivered in this stage has come. If not, the donor delivers the
    /// pieces that are [wanted](Self::wants) once more.
    fn has_all(&self, _stage: Stage) -> Result<bool> {
        Ok(true)
    }

    /// Ends a stage: everything planned has been delivered.
    fn end(&self, stage: Stage) -> Result<()>;

    /// Makes everything durable: FILE SYNC.
    fn sync(&self, job: &Job) -> Result<()>;

    /// Records what the snapshot is and makes it usable. Nothing is usable before.
    fn seal(&self, snapshot: &Snapshot) -> Result<()>;
}
