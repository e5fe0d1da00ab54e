//! Where the data of FILE COPY and PAGE COPY go.

use super::base::Base;
use super::files::{Files, RemoteFile};
use super::intake::Sink;
use super::keys;
use super::link::protocol;
use super::spool::Spool;
use crate::io::is_zero;
use crate::recipient::Recipient;
use crate::{Error, FileId, Progress, Result, Stage};
use innodb::ids::{PageNo, SpaceId};
use innodb::trx_sys::TRX_SYS_PAGE;
use innodb::verify::verify_page_at;
use std::path::Path;
use wire::clone::{DataDescriptor, FileDescriptor};

/// FILE COPY: of a full everything, of an increment what the base has not.
pub(super) struct FileSink<'a> {
    pub files: &'a Files,
    pub base: Option<&'a Base>,
    pub spool: &'a Spool,
    pub recipient: &'a dyn Recipient,
    pub progress: &'a Progress,
}

impl Sink for FileSink<'_> {
    fn announce(&self, file: &FileDescriptor) -> Result<()> {
        // After a lost connection the list may come again.
        self.files.get(file.index).map(drop)
    }

    fn dropped(&self, chunk: u32) {
        if let Some((index, file)) = self.files.of_chunk(chunk) {
            file.found().dropped = true;
            if self.base.is_none() {
                self.recipient.abandon(FileId(index));
            }
        }
    }

    fn put(&self, data: &DataDescriptor, bytes: &[u8]) -> Result<()> {
        let file = self.files.get(data.file)?;
        let (first, last) = file.chunks;
        let end = data.offset.checked_add(bytes.len() as u64);
        if !(first..=last).contains(&data.chunk) || end.is_none_or(|end| end > file.size) {
            return Err(misplaced(file, data));
        }
        self.progress.receive(Stage::FileCopy, bytes.len() as u64);
        file.found().bytes += bytes.len() as u64;
        let Some(place) = Place::of(file, data)? else {
            // The dump of the buffer pool.
            return match self.base {
                None => self.recipient.write(FileId(data.file), data.offset, bytes),
                Some(_) => self.spool.write(data.file, data.offset, bytes),
            };
        };
        // A file being extended may end within a page; what is behind the last whole page was
        // never written.
        let bytes = &bytes[..bytes.len() - bytes.len() % place.page];
        for (no, page) in (place.first..).zip(bytes.chunks_exact(place.page)) {
            if let Err(fault) = place.verify(no, page) {
                // It was being written while the donor read it, and comes again in PAGE COPY.
                let mut found = file.found();
                found.torn.insert(no);
                found.fault.get_or_insert_with(|| fault.to_string());
            }
        }
        let torn = place.first == 0 && file.found().torn.contains(0);
        let bytes =
            &*keys::of_first_page(self.files.keys(), &place.space, place.first, bytes, torn)?;
        if place.space.id == SpaceId::SYSTEM {
            self.keep_system_page(data, bytes, &place)?;
        }
        let Some(base) = self.base else {
            return self.recipient.write(FileId(data.file), data.offset, bytes);
        };
        let whole = !base.has(file);
        for (no, page) in (place.first..).zip(bytes.chunks_exact(place.page)) {
            if base.is_wanted(page, whole) {
                let offset = data.offset + u64::from(no - place.first) * place.page as u64;
                self.spool.write(data.file, offset, page)?;
                file.found().pages.insert(no);
            }
        }
        Ok(())
    }
}

impl FileSink<'_> {
    /// The stage has ended. What did not come whole is gone by now, whether the donor has said so or
    /// not: agents do not. That it is gone, [`check_received`] makes sure of.
    pub(super) fn end(&self) {
        if self.base.is_some() {
            return;
        }
        for (index, file) in self.files.live() {
            if file.found().bytes != file.size {
                self.recipient.abandon(FileId(index));
            }
        }
    }

    /// The page with the binary log position is looked at in the end.
    fn keep_system_page(&self, data: &DataDescriptor, bytes: &[u8], place: &Place) -> Result<()> {
        let index = TRX_SYS_PAGE.checked_sub(place.first);
        let page = index.and_then(|index| bytes.chunks_exact(place.page).nth(index as usize));
        match (page, index) {
            (Some(page), Some(index)) => {
                let offset = data.offset + u64::from(index) * place.page as u64;
                self.spool.write(data.file, offset, page)
            }
            _ => Ok(()),
        }
    }
}

/// PAGE COPY: pages that were written during FILE COPY.
pub(super) struct PageSink<'a> {
    pub files: &'a Files,
    pub spool: &'a Spool,
    pub progress: &'a Progress,
}

impl Sink for PageSink<'_> {
    fn announce(&self, file: &FileDescriptor) -> Result<()> {
        self.files.get(file.index).map(drop)
    }

    fn put(&self, data: &DataDescriptor, bytes: &[u8]) -> Result<()> {
        let file = self.files.get(data.file)?;
        self.progress.receive(Stage::PageCopy, bytes.len() as u64);
        let place = Place::of(file, data)?.ok_or_else(|| misplaced(file, data))?;
        if bytes.len() != place.page {
            return Err(misplaced(file, data));
        }
        place
            .verify(place.first, bytes)
            .map_err(|fault| damaged(file, place.first, &fault.to_string()))?;
        let keys = self.files.keys();
        let bytes = keys::of_first_page(keys, &place.space, place.first, bytes, false)?;
        self.spool.write(data.file, data.offset, &bytes)?;
        let end = data.offset + place.page as u64;
        let mut found = file.found();
        found.pages.insert(place.first);
        found.copied.insert(place.first);
        found.length = found.length.max(end);
        // The first page knows how long the file is to be.
        if place.first == 0 && place.is_alone {
            let pages = data.file_size / place.page as u64;
            if pages > u64::from(u32::MAX) {
                return Err(misplaced(file, data));
            }
            found.length = found.length.max(pages * place.page as u64);
        }
        Ok(())
    }
}

/// Where a block of pages belongs.
struct Place {
    space: crate::files::SpaceInfo,
    page: usize,
    /// The number of its first page.
    first: u32,
    /// Whether the tablespace has one file only.
    is_alone: bool,
}

impl Place {
    fn of(file: &RemoteFile, data: &DataDescriptor) -> Result<Option<Self>> {
        let Some(space) = file.space else {
            return Ok(None);
        };
        let page = space.geometry.physical();
        if !data.offset.is_multiple_of(page as u64) {
            return Err(misplaced(file, data));
        }
        let number = data.offset / page as u64 + u64::from(space.first_page);
        let last = number + u64::from(data.length) / page as u64;
        if last > u64::from(u32::MAX) {
            return Err(misplaced(file, data));
        }
        Ok(Some(Self {
            space,
            page,
            first: number as u32,
            is_alone: file.kind != crate::FileKind::System,
        }))
    }

    fn verify(&self, no: u32, page: &[u8]) -> Result<(), innodb::verify::BadPage> {
        let space = &self.space;
        verify_page_at(page, space.geometry, space.id, PageNo::new(no)).map(drop)
    }
}

/// Every page that did not verify in FILE COPY must have come again, and every byte of a file
/// must have come. `missing` pages that were announced for PAGE COPY did not come: those of
/// tablespaces that were dropped meanwhile.
pub(super) fn check_received(files: &Files, missing: u64) -> Result<()> {
    if missing > 0 && files.all().iter().all(|file| !file.gone) {
        return Err(protocol(format!(
            "{missing} pages of PAGE COPY were not sent"
        )));
    }
    for (_, file) in files.live() {
        let found = file.found();
        let torn = &found.torn - &found.copied;
        if let Some(page) = torn.iter().next() {
            return Err(damaged(file, page, found.fault.as_deref().unwrap_or("")));
        }
        if found.dropped {
            return Err(protocol(format!(
                "'{}' was dropped and still is there",
                file.shown()
            )));
        }
        if file.born == wire::clone::Stage::FileCopy && found.bytes + found.left_out != file.size {
            return Err(protocol(format!(
                "{} of {} bytes of '{}' were sent",
                found.bytes,
                file.size,
                file.shown()
            )));
        }
    }
    Ok(())
}

fn damaged(file: &RemoteFile, page: u32, fault: &str) -> Error {
    Error::BadPage {
        path: Path::new(file.shown()).to_owned(),
        page,
        detail: format!("as the donor sent it: {fault}"),
    }
}

fn misplaced(file: &RemoteFile, data: &DataDescriptor) -> Error {
    protocol(format!(
        "{} bytes at offset {} of '{}', chunk {}",
        data.length,
        data.offset,
        file.shown(),
        data.chunk
    ))
}

impl Base {
    /// Whether an increment takes a page: of a file that the base has, what was changed since.
    /// Pages of zeros are nothing.
    fn is_wanted(&self, page: &[u8], whole: bool) -> bool {
        if whole {
            return !is_zero(page);
        }
        let header = innodb::page::PageHeader::parse(page);
        header.is_ok_and(|header| header.lsn() >= self.start)
    }
}
