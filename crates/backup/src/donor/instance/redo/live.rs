//! The files of the live redo log and its newest checkpoint.

use crate::{Error, Result};
use innodb::lsn::Lsn;
use innodb::redo::{BLOCK_SIZE, HEADER_AREA, RedoFileHeader, latest_checkpoint};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file of the live log.
pub(super) struct LiveFile {
    pub path: PathBuf,
    pub start: Lsn,
    pub end: Lsn,
    header: RedoFileHeader,
    area: [u8; HEADER_AREA],
    size: u64,
}

/// The newest checkpoint of the live log, with what a copy of the log from there needs.
pub(in super::super) struct Checkpoint {
    pub lsn: Lsn,
    pub header: RedoFileHeader,
    /// Block 2 of the file that holds the checkpoint: key of an encrypted log.
    pub encryption: [u8; BLOCK_SIZE],
}

/// Reads the newest checkpoint.
pub(in super::super) fn checkpoint(redo_dir: &Path) -> Result<Checkpoint> {
    // A checkpoint block may be read while it is written, and files are renamed at any moment:
    // what counts is that one reading finds a valid one.
    for _ in 0..1500 {
        let files = live_files(redo_dir)?;
        let found = latest_checkpoint(files.iter().map(|file| (&file.area, file.size)));
        if let Some((lsn, index)) = found
            && lsn != Lsn::ZERO
            && let Some(file) = files.get(index)
        {
            let mut encryption = [0; BLOCK_SIZE];
            encryption.copy_from_slice(&file.area[2 * BLOCK_SIZE..3 * BLOCK_SIZE]);
            return Ok(Checkpoint {
                lsn,
                header: file.header.clone(),
                encryption,
            });
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(Error::damaged(
        redo_dir,
        "no valid checkpoint was found in the redo log",
    ))
}

pub(super) fn live_files(redo_dir: &Path) -> Result<Vec<LiveFile>> {
    let mut files = Vec::new();
    let entries =
        std::fs::read_dir(redo_dir).map_err(|e| Error::io("read directory", redo_dir, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| Error::io("read directory", redo_dir, e))?;
        let name = entry.file_name();
        let is_live = name
            .to_str()
            .and_then(|name| name.strip_prefix("#ib_redo"))
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
        if !is_live {
            continue;
        }
        // A file that cannot be read is one that is being created or recycled.
        if let Some(file) = read_live(&entry.path()) {
            files.push(file);
        }
    }
    Ok(files)
}

fn read_live(path: &Path) -> Option<LiveFile> {
    let file = File::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    let mut area = [0; HEADER_AREA];
    file.read_exact_at(&mut area, 0).ok()?;
    let header = RedoFileHeader::parse(&area).ok()?;
    let start = header.start_lsn;
    let end = start.checked_add(size.checked_sub(HEADER_AREA as u64)?)?;
    Some(LiveFile {
        path: path.to_owned(),
        start,
        end,
        header,
        area,
        size,
    })
}
