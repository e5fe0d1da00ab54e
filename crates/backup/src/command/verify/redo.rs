//! The redo log: every block from the checkpoint on verifies, and the log ends where it should.

mod log;

use self::log::{Log, RedoFile, Stop};
use super::contents::{Place, Unwritten};
use super::findings::Findings;
use crate::set::layout::REDO_DIR;
use crate::{Error, Job, Result};
use innodb::geometry::PageSize;
use innodb::lsn::Lsn;
use innodb::redo::{BLOCK_SIZE, BlockState, HEADER_AREA, RedoFileHeader, parse_checkpoint};
use std::path::Path;

/// mysqld refuses smaller files.
const SMALLEST_FILE: u64 = 64 << 10;

/// What the redo of a set must be.
#[derive(Debug)]
pub(super) struct RedoCheck<'a> {
    /// Its files, in order.
    pub files: Vec<Place<'a>>,
    /// Where recovery begins.
    pub checkpoint: Lsn,
    /// Where the log ends.
    pub end: Lsn,
    /// The server's page size.
    pub page_size: PageSize,
}

impl RedoCheck<'_> {
    /// Checks it.
    pub(super) fn run(&self, findings: &Findings, job: &Job) -> Result<()> {
        let mut files = Vec::new();
        let mut expected = self.checkpoint.block_start();
        for (index, place) in self.files.iter().enumerate() {
            let Some(file) = open(place, self.page_size, findings) else {
                return Ok(());
            };
            let last = index + 1 == self.files.len();
            let checkpoint = if index == 0 {
                self.checkpoint
            } else {
                Lsn::ZERO
            };
            check_header(&file, expected, last, checkpoint, findings);
            expected = file.end();
            files.push(file);
        }
        let log = Log::new(files, findings, job);
        let stop = log.follow(self.checkpoint)?;
        self.check_end(&log, &stop, findings);
        check_tail(&log, &stop, findings)
    }

    /// The log ends exactly at the set's end LSN.
    fn check_end(&self, log: &Log<'_>, stop: &Stop, findings: &Findings) {
        let (found, wanted) = (log_end(stop.end), log_end(self.end));
        // Without its key the last block is kept whole.
        let whole = wanted.block_start().checked_add(BLOCK_SIZE as u64);
        let kept_whole = stop.encrypted && wanted <= found && Some(found) <= whole;
        if found == wanted || kept_whole {
            return;
        }
        let why = match stop.state {
            BlockState::Torn => "the block there does not verify",
            BlockState::Partial { .. } => "the block there is the last one",
            BlockState::Full | BlockState::NotYetWritten => "there is no block of the log",
        };
        let name = log.name_at(stop.block).unwrap_or(REDO_DIR);
        let offset = log.offset_of(stop.block).unwrap_or(0);
        let detail = format!(
            "the log ends at LSN {} (byte {offset}: {why}) instead of {}",
            stop.end, self.end
        );
        findings.add_at(name, offset, detail);
    }
}

fn check_header(file: &RedoFile, start: Lsn, last: bool, checkpoint: Lsn, findings: &Findings) {
    let header = &file.header;
    if header.start_lsn != start {
        let detail = format!("begins at LSN {} instead of {start}", header.start_lsn);
        findings.add(&file.name, detail);
    }
    let flags = if last {
        0
    } else {
        RedoFileHeader::FLAG_FILE_FULL
    };
    if header.flags != flags {
        findings.add(
            &file.name,
            format!("its flags are {} instead of {flags}", header.flags),
        );
    }
    for block in [1, 3] {
        let at = block * BLOCK_SIZE;
        let found = parse_checkpoint(&file.area[at..at + BLOCK_SIZE]);
        if found != Some(checkpoint) {
            let found = found.map_or("none".to_owned(), |lsn| lsn.to_string());
            let detail = format!("checkpoint at byte {at}: {found} instead of {checkpoint}");
            findings.add_at(&file.name, at as u64, detail);
        }
    }
}

/// Behind the end there is nothing that recovery could take for log.
fn check_tail(log: &Log<'_>, stop: &Stop, findings: &Findings) -> Result<()> {
    let mut from = stop.block;
    if matches!(stop.state, BlockState::Partial { .. }) {
        from = from.checked_add(BLOCK_SIZE as u64).unwrap_or(Lsn::MAX);
    }
    if let Some((name, offset)) = log.first_non_zero(from)? {
        let detail = format!("byte {offset}, behind the end of the log, is not zero");
        findings.add_at(&name, offset, detail);
    }
    Ok(())
}

/// The same place for every LSN at which a log can end: the header of a block holds no log.
fn log_end(lsn: Lsn) -> Lsn {
    if lsn.offset_in_block() <= 12 {
        lsn.block_start()
    } else {
        lsn
    }
}

/// Checks the redo log of a stopped server. The LSN at which it ends, if that can be found.
pub(super) fn check_directory(
    root: &Path,
    page_size: Option<PageSize>,
    quick: bool,
    findings: &Findings,
    job: &Job,
) -> Result<Option<Lsn>> {
    let names = match list(root) {
        Ok(names) => names,
        Err(error) => {
            findings.add_error(REDO_DIR, &error);
            return Ok(None);
        }
    };
    if names.is_empty() {
        let detail = "holds no redo log; mysqld would begin a new one and lose changes";
        findings.add(REDO_DIR, detail);
        return Ok(None);
    }
    let page_size = page_size.unwrap_or(PageSize::DEFAULT);
    let files: Vec<RedoFile> = names
        .iter()
        .filter_map(|place| open(place, page_size, findings))
        .collect();
    if files.len() < names.len() {
        return Ok(None);
    }
    let unsafe_flags = RedoFileHeader::FLAG_CRASH_UNSAFE | RedoFileHeader::FLAG_NOT_INITIALIZED;
    for file in &files {
        if file.header.flags & unsafe_flags != 0 {
            let detail = format!(
                "its flags are {}: the log was not complete",
                file.header.flags
            );
            findings.add(&file.name, detail);
        }
    }
    let log = Log::new(files, findings, job);
    let Some(checkpoint) = log.checkpoint() else {
        findings.add(REDO_DIR, "no valid checkpoint was found");
        return Ok(None);
    };
    if quick {
        return Ok(None);
    }
    let stop = log.follow(checkpoint)?;
    if let Some(behind) = log.goes_on_behind(stop.block)? {
        let name = log.name_at(stop.block).unwrap_or(REDO_DIR);
        let detail = format!(
            "byte {}: the block at LSN {} is damaged or missing, the log goes on at LSN {behind}",
            log.offset_of(stop.block).unwrap_or(0),
            stop.block
        );
        findings.add(name, detail);
    }
    Ok(Some(stop.end))
}

/// Tablespaces whose first page was never written are only known to recovery: the log must say
/// which they are.
pub(super) fn check_unwritten(
    redo: &[Place<'_>],
    from: Option<Lsn>,
    unwritten: &[Unwritten],
    findings: &Findings,
    job: &Job,
) -> Result<()> {
    if unwritten.is_empty() {
        return Ok(());
    }
    let open = |place| RedoFile::open(place).ok();
    let log = Log::new(redo.iter().filter_map(open).collect(), findings, job);
    let named = match from.or_else(|| log.checkpoint()) {
        Some(from) => log.paths(from, unwritten)?,
        None => Vec::new(),
    };
    for file in unwritten.iter().filter(|file| !named.contains(file)) {
        let detail = "page 0 was never written, and the redo log does not create the tablespace";
        findings.add(&file.stored, detail);
    }
    Ok(())
}

/// The redo files in use.
pub(super) fn list(root: &Path) -> Result<Vec<Place<'_>>> {
    let directory = root.join(REDO_DIR);
    let error = |e| Error::io("read directory", &directory, e);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&directory).map_err(error)? {
        let name = entry.map_err(error)?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("#ib_redo"));
        if number.is_some_and(|number| number.parse::<u64>().is_ok()) {
            names.push(format!("{REDO_DIR}/{}", name.to_string_lossy()));
        }
    }
    names.sort();
    let place = |name| Place {
        name,
        root,
        of_set: None,
    };
    Ok(names.into_iter().map(place).collect())
}

/// Opens a redo file and checks what every one must be.
fn open(place: &Place<'_>, page_size: PageSize, findings: &Findings) -> Option<RedoFile> {
    let name = &place.name;
    let file = match RedoFile::open(place) {
        Ok(file) => file,
        // That it is missing is told with its digest.
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return None;
        }
        Err(error) => {
            findings.add_error(name, &error);
            return None;
        }
    };
    if file.size < SMALLEST_FILE.max(HEADER_AREA as u64)
        || !file.size.is_multiple_of(u64::from(page_size.get()))
    {
        let detail = format!(
            "mysqld refuses a redo file of {} bytes with pages of {page_size}",
            file.size
        );
        findings.add(name, detail);
    }
    Some(file)
}

#[cfg(test)]
mod tests;
