//! Reading pages of a file that the server writes at the same time.

use crate::files::SpaceInfo;
use crate::{Error, Job, Result};
use innodb::geometry::{Geometry, PageSize};
use innodb::ids::PageNo;
use innodb::page::PageHeader;
use innodb::tablespace::SpaceHeader;
use innodb::verify::{BadPage, PageState, verify_page, verify_page_at};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

/// Waits between reads of a page that does not verify, in milliseconds: short ones while the
/// server may be writing it, then long ones, for its thread may have been stopped in the middle of
/// that by a machine or a disk that has much else to do. Content that stays the same and wrong for
/// the length of all of them (some fifteen seconds) is damage.
const PATIENCE: [u64; 168] = {
    let mut waits = [100; 168];
    let mut at = 0;
    while at < 20 {
        waits[at] = 10;
        at += 1;
    }
    waits
};

/// Reads pages of one file of the donor and verifies each.
#[derive(Debug)]
pub(super) struct PageReader<'a> {
    pub file: &'a File,
    pub path: &'a Path,
    pub space: SpaceInfo,
}

/// A page that is not of the tablespace it was read from, or beyond the end of the file: what
/// happens to files that DDL replaces while they are copied.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The file is not what it was.
    Replaced,
    /// Anything else.
    Failed(Error),
}

impl From<Error> for ReadError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl PageReader<'_> {
    /// Reads `out.len()` bytes, whole pages, at `offset`. Counts and throttles what is read.
    pub(super) fn read(&self, offset: u64, out: &mut [u8], job: &Job) -> Result<(), ReadError> {
        job.throttle(out.len() as u64)?;
        self.read_bytes(offset, out)?;
        job.progress.count_read(out.len() as u64);
        let size = self.space.geometry.physical();
        let first = self.space.first_page + page_index(offset, size);
        for (no, page) in (first..).zip(out.chunks_exact_mut(size)) {
            let at = offset + u64::from(no - first) * size as u64;
            match self.verify(page, no) {
                Ok(PageState::Sealed) => {
                    self.check_encrypted(no)?;
                    self.settle_sealed(at, page, no, job)?;
                }
                Ok(_) => {}
                Err(bad) => self.read_again(at, page, no, bad, job)?,
            }
        }
        Ok(())
    }

    fn read_bytes(&self, offset: u64, out: &mut [u8]) -> Result<(), ReadError> {
        match self.file.read_exact_at(out, offset) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Err(ReadError::Replaced),
            Err(e) => Err(Error::io("read file", self.path, e).into()),
        }
    }

    fn verify(&self, page: &[u8], no: u32) -> Result<PageState, BadPage> {
        verify_page_at(page, self.space.geometry, self.space.id, PageNo::new(no))
    }

    /// Reads a page until it verifies, or has been the same and wrong for long.
    fn read_again(
        &self,
        offset: u64,
        page: &mut [u8],
        no: u32,
        mut bad: BadPage,
        job: &Job,
    ) -> Result<(), ReadError> {
        let mut before = page.to_vec();
        let mut changed_last = 0;
        let mut attempt = 0;
        // Give up only after a whole round of waits without any change.
        while attempt - changed_last < PATIENCE.len() {
            if matches!(bad, BadPage::SpaceId { .. }) {
                return Err(ReadError::Replaced);
            }
            let wait = PATIENCE.get(attempt - changed_last).copied().unwrap_or(100);
            job.sleep(Duration::from_millis(wait))?;
            self.read_bytes(offset, page)?;
            job.progress.count_read(page.len() as u64);
            match self.verify(page, no) {
                Ok(_) => return Ok(()),
                Err(error) => bad = error,
            }
            attempt += 1;
            if page != before.as_slice() {
                before.copy_from_slice(page);
                changed_last = attempt;
            }
        }
        Err(Error::BadPage {
            path: self.path.to_owned(),
            page: no,
            detail: bad.to_string(),
        }
        .into())
    }

    /// A page that says it is encrypted, in a tablespace that is not, is damaged. The tablespace
    /// may have become encrypted since it was listed.
    fn check_encrypted(&self, no: u32) -> Result<()> {
        if self.space.flags.is_encrypted() {
            return Ok(());
        }
        let header = Self::probe(self.file, self.path, self.space.geometry.page_size())?;
        if header.is_some_and(|header| header.flags.is_encrypted() || header.encryption.is_some()) {
            return Ok(());
        }
        let detail = "encrypted page in a tablespace that is not encrypted".to_owned();
        Err(Error::BadPage {
            path: self.path.to_owned(),
            page: no,
            detail,
        })
    }

    /// An encrypted page has no checksum that can be checked without its key: it is taken when
    /// two reads some time apart are equal.
    fn settle_sealed(
        &self,
        offset: u64,
        page: &mut [u8],
        no: u32,
        job: &Job,
    ) -> Result<(), ReadError> {
        let mut again = vec![0; page.len()];
        for _ in 0..PATIENCE.len() {
            self.read_bytes(offset, &mut again)?;
            if again == page {
                return Ok(());
            }
            page.copy_from_slice(&again);
            job.sleep(Duration::from_millis(5))?;
        }
        let detail = "an encrypted page that was different at every read".to_owned();
        Err(Error::BadPage {
            path: self.path.to_owned(),
            page: no,
            detail,
        }
        .into())
    }
}

impl PageReader<'_> {
    /// What page 0 says; `None` when it does not verify within ten seconds.
    pub(super) fn probe(
        file: &File,
        path: &Path,
        page_size: PageSize,
    ) -> Result<Option<SpaceHeader>> {
        let mut bytes = vec![0; 65536];
        for attempt in 0..200 {
            let len = read_prefix(file, &mut bytes).map_err(|e| Error::io("read file", path, e))?;
            if let Some(header) = parse_first_page(&bytes[..len], page_size) {
                return Ok(Some(header));
            }
            // An empty page 0 is not going to be filled while DDL is under way elsewhere.
            if attempt > 4 && bytes[..len].iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(None)
    }
}

fn parse_first_page(bytes: &[u8], page_size: PageSize) -> Option<SpaceHeader> {
    let header = SpaceHeader::parse(bytes).ok()?;
    let geometry = Geometry::of(header.flags).ok()?;
    if geometry.logical() != page_size.bytes() {
        return None;
    }
    let page = bytes.get(..geometry.physical())?;
    verify_page(page, geometry)
        .ok()
        .filter(|state| *state != PageState::Empty)?;
    Some(header)
}

fn read_prefix(file: &File, bytes: &mut [u8]) -> std::io::Result<usize> {
    let mut len = 0;
    while len < bytes.len() {
        match file.read_at(&mut bytes[len..], len as u64) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(len)
}

/// Number of the page at `offset` of a file.
pub(super) fn page_index(offset: u64, page_size: usize) -> u32 {
    (offset / page_size as u64) as u32
}

/// The LSN of a page image.
pub(super) fn page_lsn(page: &[u8]) -> u64 {
    PageHeader::parse(page).map_or(0, |header| header.lsn().get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{JobOptions, Stage};
    use innodb::flags::SpaceFlags;
    use innodb::ids::SpaceId;
    use std::sync::Arc;

    const SIZE: usize = 16384;

    /// Page 3 of tablespace 7.
    fn page() -> Vec<u8> {
        let mut page = vec![0; SIZE];
        page[4..8].copy_from_slice(&3_u32.to_be_bytes());
        page[24..26].copy_from_slice(&6_u16.to_be_bytes());
        page[34..38].copy_from_slice(&7_u32.to_be_bytes());
        page[100..SIZE - 8].fill(5);
        assert!(innodb::checksum::stamp(
            &mut page,
            Geometry::plain(PageSize::DEFAULT)
        ));
        page
    }

    fn read(file: &File, job: &Job) -> Result<Vec<u8>, ReadError> {
        let flags = SpaceFlags::new(0x4021).unwrap();
        let space = SpaceInfo {
            id: SpaceId::new(7),
            flags,
            geometry: Geometry::of(flags).unwrap(),
            first_page: 0,
        };
        let path = Path::new("t.ibd");
        let mut page = vec![0; SIZE];
        PageReader { file, path, space }.read(3 * SIZE as u64, &mut page, job)?;
        Ok(page)
    }

    #[test]
    fn a_page_that_is_half_written_for_seconds_is_read_and_a_wrong_one_is_damage() {
        let file = tempfile::tempfile().unwrap();
        let (whole, at) = (page(), 3 * SIZE as u64);
        let mut half = whole.clone();
        half[SIZE / 2..].fill(9);
        file.write_all_at(&half, at).unwrap();
        let job = Job::new(&JobOptions::default(), Arc::default());
        job.progress.begin(Stage::FileCopy, 1, 0);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| read(&file, &job));
            let reads = || job.progress.bytes_read() / SIZE as u64;
            while reads() < 60 && !reader.is_finished() {
                std::thread::sleep(Duration::from_millis(5));
            }
            assert!(!reader.is_finished(), "after {} reads", reads());
            file.write_all_at(&whole, at).unwrap();
            assert!(reader.join().unwrap().unwrap() == whole);
        });
        file.write_all_at(&half, at).unwrap();
        let error = read(&file, &job).unwrap_err();
        let damage = matches!(&error, ReadError::Failed(Error::BadPage { page: 3, .. }));
        assert!(damage, "{error:?}");
    }
}
