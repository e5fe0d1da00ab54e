use super::*;
use innodb::flags::SpaceFlags;
use innodb::geometry::Geometry;
use innodb::ids::SpaceId;

fn desc(id: u32, name: &str, kind: FileKind, length: u64) -> FileDesc {
    let flags = SpaceFlags::new(16417).unwrap();
    let space = SpaceInfo {
        id: SpaceId::new(id),
        flags,
        geometry: Geometry::of(flags).unwrap(),
        first_page: 0,
    };
    let pages = !matches!(kind, FileKind::Redo | FileKind::Plain);
    FileDesc {
        id: FileId(id),
        name: name.into(),
        kind,
        space: pages.then_some(space),
        length,
        allocated: length,
        source: None,
    }
}

fn system(id: u32, name: &str, first_page: u32) -> FileDesc {
    let mut desc = desc(id, name, FileKind::System, 12 << 20);
    desc.space = desc.space.map(|space| SpaceInfo {
        id: SpaceId::new(0),
        first_page,
        ..space
    });
    desc
}

#[test]
fn files_are_in_the_order_that_clients_rely_on_and_named_as_donors_do() {
    let files = [
        desc(1, "s/t.ibd", FileKind::Tablespace, 65 << 20),
        system(2, "ibdata2", 768),
        desc(3, "undo_001", FileKind::Undo, 16 << 20),
        desc(4, "mysql.ibd", FileKind::Tablespace, 1 << 20),
        system(5, "ibdata1", 0),
        desc(6, "ib_buffer_pool", FileKind::Plain, 3855),
    ];
    let layout = Layout::of_data(&files).unwrap();
    let announcement = layout.announcement();
    let told: Vec<_> = announcement
        .files
        .iter()
        .map(|file| {
            let name = String::from_utf8(file.name.clone()).unwrap();
            (file.index, name, file.first_chunk, file.last_chunk)
        })
        .collect();
    let expected = [
        (0, "ib_buffer_pool", 1, 1),
        (1, "ibdata1", 2, 2),
        (2, "ibdata2", 3, 3),
        (3, "./s/t.ibd", 4, 5),
        (4, "undo_001", 6, 6),
        (5, "mysql.ibd", 7, 7),
    ];
    let expected = expected.map(|(index, name, first, last)| (index, name.to_owned(), first, last));
    assert_eq!(told, expected);
    assert_eq!(
        (announcement.stage.files, announcement.stage.chunks),
        (6, 7)
    );
    let table = layout.file(FileId(1)).unwrap();
    let place = |offset, len| table.place(offset, len).unwrap();
    let at = |chunk, block, last| Place { chunk, block, last };
    assert_eq!(place(0, 1 << 20), at(4, 1, false));
    assert_eq!(place(63 << 20, 1 << 20), at(4, 64, true));
    assert_eq!(place(64 << 20, 1 << 20), at(5, 1, true));
    assert!(table.place(5, 16).is_err());
    assert!(table.place(65 << 20, 1).is_err());
}

#[test]
fn redo_has_two_chunks_at_least_and_its_files_are_consecutive() {
    let redo = |id, number| {
        let name = format!("#innodb_redo/#ib_redo{number}");
        desc(id, &name, FileKind::Redo, 2 << 20)
    };
    let layout = Layout::of_redo(&[redo(8, 4), redo(7, 3)]).unwrap();
    let announcement = layout.announcement();
    assert_eq!(
        (announcement.stage.files, announcement.stage.chunks),
        (2, 4)
    );
    assert_eq!(layout.head(FileId(7), 0), 2048);
    let first = layout.file(FileId(7)).unwrap();
    assert_eq!(first.descriptor.index, 0);
    let places: Vec<_> = first.places_from(0).collect();
    let at = |chunk, block, last| Place { chunk, block, last };
    assert_eq!(places, [at(1, 1, true), at(2, 1, false)]);
    let places: Vec<_> = first.places_from(1 << 20).collect();
    assert_eq!(places, [at(2, 2, true)]);

    assert!(Layout::of_redo(&[redo(1, 0), redo(2, 2)]).is_err());
    let old = desc(1, "ib_logfile0", FileKind::Redo, 1 << 20);
    assert!(Layout::of_redo(&[old]).is_err());
}
