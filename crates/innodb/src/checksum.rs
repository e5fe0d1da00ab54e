//! Page checksums (`buf0checksum.cc`, `page0zip.cc`).
//!
//! A server accepts every algorithm on reading, whatever `innodb_checksum_algorithm` says, and the
//! file does not record which one made a page: a reader tries them. Ranges below are page offsets,
//! `P` is the physical page size. Functions over a page that is shorter than its fixed parts see
//! the missing ranges as empty; [`crate::verify`] refuses such pages first.
//!
//! | algorithm | plain page: at 0 and `P-8` | compressed page: at 0 only |
//! |---|---|---|
//! | crc32 | CRC-32C of `4..26` xor of `38..P-8`, twice | CRC-32C of `4..16` xor `24..26` xor `34..P` |
//! | innodb | two different folds | Adler-32 from 0 of the same three ranges, run together |
//! | none | `0xDEADBEEF`, twice | `0xDEADBEEF` |

use crate::bytes::put;
use crate::geometry::Geometry;
use crate::page::{HEADER_LEN, TRAILER_LEN};

/// What `innodb_checksum_algorithm=none` stores.
pub const NO_CHECKSUM: u32 = 0xDEAD_BEEF;

/// Header bytes covered by a plain page's checksum: not the checksum itself, not the flush LSN or
/// control information, not the space id.
const HEAD: std::ops::Range<usize> = 4..26;

fn part(page: &[u8], range: std::ops::Range<usize>) -> &[u8] {
    page.get(range).unwrap_or_default()
}

fn body(page: &[u8]) -> std::ops::Range<usize> {
    HEADER_LEN..page.len().saturating_sub(TRAILER_LEN)
}

/// crc32 of a plain page.
pub fn crc32(page: &[u8]) -> u32 {
    crc32c::crc32c(part(page, HEAD)) ^ crc32c::crc32c(part(page, body(page)))
}

/// crc32 as MySQL 5.6 computed it on big-endian hosts: eight-byte words, aligned in the page, are
/// fed in reverse byte order.
pub fn crc32_big_endian(page: &[u8]) -> u32 {
    crc32c_swapped(page, HEAD) ^ crc32c_swapped(page, body(page))
}

fn crc32c_swapped(page: &[u8], range: std::ops::Range<usize>) -> u32 {
    let aligned = range.start.next_multiple_of(8).min(range.end);
    let mut crc = crc32c::crc32c(part(page, range.start..aligned));
    let mut words = part(page, aligned..range.end).chunks_exact(8);
    for word in words.by_ref() {
        let mut word: [u8; 8] = word.try_into().unwrap_or_default();
        word.reverse();
        crc = crc32c::crc32c_append(crc, &word);
    }
    crc32c::crc32c_append(crc, words.remainder())
}

/// The hash InnoDB used before crc32.
fn fold(bytes: &[u8]) -> u32 {
    const MASK_1: u32 = 1_463_735_687;
    const MASK_2: u32 = 1_653_893_711;
    bytes.iter().fold(0, |hash: u32, byte| {
        let byte = u32::from(*byte);
        let mixed = (hash ^ byte ^ MASK_2).wrapping_shl(8).wrapping_add(hash);
        (mixed ^ MASK_1).wrapping_add(byte)
    })
}

/// The legacy "innodb" checksum, stored at offset 0 of a plain page.
pub fn innodb_new(page: &[u8]) -> u32 {
    fold(part(page, HEAD)).wrapping_add(fold(part(page, body(page))))
}

/// The legacy "innodb" checksum of the oldest servers, stored at `P-8`. It covers the field at
/// offset 0, so it is taken after that one is stored.
pub fn innodb_old(page: &[u8]) -> u32 {
    fold(part(page, 0..26))
}

/// The ranges of a `ROW_FORMAT=COMPRESSED` page that its checksum covers: not the LSN.
fn zip_parts(page: &[u8]) -> [&[u8]; 3] {
    [
        part(page, 4..16),
        part(page, 24..26),
        part(page, 34..page.len()),
    ]
}

/// crc32 of a `ROW_FORMAT=COMPRESSED` page.
pub fn zip_crc32(page: &[u8]) -> u32 {
    zip_parts(page)
        .into_iter()
        .fold(0, |crc, range| crc ^ crc32c::crc32c(range))
}

/// The legacy "innodb" checksum of a `ROW_FORMAT=COMPRESSED` page: Adler-32 that starts from 0
/// instead of 1.
pub fn zip_adler32(page: &[u8]) -> u32 {
    const MODULUS: u32 = 65521;
    // The longest run for which neither sum can overflow 32 bits.
    const RUN: usize = 5552;
    let (mut a, mut b) = (0u32, 0u32);
    for range in zip_parts(page) {
        for run in range.chunks(RUN) {
            for byte in run {
                a += u32::from(*byte);
                b += a;
            }
            a %= MODULUS;
            b %= MODULUS;
        }
    }
    (b << 16) | a
}

/// Recomputes the crc32 checksum of a page after it was changed. `false`, and nothing written,
/// when the page does not have the length of the geometry.
pub fn stamp(page: &mut [u8], geometry: Geometry) -> bool {
    if page.len() != geometry.physical() {
        return false;
    }
    if geometry.is_zip() {
        let sum = zip_crc32(page).to_be_bytes();
        return put(page, 0, &sum).is_some();
    }
    let sum = crc32(page).to_be_bytes();
    put(page, 0, &sum)
        .and_then(|()| put(page, page.len() - TRAILER_LEN, &sum))
        .is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page whose bytes are all different from their neighbours.
    #[expect(clippy::cast_possible_truncation, reason = "the low byte is wanted")]
    fn pattern(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
    }

    #[test]
    fn crc_is_castagnoli() {
        assert_eq!(crc32c::crc32c(b"123456789"), 0xE306_9283);
    }

    #[test]
    fn swapped_words_are_aligned_in_the_page() {
        let page = pattern(64);
        let mut swapped = page.clone();
        for at in [8, 16] {
            swapped[at..at + 8].reverse();
        }
        for at in [40, 48] {
            swapped[at..at + 8].reverse();
        }
        assert_eq!(crc32_big_endian(&page), crc32(&swapped));
    }

    #[test]
    fn adler_from_zero_matches_the_definition() {
        let mut page = vec![0u8; 1024];
        page[34..38].copy_from_slice(b"abcd");
        // From 0: a = 97+98+99+100 = 394 after the letters and stays; b grows by a per later byte.
        let (letters, rest) = (97 + 195 + 294 + 394, (1024 - 38) * 394);
        assert_eq!(zip_adler32(&page), (((letters + rest) % 65521) << 16) + 394);
    }

    #[test]
    fn long_pages_do_not_overflow_the_sums() {
        let page = vec![0xFF; 16384];
        let n = 12 + 2 + 16384 - 34;
        let (mut a, mut b) = (0u64, 0u64);
        for _ in 0..n {
            a += 255;
            b += a;
        }
        assert_eq!(
            u64::from(zip_adler32(&page)),
            ((b % 65521) << 16) | (a % 65521)
        );
    }

    #[test]
    fn no_length_panics() {
        for len in 0..80 {
            let page = pattern(len);
            let _ = (
                crc32(&page),
                crc32_big_endian(&page),
                innodb_new(&page),
                innodb_old(&page),
            );
            let _ = (zip_crc32(&page), zip_adler32(&page));
        }
    }
}
