//! `.meta` files: what a compressed data file or a `.delta` is a part of.
//!
//! ```text
//! page_size = 16384
//! zip_size = 0
//! space_id = 4294967294
//! space_flags = 18432
//! ```

use std::fmt;

use crate::flags::{FlagsError, SpaceFlags};
use crate::ids::SpaceId;
use crate::text::Pairs;

pub use crate::text::TextError;

/// The tablespace that a file of a backup set belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpaceMeta {
    /// Bytes of a page in the file.
    pub page_size: u32,
    /// The same for a `ROW_FORMAT=COMPRESSED` tablespace, 0 for every other.
    pub zip_size: u32,
    /// The tablespace.
    pub space_id: SpaceId,
    /// Its flags.
    pub space_flags: SpaceFlags,
}

impl SpaceMeta {
    /// The text of the file, byte for byte as GreatSQL and XtraBackup write it.
    pub fn to_text(&self) -> String {
        self.to_string()
    }

    /// Reads the text of the file. Unknown keys are passed over; `page_size` and `space_id` are
    /// required, the other two are 0 when they are missing.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, MetaError> {
        let pairs = Pairs::parse(text.as_ref())?;
        let page_size: u32 = pairs.required("page_size")?;
        let zip_size: u32 = pairs.optional("zip_size")?.unwrap_or_default();
        let plausible = page_size.is_power_of_two()
            && (1024..=65536).contains(&page_size)
            && (zip_size == page_size || (zip_size == 0 && page_size >= 4096));
        if !plausible {
            return Err(MetaError::Sizes {
                page_size,
                zip_size,
            });
        }
        Ok(Self {
            page_size,
            zip_size,
            space_id: SpaceId::new(pairs.required("space_id")?),
            space_flags: SpaceFlags::new(pairs.optional("space_flags")?.unwrap_or_default())?,
        })
    }
}

impl fmt::Display for SpaceMeta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "page_size = {}", self.page_size)?;
        writeln!(f, "zip_size = {}", self.zip_size)?;
        writeln!(f, "space_id = {}", self.space_id)?;
        writeln!(f, "space_flags = {}", self.space_flags.get())
    }
}

/// A `.meta` file that describes no tablespace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetaError {
    /// The text cannot be read.
    #[error(transparent)]
    Text(#[from] TextError),
    /// No tablespace has these sizes.
    #[error("page_size {page_size} with zip_size {zip_size}")]
    Sizes {
        /// The value of `page_size`.
        page_size: u32,
        /// The value of `zip_size`.
        zip_size: u32,
    },
    /// No tablespace has these flags.
    #[error(transparent)]
    Flags(#[from] FlagsError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn meta(space_id: u32, flags: u32) -> SpaceMeta {
        let space_flags = SpaceFlags::new(flags).unwrap();
        SpaceMeta {
            page_size: 16384,
            zip_size: 0,
            space_id: SpaceId::new(space_id),
            space_flags,
        }
    }

    #[test]
    fn the_text_is_exact() {
        let text = "page_size = 16384\nzip_size = 0\nspace_id = 4294967294\nspace_flags = 18432\n";
        assert_eq!(meta(4_294_967_294, 18432).to_text(), text);
        assert_eq!(SpaceMeta::parse(text), Ok(meta(4_294_967_294, 18432)));
    }

    #[test]
    fn sizes_are_those_of_real_backup_sets() {
        let sizes = [(0, 16384), (4_294_967_294, 18432), (4_294_967_279, 0)];
        let length = |(id, flags)| meta(id, flags).to_text().len();
        assert_eq!(sizes.map(length), [64, 73, 69]);
    }

    #[test]
    fn unknown_keys_and_missing_options_are_accepted() {
        let text = b"page_size=16384\ncolour = blue\n\n space_id =  7 \n";
        assert_eq!(SpaceMeta::parse(text), Ok(meta(7, 0)));
    }

    #[test]
    fn what_is_required_is_required() {
        let error = SpaceMeta::parse("page_size = 16384\n");
        assert_eq!(error, Err(TextError::Missing { key: "space_id" }.into()));
        let error = SpaceMeta::parse("");
        assert_eq!(error, Err(TextError::Missing { key: "page_size" }.into()));
    }

    #[test]
    fn nonsense_is_refused() {
        let refused = |text: &str| assert!(SpaceMeta::parse(text).is_err(), "{text}");
        refused("page_size = 16385\nspace_id = 1\n");
        refused("page_size = 1024\nzip_size = 0\nspace_id = 1\n");
        refused("page_size = 16384\nzip_size = 8192\nspace_id = 1\n");
        refused("page_size = 16384\nspace_id = -1\n");
        refused("page_size = 16384\nspace_id = 4294967296\n");
        refused("page_size = 16384\nspace_id = 1\nspace_id = 2\n");
        refused("page_size = 16384\nspace_id = 1\nspace_flags = 32768\n");
        refused("page_size 16384\nspace_id = 1\n");
        refused(&format!(
            "page_size = 16384\nspace_id = 1\n{} = 1\n",
            "k".repeat(51)
        ));
        refused(&"page_size = 16384\n".repeat(1000));
        assert!(SpaceMeta::parse(b"\xFF = 1\n").is_err());
    }

    proptest! {
        #[test]
        fn a_meta_survives_the_way_there_and_back(
            zip: bool, exponent in 12u32..=14, space_id: u32,
        ) {
            let page_size = 1 << exponent;
            let meta = SpaceMeta {
                page_size,
                zip_size: if zip { page_size } else { 0 },
                space_id: SpaceId::new(space_id),
                space_flags: SpaceFlags::new(0x4021).unwrap(),
            };
            prop_assert_eq!(SpaceMeta::parse(meta.to_text()), Ok(meta));
        }
    }
}
