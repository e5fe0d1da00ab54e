//! A file of the donor.

use super::Stage;
use super::numbers::Put as _;
use crate::cursor::{Cursor, Malformed};
use std::fmt;

/// A file, or what happened to one.
///
/// | offset | bytes | |
/// |---|---|---|
/// | 12 | 4 | stage |
/// | 16 | 8 | size; of redo: what to reserve for each file |
/// | 24 | 8 | bytes allocated on the donor's disk |
/// | 32 | 4 | FSP flags; `0xFFFFFFFF` for redo and the buffer pool dump |
/// | 36 | 4 | block size of the donor's file system |
/// | 40 | 2 | flags, see [`FileFlags`] |
/// | 42 | 4 | tablespace id |
/// | 46 | 4 | index of the file |
/// | 50 | 4 | first chunk |
/// | 54 | 4 | last chunk; 0: no more of this file comes in this stage |
/// | 58 | 4 | length of the name with its zero byte; 0: no name |
/// | 62 | … | name, zero byte |
/// | … | 64 | flag `0x20`: key and initialisation vector of the tablespace, **in clear** |
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileDescriptor {
    /// The stage it belongs to. Between two stages: the one to come.
    pub stage: Stage,
    /// Size in bytes; for redo, the size to reserve.
    pub size: u64,
    /// Bytes allocated on the donor's disk.
    pub allocated: u64,
    /// FSP flags of the tablespace.
    pub space_flags: u32,
    /// Block size of the donor's file system, in bytes.
    pub block_size: u32,
    /// What the file is, and what happened to it.
    pub flags: FileFlags,
    /// Tablespace id; see the constants of this type.
    pub space: u32,
    /// The number by which data refer to the file.
    pub index: u32,
    /// First chunk, numbered from 1.
    pub first_chunk: u32,
    /// Last chunk.
    pub last_chunk: u32,
    /// The donor's name of the file, without the zero byte. Of unknown encoding, and not to be
    /// trusted: it may be absolute, or point anywhere.
    pub name: Vec<u8>,
    /// The tablespace's key.
    pub key: Option<SpaceKey>,
}

impl FileDescriptor {
    /// Tablespace id that stands for the buffer pool dump, a text file.
    pub const BUFFER_POOL: u32 = 0xFFFF_FFFF;
    /// Tablespace id that stands for the redo log.
    pub const REDO: u32 = 0xFFFF_FFF0;
    /// The FSP flags of a file that is no tablespace.
    pub const NO_FLAGS: u32 = 0xFFFF_FFFF;

    pub(super) fn decode_body(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let stage = cursor.stage()?;
        let size = cursor.be64("size of a file")?;
        let allocated = cursor.be64("allocated size of a file")?;
        let space_flags = cursor.be32("FSP flags of a file")?;
        let block_size = cursor.be32("block size of a file")?;
        let flags = FileFlags(cursor.be16("flags of a file")?);
        let space = cursor.be32("tablespace of a file")?;
        let index = cursor.be32("index of a file")?;
        let first_chunk = cursor.be32("first chunk of a file")?;
        let last_chunk = cursor.be32("last chunk of a file")?;
        let at = cursor.position();
        let length = cursor.be32("length of a name")? as usize;
        let name = cursor.take(length, "name of a file")?;
        let name = match name.split_last() {
            None => name,
            Some((0, name)) if !name.is_empty() && !name.contains(&0) => name,
            Some(_) => {
                return Err(Malformed {
                    what: "name of a file",
                    at,
                });
            }
        };
        let key = if flags.has(FileFlags::KEY) {
            Some(SpaceKey {
                key: cursor.array("key of a tablespace")?,
                iv: cursor.array("initialisation vector of a tablespace")?,
            })
        } else {
            None
        };
        Ok(Self {
            stage,
            size,
            allocated,
            space_flags,
            block_size,
            flags,
            space,
            index,
            first_chunk,
            last_chunk,
            name: name.to_vec(),
            key,
        })
    }

    /// The flag that announces a key is written as `key` says.
    pub(super) fn encode_body(&self, out: &mut Vec<u8>) {
        out.put32(self.stage.number().into());
        out.put64(self.size);
        out.put64(self.allocated);
        out.put32(self.space_flags);
        out.put32(self.block_size);
        let announced = if self.key.is_some() {
            FileFlags::KEY.0
        } else {
            0
        };
        out.put16(self.flags.0 & !FileFlags::KEY.0 | announced);
        out.put32(self.space);
        out.put32(self.index);
        out.put32(self.first_chunk);
        out.put32(self.last_chunk);
        if self.name.is_empty() {
            out.put32(0);
        } else {
            out.put32(self.name.len() as u32 + 1);
            out.extend_from_slice(&self.name);
            out.push(0);
        }
        if let Some(key) = &self.key {
            out.extend_from_slice(&key.key);
            out.extend_from_slice(&key.iv);
        }
    }
}

/// Flags of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileFlags(pub u16);

impl FileFlags {
    /// Pages are compressed with zlib.
    pub const ZLIB: Self = Self(0x01);
    /// Pages are compressed with lz4.
    pub const LZ4: Self = Self(0x02);
    /// Encrypted.
    pub const ENCRYPTED: Self = Self(0x04);
    /// Has another name now.
    pub const RENAMED: Self = Self(0x08);
    /// Is gone.
    pub const DELETED: Self = Self(0x10);
    /// The tablespace's key follows the name.
    pub const KEY: Self = Self(0x20);

    /// Whether one of the flags of `other` is set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl std::ops::BitOr for FileFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Key of an encrypted tablespace, in clear. Overwritten when dropped.
#[derive(Clone, PartialEq, Eq, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub struct SpaceKey {
    /// Key, AES-256.
    pub key: [u8; 32],
    /// Initialisation vector.
    pub iv: [u8; 32],
}

/// Without the key.
impl fmt::Debug for SpaceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpaceKey").finish_non_exhaustive()
    }
}
