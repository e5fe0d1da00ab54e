//! Bodies of the fuzz targets for this crate's parsers of foreign bytes.

use frame::{Algorithm, Decompressor, Index, decompress_stream};

/// Any bytes end with an index, with none or with a damaged one; one that is found fits the file.
pub(crate) fn index(file: &[u8]) {
    let read_at = |offset: u64, bytes: &mut [u8]| {
        let start = usize::try_from(offset).unwrap();
        bytes.copy_from_slice(&file[start..start + bytes.len()]);
        Ok(())
    };
    let Ok(Some(index)) = Index::read(file.len() as u64, read_at) else {
        return;
    };
    assert!(index.frames() > 0 && index.length() > 0);
    let (mut stored, mut original) = (0, 0);
    for number in 0..index.frames() {
        let place = index.place(number).unwrap();
        assert_eq!(
            (place.stored.start, place.original.start),
            (stored, original)
        );
        assert!(!place.stored.is_empty() && !place.original.is_empty());
        assert_eq!(index.frame_at(original), Some(number));
        (stored, original) = (place.stored.end, place.original.end);
    }
    assert!(stored < file.len() as u64);
    assert_eq!(original, index.length());
}

/// Any bytes are a file of frames or a damaged one, the same by the pieces in which they come.
pub(crate) fn stream(file: &[u8]) {
    for algorithm in Algorithm::ALL {
        let mut total = 0;
        let mut output = |piece: &[u8]| {
            assert!(!piece.is_empty() || piece.len() <= 4 << 20);
            total += piece.len() as u64;
            // A small file can hold a lot.
            match total {
                0..=0x400_0000 => Ok(()),
                _ => Err(std::io::Error::other("enough")),
            }
        };
        if let Ok(length) = decompress_stream(file, &mut output, algorithm) {
            assert_eq!(length, total);
        }
    }
}

/// Any bytes are the frame of a unit or a damaged one.
pub(crate) fn unit(frame: &[u8]) {
    let mut out = vec![0; 1 << 20];
    for algorithm in Algorithm::ALL {
        for length in [frame.len(), 65536, out.len()] {
            let out = &mut out[..length.min(1 << 20)];
            let _ = Decompressor::new(algorithm).decompress_unit(frame, out);
        }
    }
}
