//! What an increment from an agent is based on.

use super::asking;
use crate::agent::{BaseTold, InstanceTold, SnapshotTold};
use crate::chain::OTHER_BASE;
use crate::donor::instance::IncrementFrom;
use crate::donor::instance::session::Session;
use crate::donor::remote::files::RemoteFile;
use crate::donor::remote::link::protocol;
use crate::set::{BackupSet, LsnRecord, PagesBy, SetId};
use crate::{Error, Result};
use innodb::lsn::Lsn;
use std::collections::HashSet;

/// What an increment is based on.
#[derive(Debug)]
pub(super) struct AgentBase {
    pub parent: Option<(SetId, String)>,
    /// The start LSN that the agent is asked for.
    pub start: Lsn,
    /// Without a set, what an LSN may be the start of is for its user to know.
    of: Option<OfSet>,
}

#[derive(Debug)]
struct OfSet {
    lsn: LsnRecord,
    /// Space id, first page and page size of its files.
    files: HashSet<(u32, u32, usize)>,
    /// What tells it from others.
    digest: String,
}

impl AgentBase {
    /// Asks the agent what an increment on the base would be; refuses what cannot be right.
    pub(super) fn find(
        from: &IncrementFrom,
        told: &InstanceTold,
        scan: bool,
        session: &mut Session,
    ) -> Result<Self> {
        let path = match from {
            IncrementFrom::StartLsn(start) if !scan => {
                return Ok(Self {
                    parent: None,
                    start: *start,
                    of: None,
                });
            }
            IncrementFrom::StartLsn(_) | IncrementFrom::Told(_) => {
                return Err(Error::refused(
                    1235,
                    "an agent finds changed pages by their LSN for a base only",
                    "Name the base by --based-on.",
                ));
            }
            IncrementFrom::Set(path) => path,
        };
        let path = std::path::absolute(path).map_err(|e| Error::io("open backup set", path, e))?;
        let set = BackupSet::open(&path)?;
        let manifest = set.manifest();
        if manifest.server.uuid != told.server.uuid {
            return Err(Error::broken_chain(
                format!(
                    "'{}' is a backup of server {}, the donor is {}",
                    path.display(),
                    manifest.server.uuid,
                    told.server.uuid
                ),
                OTHER_BASE,
            ));
        }
        let base = BaseTold::of(manifest, scan);
        let tracked = base.page_track;
        let digest = base.digest();
        let weighed = asking::base(session, base)?;
        let wanted = match weighed.pages_by {
            PagesBy::Tracked => tracked,
            _ => manifest.lsn.checkpoint,
        };
        if weighed.start != wanted {
            return Err(protocol(format!(
                "an increment from LSN {} where {wanted} is the base's",
                weighed.start
            )));
        }
        if weighed.pages_by == PagesBy::Scan && !scan {
            tracing::warn!(
                "the server has been restarted since '{}' was taken: page tracking can have lost \
                 pages, so the agent finds changed pages by reading the LSN of every page",
                path.display()
            );
        }
        let files = manifest.files.iter().filter_map(|file| {
            let space = file.space?;
            Some((space.id, space.first_page, space.page_size as usize))
        });
        Ok(Self {
            parent: Some((manifest.id.clone(), path.display().to_string())),
            start: wanted,
            of: Some(OfSet {
                lsn: manifest.lsn,
                files: files.collect(),
                digest,
            }),
        })
    }

    /// Whether the changed pages of a file are enough, because the base has the others.
    pub(super) fn has(&self, file: &RemoteFile) -> bool {
        let Some(of) = &self.of else { return true };
        file.space.is_some_and(|space| {
            let key = (space.id.get(), space.first_page, space.geometry.physical());
            of.files.contains(&key)
        })
    }

    /// Checks that what came may follow the base: the link rule.
    pub(super) fn check_link(&self, whole: &SnapshotTold) -> Result<()> {
        let (lsn, by) = (&whole.lsn, whole.pages_by);
        let not_after = |why: String| Err(Error::broken_chain(why, OTHER_BASE));
        let Some(of) = &self.of else {
            if by != PagesBy::Tracked || lsn.start > self.start {
                return not_after(format!(
                    "the agent sent the changes since LSN {}, not since {}",
                    lsn.start, self.start
                ));
            }
            return Ok(());
        };
        if whole.base.as_ref() != Some(&of.digest) {
            return not_after("the agent took another set for the base".to_owned());
        }
        let (limit, what) = match by {
            PagesBy::Tracked => (of.lsn.page_track, "page tracking"),
            PagesBy::Scan => (of.lsn.checkpoint, "a scan"),
            PagesBy::All => return not_after("the agent sent a full".to_owned()),
        };
        if lsn.start > limit || lsn.end < of.lsn.end || limit == Lsn::ZERO {
            return not_after(format!(
                "the agent sent the changes from LSN {} to {} by {what}, which do not follow the \
                 base's {limit} and {}",
                lsn.start, lsn.end, of.lsn.end
            ));
        }
        Ok(())
    }
}
