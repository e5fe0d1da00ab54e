//! Big-endian fields at fixed offsets. `None` means that the slice ends before the field does.

/// The `N` bytes at `at`.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    let end = at.checked_add(N)?;
    bytes.get(at..end)?.try_into().ok()
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array_at(bytes, at).map(u16::from_be_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_be_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array_at(bytes, at).map(u64::from_be_bytes)
}

/// Writes `value` at `at`; `None`, and nothing written, when it does not fit.
pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) -> Option<()> {
    let end = at.checked_add(value.len())?;
    bytes.get_mut(at..end)?.copy_from_slice(value);
    Some(())
}

/// Whether every byte is zero. Compiles to wide compares: memory speed.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    // A chunk at a time so that the loop inside has no early exit and can be vectorised,
    // while a page that differs early is still found early.
    let mut chunks = bytes.chunks_exact(256);
    chunks
        .by_ref()
        .all(|chunk| chunk.iter().fold(0u8, |acc, b| acc | b) == 0)
        && chunks.remainder().iter().all(|b| *b == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_across_the_end_is_none() {
        assert_eq!(u32_at(&[0; 5], 2), None);
        assert_eq!(u32_at(&[0, 1, 2, 3, 4], 1), Some(0x0102_0304));
        assert_eq!(u64_at(&[0; 8], usize::MAX), None);
        assert_eq!(put(&mut [0; 3], 2, &[1, 2]), None);
    }

    #[test]
    fn one_bit_anywhere_is_not_zero() {
        for len in [0, 1, 255, 256, 257, 1000, 16384] {
            let mut page = vec![0u8; len];
            assert!(is_zero(&page));
            for at in [0, len / 2, len.saturating_sub(1)] {
                if at < len {
                    page[at] = 1;
                    assert!(!is_zero(&page));
                    page[at] = 0;
                }
            }
        }
    }
}
