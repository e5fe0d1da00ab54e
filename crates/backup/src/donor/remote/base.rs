//! What an increment over the network is based on.

use super::files::RemoteFile;
use crate::chain::OTHER_BASE;
use crate::donor::instance::IncrementFrom;
use crate::donor::instance::session::Session;
use crate::set::{BackupSet, Means, SetId};
use crate::{Error, Result};
use innodb::lsn::Lsn;
use std::collections::HashMap;

/// What an increment is based on.
#[derive(Debug)]
pub(super) struct Base {
    pub parent: Option<(SetId, String)>,
    /// Pages whose LSN is at least this one are taken.
    pub start: Lsn,
    /// Page sizes of the parent's files, by space id and first page; `None` without a parent, when
    /// every file has to be taken for one that the parent had.
    files: Option<HashMap<(u32, u32), u32>>,
    /// Where a list of changed pages has to begin; zero when the parent knows none.
    pub page_track: Lsn,
    /// What the parent knows of the donor.
    pub means: Option<Means>,
}

impl Base {
    /// Decides what the increment is based on; refuses what cannot be right.
    pub(super) fn find(from: &IncrementFrom, uuid: &str, page_size: u32) -> Result<Self> {
        let path = match from {
            IncrementFrom::StartLsn(lsn) => {
                return Ok(Self {
                    parent: None,
                    start: *lsn,
                    files: None,
                    page_track: Lsn::ZERO,
                    means: None,
                });
            }
            IncrementFrom::Set(path) => path,
            IncrementFrom::Told(_) => return Err(super::out_of_order()),
        };
        let path = std::path::absolute(path).map_err(|e| Error::io("open backup set", path, e))?;
        let set = BackupSet::open(&path)?;
        let manifest = set.manifest();
        if manifest.server.uuid != uuid {
            return Err(Error::broken_chain(
                format!(
                    "'{}' is a backup of server {}, the donor is {uuid}",
                    path.display(),
                    manifest.server.uuid
                ),
                OTHER_BASE,
            ));
        }
        if manifest.page_size != page_size {
            return Err(Error::broken_chain(
                format!(
                    "'{}' has pages of {} bytes, the donor has {page_size}",
                    path.display(),
                    manifest.page_size
                ),
                OTHER_BASE,
            ));
        }
        let files = manifest.files.iter().filter_map(|file| {
            let space = file.space?;
            Some(((space.id, space.first_page), space.page_size))
        });
        Ok(Self {
            parent: Some((manifest.id.clone(), path.display().to_string())),
            // The parent's redo is not used: its pages have every change up to here.
            start: manifest.lsn.checkpoint,
            files: Some(files.collect()),
            page_track: manifest.lsn.page_track,
            means: manifest.means.clone(),
        })
    }

    /// Refuses a base that the donor has not come to: an increment of it would be found impossible
    /// only when everything has travelled. A donor that does not say where it is ends there.
    pub(super) fn check_reached(&self, session: &mut Session) -> Result<()> {
        let query = "SHOW GLOBAL STATUS LIKE 'Innodb_redo_log_current_lsn'";
        let Ok(rows) = session.query("read the LSN", query) else {
            return Ok(());
        };
        let now = rows.first().and_then(|row| row.parse::<u64>(1).ok());
        match now.map(Lsn::new) {
            Some(now) if self.start > now => Err(Error::NotReached {
                start: self.start,
                reason: format!("the donor's current LSN is {now}"),
            }),
            _ => Ok(()),
        }
    }

    /// Whether the base has this file, so that only its changed pages are needed. Tablespace ids
    /// are not used twice: a table that was emptied or built again has another one.
    pub(super) fn has(&self, file: &RemoteFile) -> bool {
        let Some(files) = &self.files else {
            return true;
        };
        file.space.is_some_and(|space| {
            let size = files.get(&(space.id.get(), space.first_page));
            size.is_some_and(|size| *size as usize == space.geometry.physical())
        })
    }
}
