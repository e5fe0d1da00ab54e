//! `#clone/manifest.json`: what a set is, where it comes from and what it holds.

use super::Means;
use crate::files::FileKind;
use innodb::lsn::Lsn;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write};

/// Identity of a set: 32 hexadecimal digits, random.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SetId(String);

impl SetId {
    /// A new identity.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        let mut digits = String::with_capacity(32);
        for byte in bytes {
            // Writing to a string does not fail.
            let _ = write!(digits, "{byte:02x}");
        }
        Ok(Self(digits))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How the changed pages of a set were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PagesBy {
    /// They were not: the set has all pages.
    All,
    /// From page tracking, since the start LSN: those flushed after tracking began a new start
    /// point there.
    Tracked,
    /// By reading every page: those whose LSN is at least the start LSN.
    Scan,
}

/// Full or increment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SetKind {
    /// Every page.
    Full,
    /// The pages that changed since another set.
    Increment,
}

/// A process of the operating system, told apart from a later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessIdentity {
    /// Number, start time in clock ticks since boot (`/proc/PID/stat`), and the boot's id.
    Proc {
        /// Process number.
        pid: u32,
        /// Start time in clock ticks since boot.
        start: u64,
        /// `/proc/sys/kernel/random/boot_id`.
        boot: String,
    },
    /// Only the time of the server's start, from its uptime: seconds since 1970, some seconds off.
    Started {
        /// Seconds since 1970-01-01 00:00 UTC.
        at: i64,
    },
}

impl ProcessIdentity {
    /// Whether the two are surely the same process. In doubt they are not.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Proc { .. }, Self::Proc { .. }) => self == other,
            // Uptime has whole seconds and clocks are set: a restart takes longer than this.
            (Self::Started { at: a }, Self::Started { at: b }) => a.abs_diff(*b) <= 1,
            _ => false,
        }
    }
}

/// The server a set was taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerRecord {
    /// `server_uuid`.
    pub uuid: String,
    /// `version`.
    pub version: String,
    /// The process that ran during the backup.
    pub process: Option<ProcessIdentity>,
    /// Data directory at the time.
    pub datadir: String,
    /// Owner of the data directory: user and group number.
    pub owner: (u32, u32),
    /// Variables that a server on the restored directory must share.
    pub variables: std::collections::BTreeMap<String, String>,
    /// What a server must have that takes the set by the clone protocol. Sets of before this was
    /// recorded do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<ServerFeatures>,
    /// What the server calls its series, `LTS` or `INNOVATION`, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maturity: Option<String>,
}

impl ServerRecord {
    /// What a server of this version calls its series. No variable of it tells; a donor of CLONE
    /// does.
    pub(crate) fn maturity_of(version: &str) -> Option<String> {
        let lts = ["8.4.", "9.7."];
        let known = lts.iter().any(|series| version.starts_with(series));
        known.then(|| "LTS".to_owned())
    }
}

/// What a server can do that another one must be able to do too before it takes its data: what a
/// donor of CLONE tells its recipient.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFeatures {
    /// Active plugins: name, and library; empty for one that is built in.
    pub plugins: std::collections::BTreeMap<String, String>,
    /// Collations.
    pub collations: Vec<String>,
}

/// The LSNs of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LsnRecord {
    /// The set holds all changes since this one, in the sense of [`PagesBy`]; 0 for a full.
    pub start: Lsn,
    /// An increment by page tracking may start here; 0 without tracking.
    pub page_track: Lsn,
    /// Where the set's redo begins. Every change up to it is in the pages.
    pub checkpoint: Lsn,
    /// The set is consistent to this one.
    pub end: Lsn,
}

impl LsnRecord {
    /// What is shown as `PAGE_TRACK_LSN`, for `START_LSN` of the next increment: where page
    /// tracking began; of a set that came over the network (`means`) not more than its checkpoint,
    /// and without tracking that. Increments over the network find pages by their LSN, and every
    /// change below the checkpoint is in the pages. Of page tracking the checkpoint says nothing:
    /// what was flushed from it on need not have been tracked. So [`page_track`](Self::page_track)
    /// itself stays zero then, and no increment by page tracking can be linked to the set.
    pub fn next_start(&self, means: Option<&Means>) -> Lsn {
        match (means, self.page_track) {
            (None, track) => track,
            (Some(_), Lsn::ZERO) => self.checkpoint,
            (Some(_), track) => track.min(self.checkpoint),
        }
    }
}

/// A binary log position with the transactions executed there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinlogPosition {
    /// Name of the file; empty without a binary log.
    pub file: String,
    /// Offset in bytes.
    pub position: u64,
    /// `gtid_executed`, without line breaks.
    pub gtid_executed: String,
}

/// The set's own row of `clone_history`, times in microseconds since 1970 UTC.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloneRecord {
    /// ID in the catalogue that recorded the backup.
    pub id: i64,
    /// Connection id of the backup in the server.
    pub pid: i64,
    /// Begin.
    pub begin_us: i64,
    /// End.
    pub end_us: i64,
    /// `LOCAL INSTANCE`, or host and port of the donor.
    pub source: String,
    /// Directory of the set when it was made.
    pub destination: String,
}

/// The keys of a set's encrypted tablespaces are in a file of the set, sealed by a key of the
/// user's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysRecord {
    /// The key that seals: 16 hexadecimal digits, which say nothing about it.
    pub key_id: String,
    /// How many keys there are.
    pub count: u32,
}

/// What identifies a tablespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceRecord {
    /// Space id.
    pub id: u32,
    /// FSP flags.
    pub flags: u32,
    /// Physical page size in bytes.
    pub page_size: u32,
    /// Number of the file's first page (system tablespace of several files).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub first_page: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// What tells the donor's file from another that later has its name, number or space id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceIdentity {
    /// Absolute path on the donor.
    pub path: String,
    /// Inode number.
    pub inode: u64,
    /// Birth time in nanoseconds since 1970, where the file system keeps one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth: Option<i64>,
}

/// How a set holds a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// All bytes, under the file's name.
    Full,
    /// The changed pages, in `.delta`; the others are those of the parent's file with this space.
    Delta,
    /// All pages, in `.delta`; the parent's files do not matter.
    Whole,
}

/// A file as stored: name, size and digest of its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Path in the set.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// BLAKE3 of the bytes, hexadecimal.
    pub blake3: String,
    /// How the bytes are compressed; nothing for a plain file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compressed: Option<Compressed>,
}

/// What a compressed stored file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compressed {
    /// Algorithm; the file's name ends in its suffix.
    pub algorithm: frame::Algorithm,
    /// Bytes of the original.
    pub length: u64,
}

/// One file of the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Path in the restored data directory.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// How the set holds it.
    pub content: Content,
    /// Its length in bytes in the restored directory.
    pub length: u64,
    /// Bytes it takes on the donor's disk, holes not counted.
    pub allocated: u64,
    /// Pages in the delta; in a full set, those beside the file that are laid over it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pages: u32,
    /// The tablespace, for files made of pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<SpaceRecord>,
    /// The donor's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceIdentity>,
    /// What is stored for it.
    pub stored: Vec<StoredFile>,
}

/// The manifest of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format: 1, or a later one where there is anything that format 1 has no place for; see
    /// [`Manifest::format_needed`].
    pub format: u32,
    /// Version of the program that made the set.
    pub made_by: String,
    /// The set.
    pub id: SetId,
    /// The set it increments, where known.
    pub parent: Option<SetId>,
    /// Directory of the parent when the set was made.
    pub parent_path: Option<String>,
    /// Full or increment.
    pub kind: SetKind,
    /// Donor.
    pub server: ServerRecord,
    /// LSNs.
    pub lsn: LsnRecord,
    /// Binary log position at the end LSN.
    pub binlog: BinlogPosition,
    /// `innodb_page_size` in bytes.
    pub page_size: u32,
    /// The row of `clone_history`.
    pub clone: CloneRecord,
    /// How the changed pages were found.
    pub pages_by: PagesBy,
    /// How a backup over the network got them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub means: Option<Means>,
    /// The keys of encrypted tablespaces are sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeysRecord>,
    /// Directories of the restored data directory, empty schemas included.
    pub directories: Vec<String>,
    /// Files of the restored data directory.
    pub files: Vec<FileRecord>,
    /// Stored files that describe the set itself, all but the manifest and what digests it.
    pub own_files: Vec<StoredFile>,
}

impl Manifest {
    /// The version this program writes of sets without compressed files.
    pub const FORMAT: u32 = 1;

    /// The latest version this program knows.
    pub const NEWEST: u32 = 3;

    /// Every stored file with a digest, in the order of the chunk values.
    pub fn stored_files(&self) -> impl Iterator<Item = &StoredFile> {
        self.files
            .iter()
            .flat_map(|file| &file.stored)
            .chain(&self.own_files)
    }

    /// `PAGE_TRACK_LSN`, see [`LsnRecord::next_start`].
    pub fn next_start(&self) -> Lsn {
        self.lsn.next_start(self.means.as_ref())
    }

    /// An increment may start here if it follows page tracking; `None` without tracking.
    pub fn tracked_from(&self) -> Option<Lsn> {
        (self.lsn.page_track != Lsn::ZERO).then_some(self.lsn.page_track)
    }
}
