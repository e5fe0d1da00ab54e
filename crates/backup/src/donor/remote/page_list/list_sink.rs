//! Receiving the list.

use crate::Result;
use crate::donor::remote::intake::Sink;
use crate::donor::remote::link::protocol;
use roaring::RoaringBitmap;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use wire::clone::{DataDescriptor, FileDescriptor};

/// Pages by tablespace.
pub(in crate::donor::remote) type Pages = HashMap<u32, RoaringBitmap>;

/// Bytes of an entry: tablespace id and page number, big-endian.
pub(super) const ENTRY: usize = 8;

/// Takes the list as it is received.
#[derive(Debug, Default)]
pub(in crate::donor::remote) struct ListSink {
    found: Mutex<(Pages, u64)>,
}

impl ListSink {
    /// The pages, and the bytes of the list that they were in.
    pub(in crate::donor::remote) fn into_pages(self) -> (Pages, u64) {
        self.found
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for ListSink {
    fn announce(&self, _: &FileDescriptor) -> Result<()> {
        Ok(())
    }

    fn put(&self, data: &DataDescriptor, bytes: &[u8]) -> Result<()> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let (pages, received) = &mut *found;
        if data.file != 0 || data.offset != *received || !bytes.len().is_multiple_of(ENTRY) {
            return Err(protocol("what was asked for is not the list of pages"));
        }
        *received += bytes.len() as u64;
        for entry in bytes.chunks_exact(ENTRY) {
            let number = |at: usize| {
                let bytes: [u8; 4] = entry[at..at + 4].try_into().unwrap_or_default();
                u32::from_be_bytes(bytes)
            };
            pages.entry(number(0)).or_default().insert(number(4));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_in_pieces() {
        let sink = ListSink::default();
        let data = |file, offset| DataDescriptor {
            file,
            offset,
            ..DataDescriptor::default()
        };
        let first = [0, 0, 0, 7, 0, 0, 1, 0, 0, 0, 0, 7, 0, 0, 1, 0];
        sink.put(&data(0, 0), &first).unwrap();
        sink.put(&data(0, 16), &[0, 0, 0, 9, 0xFF, 0xFF, 0xFF, 0xFF])
            .unwrap();
        for (file, offset, bytes) in [(1, 24, 8), (0, 16, 8), (0, 24, 7)] {
            assert!(sink.put(&data(file, offset), &vec![0; bytes]).is_err());
        }
        let (pages, bytes) = sink.into_pages();
        assert_eq!((pages.len(), bytes), (2, 24));
        assert_eq!(pages[&7].iter().collect::<Vec<_>>(), [256]);
        assert!(pages[&9].contains(u32::MAX));
    }
}
