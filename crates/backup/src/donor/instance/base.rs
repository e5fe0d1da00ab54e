//! What an increment is based on, and how its changed pages are to be found.

use super::facts::Facts;
use super::inventory::SourceFile;
use super::session::Session;
use super::tracked::Group;
use crate::agent::{BaseFile, BaseTold};
use crate::chain::OTHER_BASE;
use crate::set::{BackupSet, Manifest, ProcessIdentity, SetId};
use crate::{Error, Result};
use innodb::lsn::Lsn;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where an increment starts, as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncrementFrom {
    /// From the state of a backup set.
    Set(PathBuf),
    /// From an LSN that an earlier backup gave as PAGE_TRACK_LSN.
    StartLsn(Lsn),
    /// From the state of a set elsewhere, of which this is known.
    Told(Box<BaseTold>),
}

/// How changed pages are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// From page tracking.
    Tracked,
    /// By reading the LSN of every page.
    Scan,
}

/// What an increment is based on.
#[derive(Debug)]
pub(super) struct Base {
    pub parent: Option<(SetId, String)>,
    /// Changes since this LSN are wanted.
    pub start: Lsn,
    /// Files of the parent by space id and first page; `None` without a parent, when every file
    /// has to be taken for one that the parent had.
    files: Option<HashMap<(u32, u32), Known>>,
    pub method: Method,
}

/// A file of the base.
#[derive(Debug, Clone, Copy)]
struct Known {
    page_size: u32,
    /// Inode and birth time.
    identity: Option<(u64, Option<i64>)>,
}

impl Base {
    /// Decides what the increment is based on; refuses what cannot be right.
    pub(super) fn find(
        from: &IncrementFrom,
        scan: bool,
        session: &mut Session,
        facts: &Facts,
    ) -> Result<Self> {
        let base = match from {
            IncrementFrom::Set(path) => Self::from_set(path, scan, facts)?,
            IncrementFrom::Told(base) => Self::from_told(base, "the base", facts)?,
            IncrementFrom::StartLsn(lsn) => Self {
                parent: None,
                start: *lsn,
                files: None,
                method: if scan { Method::Scan } else { Method::Tracked },
            },
        };
        let now = session.log_status()?.lsn;
        if base.start > now {
            return Err(Error::NotReached {
                start: base.start,
                reason: format!("the server's current LSN is {now}"),
            });
        }
        if base.method == Method::Tracked {
            base.check_tracking(from, session, facts)?;
        }
        Ok(base)
    }

    fn from_set(path: &Path, scan: bool, facts: &Facts) -> Result<Self> {
        let path = std::path::absolute(path).map_err(|e| Error::io("open backup set", path, e))?;
        let set = BackupSet::open(&path)?;
        let manifest = set.manifest();
        let told = BaseTold::of(manifest, scan);
        let label = format!("'{}'", path.display());
        let parent = Some((manifest.id.clone(), path.display().to_string()));
        let base = Self::from_told(&told, &label, facts)?;
        Ok(Self { parent, ..base })
    }

    fn from_told(told: &BaseTold, label: &str, facts: &Facts) -> Result<Self> {
        if told.uuid != facts.uuid {
            return Err(Error::broken_chain(
                format!(
                    "{label} is a backup of server {}, this is {}",
                    told.uuid, facts.uuid
                ),
                OTHER_BASE,
            ));
        }
        if told.page_size != facts.page_size.get() {
            return Err(Error::broken_chain(
                format!(
                    "{label} has pages of {} bytes, the server has {}",
                    told.page_size, facts.page_size
                ),
                OTHER_BASE,
            ));
        }
        let tracked = (told.page_track != Lsn::ZERO).then_some(told.page_track);
        if tracked.is_none() && !told.scan {
            return Err(Error::NotTracked {
                start: told.checkpoint,
                reason: format!("{label} was taken without page tracking"),
            });
        }
        let mut method = if told.scan {
            Method::Scan
        } else {
            Method::Tracked
        };
        let same = matches!((&told.process, &facts.process), (Some(a), Some(b)) if a.same(b));
        if method == Method::Tracked && !same {
            tracing::warn!(
                "the server has been restarted since {label} was taken: page tracking can have lost \
                 pages, so changed pages are found by reading the LSN of every page"
            );
            method = Method::Scan;
        }
        Ok(Self {
            parent: None,
            start: match (method, tracked) {
                (Method::Tracked, Some(tracked)) => tracked,
                // What changed before the checkpoint is in the base's pages. The start point of
                // page tracking may be later, and pages changed in between are not.
                _ => told.checkpoint,
            },
            files: Some(told.files.iter().map(known).collect()),
            method,
        })
    }

    /// Tracking must have been on, without a break, since the start LSN.
    fn check_tracking(
        &self,
        from: &IncrementFrom,
        session: &mut Session,
        facts: &Facts,
    ) -> Result<()> {
        let not_tracked = |reason: &str| Error::NotTracked {
            start: self.start,
            reason: reason.into(),
        };
        let begin = match session.tracking_start(Some(&facts.datadir)) {
            Ok(begin) => begin,
            Err(Error::Refused { code: 1305, .. }) => {
                return Err(not_tracked("the component mysqlbackup is not installed"));
            }
            Err(other) => return Err(other),
        };
        let Some(begin) = begin else {
            return Err(not_tracked("page tracking is off"));
        };
        if begin > self.start {
            return Err(match from {
                IncrementFrom::Set(_) | IncrementFrom::Told(_) => {
                    not_tracked(&format!("page tracking was restarted at LSN {begin}"))
                }
                IncrementFrom::StartLsn(lsn) => Error::NoResetPoint(*lsn),
            });
        }
        if *from == IncrementFrom::StartLsn(self.start) && !group_is_of_this_process(facts)? {
            return Err(not_tracked(
                "page tracking was switched on before the server's last start and can have lost \
                 pages since; name the base by --based-on to have them found by their LSN",
            ));
        }
        Ok(())
    }

    /// Whether the parent has this very file, so that only its changed pages are needed.
    pub(super) fn has(&self, file: &SourceFile) -> bool {
        let Some(files) = &self.files else {
            return true;
        };
        let Some(space) = &file.space else {
            return false;
        };
        let Some(known) = files.get(&(space.id.get(), space.first_page)) else {
            return false;
        };
        let same_pages = known.page_size as usize == space.geometry.physical();
        let same_file = match known.identity {
            Some((inode, birth)) => inode == file.identity.inode && birth == file.identity.birth,
            // A backup over the network knows no inodes. By their LSN changed pages are found
            // whatever the file is, as long as it is of the same tablespace.
            None => self.method == Method::Scan,
        };
        // Without birth times an inode number used again cannot be told from the old file; a
        // space id that is used again with it happens only by import, which is tracked.
        same_pages && same_file
    }
}

fn known(file: &BaseFile) -> ((u32, u32), Known) {
    let (space, first_page, page_size, inode, birth) = *file;
    let known = Known {
        page_size,
        identity: inode.map(|inode| (inode, birth)),
    };
    ((space, first_page), known)
}

impl BaseTold {
    /// What a manifest says.
    pub(in crate::donor) fn of(manifest: &Manifest, scan: bool) -> Self {
        let files = manifest.files.iter().filter_map(|file| {
            let space = file.space?;
            let source = file.source.as_ref();
            let (inode, birth) =
                source.map_or((None, None), |source| (Some(source.inode), source.birth));
            Some((space.id, space.first_page, space.page_size, inode, birth))
        });
        Self {
            uuid: manifest.server.uuid.clone(),
            process: manifest.server.process.clone(),
            page_size: manifest.page_size,
            checkpoint: manifest.lsn.checkpoint,
            page_track: manifest.lsn.page_track,
            scan,
            files: files.collect(),
        }
    }
}

/// Whether the active group of page tracking began in the life of the running server.
pub(super) fn group_is_of_this_process(facts: &Facts) -> Result<bool> {
    let Some(group) = Group::active(&facts.datadir)? else {
        return Ok(false);
    };
    let directory = facts
        .datadir
        .join(format!("#ib_archive/page_group_{}", group.begin()));
    let meta = std::fs::metadata(&directory)
        .map_err(|e| Error::io("read attributes of", &directory, e))?;
    let created = meta
        .created()
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .map_or(meta.mtime(), |time| time.as_secs().cast_signed());
    Ok(match &facts.process {
        Some(ProcessIdentity::Started { at }) => created > *at,
        Some(ProcessIdentity::Proc { start, .. }) => {
            super::process::started_at(*start).is_some_and(|started| created > started)
        }
        None => false,
    })
}
