//! Writing pages so that holes stay holes.
//!
//! A page that is all zero is not written; behind a transparently compressed page the rest of its
//! slot is a hole (InnoDB punches it, and a copy that fills it would be several times larger).

use rustix::fs::FallocateFlags;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Granularity of holes: the block size of the file systems MySQL runs on.
const BLOCK: usize = 4096;

/// What the bytes of a file are made of, as far as holes are concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    /// Bytes of a page.
    pub page: usize,
    /// Whether pages carry FIL headers.
    pub innodb: bool,
}

/// Whether every byte is zero. Stops at the first that is not.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes
        .chunks(64)
        .all(|part| part.iter().fold(0, |acc, byte| acc | byte) == 0)
}

/// Writes `bytes` at `offset` of a file that has only a hole there.
pub(crate) fn write_fresh(
    file: &File,
    offset: u64,
    bytes: &[u8],
    layout: Layout,
) -> io::Result<()> {
    for run in data_runs(bytes, layout) {
        file.write_all_at(&bytes[run.clone()], offset + run.start as u64)?;
    }
    Ok(())
}

/// Writes `bytes` at `offset` over whatever is there, and punches holes where the bytes have them.
pub(crate) fn overwrite(file: &File, offset: u64, bytes: &[u8], layout: Layout) -> io::Result<()> {
    let mut at = 0;
    for run in data_runs(bytes, layout) {
        punch(file, offset, at..run.start, bytes)?;
        file.write_all_at(&bytes[run.clone()], offset + run.start as u64)?;
        at = run.end;
    }
    punch(file, offset, at..bytes.len(), bytes)
}

fn punch(file: &File, offset: u64, hole: Range<usize>, bytes: &[u8]) -> io::Result<()> {
    if hole.is_empty() {
        return Ok(());
    }
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let (start, len) = (offset + hole.start as u64, hole.len() as u64);
    match rustix::fs::fallocate(file, flags, start, len) {
        Ok(()) => Ok(()),
        // No holes on this file system: zeros are the same bytes.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
            file.write_all_at(&bytes[hole], start)
        }
        Err(e) => Err(e.into()),
    }
}

/// The ranges of `bytes` that have to be written, ascending and not touching.
fn data_runs(bytes: &[u8], layout: Layout) -> Vec<Range<usize>> {
    let step = layout.page.max(BLOCK);
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (index, part) in bytes.chunks(step).enumerate() {
        let start = index * step;
        let used = if is_zero(part) {
            0
        } else {
            used_bytes(part, layout)
        };
        if used == 0 {
            continue;
        }
        match runs.last_mut() {
            Some(last) if last.end == start => last.end = start + used,
            _ => runs.push(start..start + used),
        }
    }
    runs
}

/// Bytes of a non-zero page before its hole, in whole blocks.
fn used_bytes(page: &[u8], layout: Layout) -> usize {
    if !layout.innodb || page.len() != layout.page || layout.page <= BLOCK {
        return page.len();
    }
    let Ok(header) = innodb::page::PageHeader::parse(page) else {
        return page.len();
    };
    let kind = header.page_type();
    let compressed = kind == innodb::page::PageType::COMPRESSED
        || kind == innodb::page::PageType::COMPRESSED_AND_ENCRYPTED;
    if !compressed {
        return page.len();
    }
    // Trust the bytes, not the size field: the hole is what is zero to the end of the page.
    let mut used = page.len();
    while used > BLOCK && is_zero(&page[used - BLOCK..used]) {
        used -= BLOCK;
    }
    used
}

#[cfg(test)]
#[allow(
    clippy::single_range_in_vec_init,
    reason = "a list of runs may have one"
)]
mod tests {
    use super::*;

    const PLAIN: Layout = Layout {
        page: 16384,
        innodb: true,
    };

    #[test]
    fn zero_pages_are_left_out_and_neighbours_are_one_run() {
        let mut bytes = vec![0; 5 * 16384];
        bytes[16384] = 1;
        bytes[2 * 16384 + 9] = 1;
        bytes[5 * 16384 - 1] = 1;
        assert_eq!(
            data_runs(&bytes, PLAIN),
            [16384..3 * 16384, 4 * 16384..5 * 16384]
        );
    }

    #[test]
    fn the_hole_of_a_compressed_page_is_left_out() {
        let mut page = vec![0; 16384];
        page[25] = 14;
        page[5000] = 1;
        assert_eq!(data_runs(&page, PLAIN), [0..8192]);
        page[25] = 3;
        assert_eq!(data_runs(&page, PLAIN), [0..16384]);
    }

    #[test]
    fn small_zip_pages_are_judged_by_block() {
        let mut bytes = vec![0; 3 * 4096];
        bytes[4096 + 1024] = 1;
        assert_eq!(
            data_runs(
                &bytes,
                Layout {
                    page: 1024,
                    innodb: true
                }
            ),
            [4096..8192]
        );
    }

    #[test]
    fn overwriting_with_zeros_leaves_zeros() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&vec![7; 32768], 0).unwrap();
        overwrite(&file, 0, &[0; 16384], PLAIN).unwrap();
        let mut back = vec![1; 32768];
        file.read_exact_at(&mut back, 0).unwrap();
        assert!(is_zero(&back[..16384]));
        assert_eq!(back[16384], 7);
    }
}
