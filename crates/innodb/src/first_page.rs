//! The first page of a tablespace that nothing has been written to yet.

use crate::bytes::put;
use crate::checksum;
use crate::flags::SpaceFlags;
use crate::geometry::{Geometry, GeometryError};
use crate::ids::SpaceId;

/// Page 0 as a server leaves it that has created a tablespace and written nothing else: recovery
/// knows by it which tablespace the file is. Its type is 0, its LSN is 0, and only what cannot be
/// redone from the log is filled in.
///
/// `server_version` is the number of the server that created it, for example 90704.
pub fn fresh_first_page(
    space: SpaceId,
    flags: SpaceFlags,
    server_version: u32,
) -> Result<Vec<u8>, GeometryError> {
    let geometry = Geometry::of(flags)?;
    let mut page = vec![0; geometry.physical()];
    // All offsets are within the smallest page.
    let _ = put(&mut page, 8, &server_version.to_be_bytes());
    let _ = put(&mut page, 12, &SPACE_VERSION.to_be_bytes());
    let _ = put(&mut page, 34, &space.get().to_be_bytes());
    let _ = put(&mut page, 38, &space.get().to_be_bytes());
    let _ = put(&mut page, 54, &flags.get().to_be_bytes());
    checksum::stamp(&mut page, geometry);
    Ok(page)
}

/// Version of the tablespace format, of which there is one.
const SPACE_VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PageNo;
    use crate::tablespace::SpaceHeader;
    use crate::verify::{PageState, verify_page_at};

    #[test]
    fn it_verifies_and_says_which_tablespace_it_is() {
        for flags in [16417, 16425, 17633] {
            let flags = SpaceFlags::new(flags).unwrap();
            let page = fresh_first_page(SpaceId::new(77), flags, 90704).unwrap();
            let geometry = Geometry::of(flags).unwrap();
            let state = verify_page_at(&page, geometry, SpaceId::new(77), PageNo::new(0));
            assert_eq!(state, Ok(PageState::Valid));
            let header = SpaceHeader::parse(&page).unwrap();
            assert_eq!((header.space_id, header.flags), (SpaceId::new(77), flags));
            assert_eq!(header.server_version, 90704);
        }
    }
}
