//! Tests of packets over a byte stream.

use std::io;

use super::*;

/// Yields its bytes in pieces, with a timeout before each.
struct Slow {
    bytes: Vec<u8>,
    at: usize,
    piece: usize,
    ready: bool,
}

impl Read for Slow {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        self.ready = !self.ready;
        if !self.ready {
            return Err(ErrorKind::WouldBlock.into());
        }
        let len = self.piece.min(target.len()).min(self.bytes.len() - self.at);
        target[..len].copy_from_slice(&self.bytes[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}

fn packets(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut frames = Frames::new(Vec::new(), usize::MAX);
    for payload in payloads {
        frames.write(&[], payload).unwrap();
    }
    frames.stream
}

#[test]
fn packets_of_every_length_survive_a_round_trip() {
    let lengths = [
        0,
        1,
        READ_AHEAD - 1,
        READ_AHEAD,
        3 * GROWTH,
        MAX_CHUNK,
        MAX_CHUNK + 5,
    ];
    let payloads: Vec<_> = lengths
        .iter()
        .map(|len| (0..*len).map(|at| at as u8).collect())
        .collect();
    let bytes = packets(&payloads);
    let mut frames = Frames::new(&bytes[..], usize::MAX);
    let mut packet = Vec::new();
    for payload in &payloads {
        frames.read(&mut packet).unwrap();
        assert!(packet == *payload, "{} bytes", payload.len());
    }
    assert!(matches!(frames.read(&mut packet), Err(Error::Closed)));
}

/// Takes a few bytes at a time, of any slice.
struct Narrow(Vec<u8>);

impl Write for Narrow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes = slices.iter().flat_map(|slice| slice.iter().copied());
        let before = self.0.len();
        self.0.extend(bytes.take(1000));
        Ok(self.0.len() - before)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn heads_and_bodies_of_every_length_are_one_packet() {
    for (head, body) in [
        (1, LARGE - 1),
        (1, LARGE),
        (0, LARGE + 1),
        (2 * LARGE, LARGE),
        (1, MAX_CHUNK - 2),
        (1, MAX_CHUNK - 1),
        (1, MAX_CHUNK),
        (LARGE + 9, MAX_CHUNK - LARGE - 9),
    ] {
        let bytes: Vec<u8> = (0..head + body).map(|at| (at / 7) as u8).collect();
        let mut frames = Frames::new(Narrow(Vec::new()), usize::MAX);
        frames.write(&bytes[..head], &bytes[head..]).unwrap();
        frames.write(&[1], &[2]).unwrap();
        let mut back = Frames::new(&frames.stream.0[..], usize::MAX);
        let mut packet = Vec::new();
        back.read(&mut packet).unwrap();
        assert!(packet == bytes, "{head} {body}");
        back.read(&mut packet).unwrap();
        assert_eq!(packet, [1, 2]);
    }
}

#[test]
fn a_timeout_in_the_middle_of_a_packet_loses_nothing() {
    for piece in [1, 3, 5, 40_000] {
        let payloads = [vec![1; 3], vec![2; 50_000], Vec::new(), vec![3; 17]];
        let slow = Slow {
            bytes: packets(&payloads),
            at: 0,
            piece,
            ready: true,
        };
        let mut frames = Frames::new(slow, usize::MAX);
        for payload in &payloads {
            let mut packet = Vec::new();
            while let Err(error) = frames.read(&mut packet) {
                assert!(matches!(error, Error::Timeout { .. }), "{error}");
            }
            assert_eq!(packet, *payload);
        }
    }
}

#[test]
fn packets_in_pieces_are_the_same_packets() {
    let payloads: Vec<_> = [0, 1, PIECE, MAX_CHUNK + 5, 2 * MAX_CHUNK]
        .map(|len| (0..len).map(|at| (at / 3) as u8).collect::<Vec<_>>())
        .into();
    let slow = Slow {
        bytes: packets(&payloads),
        at: 0,
        piece: 100_000,
        ready: true,
    };
    // The limit is for one chunk, not for the packet.
    let mut frames = Frames::new(slow, MAX_CHUNK + PIECE);
    for payload in &payloads {
        let (mut found, mut piece) = (Vec::new(), Vec::new());
        loop {
            match frames.read_piece(&mut piece) {
                Ok(ended) => {
                    found.extend_from_slice(&piece);
                    assert!(piece.len() < 2 * PIECE);
                    if ended {
                        break;
                    }
                    assert!(piece.len() >= PIECE);
                }
                Err(error) => assert!(matches!(error, Error::Timeout { .. }), "{error}"),
            }
        }
        assert!(found == *payload, "{} bytes", payload.len());
    }
}

#[test]
fn a_packet_beyond_the_limit_is_refused_before_its_payload() {
    let mut frames = Frames::new(&[0xFF, 0xFF, 0xFF, 0][..], 1 << 20);
    let error = frames.read(&mut Vec::new());
    assert!(matches!(
        error,
        Err(Error::TooLarge {
            limit: 0x10_0000,
            ..
        })
    ));
}

#[test]
fn a_wrong_sequence_number_is_noticed_unless_ignored() {
    let bytes = [1, 0, 0, 7, 42];
    let mut packet = Vec::new();
    let checked = Frames::new(&bytes[..], 100).read(&mut packet);
    assert!(matches!(checked, Err(Error::Protocol { .. })));
    let mut frames = Frames::new(&bytes[..], 100);
    frames.begin(false);
    frames.read(&mut packet).unwrap();
    assert_eq!(packet, [42]);
}

#[test]
fn an_end_inside_a_packet_is_a_closed_connection() {
    let mut frames = Frames::new(&[5, 0, 0, 0, 1, 2][..], 100);
    assert!(matches!(frames.read(&mut Vec::new()), Err(Error::Closed)));
}
