use super::*;
use proptest::prelude::*;

fn stage() -> impl Strategy<Value = Stage> {
    prop::sample::select(&Stage::ALL[..])
}

fn received() -> impl Strategy<Value = Received> {
    let chunks = prop::collection::vec((1..2000u32, prop::option::of(1..64u32)), 0..400);
    chunks.prop_map(|chunks| {
        let mut received = Received::none(1700);
        for (chunk, blocks) in chunks {
            match blocks {
                Some(blocks) => received.partial(chunk, blocks),
                None => received.complete(chunk),
            }
        }
        received
    })
}

prop_compose! {
    fn locator()(
        clone in any::<u64>(), snapshot in any::<u64>(), index in any::<u32>(), stage in stage(),
        has_files in any::<bool>(), received in prop::option::of(received()),
    ) -> Locator {
        Locator { clone, snapshot, index, stage, has_files, received }
    }
}

prop_compose! {
    fn stage_descriptor()(
        stage in stage(), numbers in any::<(u32, u32, u32, u64, u64)>(), begins in any::<bool>(),
        acknowledges in any::<bool>(),
    ) -> StageDescriptor {
        let (task, chunks, files, estimate, estimate_disk) = numbers;
        StageDescriptor { stage, task, chunks, files, estimate, estimate_disk, begins, acknowledges }
    }
}

prop_compose! {
    fn file()(
        stage in stage(), sizes in any::<(u64, u64, u32, u32)>(), flags in 0..0x20u16,
        numbers in any::<(u32, u32, u32, u32)>(), name in prop::collection::vec(1..=255u8, 0..80),
        key in prop::option::of(any::<([u8; 32], [u8; 32])>()),
    ) -> FileDescriptor {
        let (size, allocated, space_flags, block_size) = sizes;
        let (space, index, first_chunk, last_chunk) = numbers;
        let announced = if key.is_some() { FileFlags::KEY } else { FileFlags(0) };
        FileDescriptor {
            stage, size, allocated, space_flags, block_size, flags: FileFlags(flags) | announced,
            space, index, first_chunk, last_chunk, name,
            key: key.map(|(key, iv)| SpaceKey { key, iv }),
        }
    }
}

prop_compose! {
    fn data()(
        stage in stage(), numbers in any::<(u32, u32, u32, u32, u32)>(), places in any::<(u64, u64)>(),
    ) -> DataDescriptor {
        let ((task, chunk, block, file, length), (offset, file_size)) = (numbers, places);
        DataDescriptor { stage, task, chunk, block, file, length, offset, file_size }
    }
}

fn descriptor() -> impl Strategy<Value = Descriptor> {
    prop_oneof![
        locator().prop_map(Descriptor::Locator),
        any::<(u32, u32, u32)>().prop_map(|(task, chunk, block)| Descriptor::Task(
            TaskDescriptor { task, chunk, block }
        )),
        stage_descriptor().prop_map(Descriptor::Stage),
        file().prop_map(Descriptor::File),
        data().prop_map(Descriptor::Data),
    ]
}

prop_compose! {
    fn setup()(
        version in any::<u32>(), seconds in 0..1u32 << 31, blocks_ddl in any::<bool>(),
        locator in prop::option::of(locator()),
    ) -> Setup {
        Setup { version: Version(version), ddl: DdlWait { seconds, blocks_ddl }, locator }
    }
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        setup().prop_map(Command::Init),
        setup().prop_map(Command::Attach),
        setup().prop_map(Command::Reinit),
        Just(Command::Execute),
        (
            any::<i32>(),
            locator(),
            prop::option::of(stage_descriptor())
        )
            .prop_map(|(error, locator, stage)| Command::Ack(Ack {
                error,
                locator,
                stage
            })),
        Just(Command::Exit),
    ]
}

fn setting() -> impl Strategy<Value = Setting> {
    let pair = || (".{0,20}", ".{0,40}");
    prop_oneof![
        ".{0,20}".prop_map(Setting::Plugin),
        pair().prop_map(|(key, value)| Setting::Variable(key, value)),
        ".{0,20}".prop_map(Setting::Collation),
        pair().prop_map(|(key, value)| Setting::PluginLibrary(key, value)),
        pair().prop_map(|(key, value)| Setting::Extra(key, value)),
        pair().prop_map(|(key, value)| Setting::Json(key, value)),
    ]
}

fn response() -> impl Strategy<Value = Response<'static>> {
    prop_oneof![
        (any::<u32>(), locator()).prop_map(|(version, locator)| Response::Locators {
            version: Version(version),
            locator,
        }),
        descriptor().prop_map(Response::Descriptor),
        prop::sample::select(vec![&b""[..], b"\0", b"some data"]).prop_map(Response::Data),
        setting().prop_map(Response::Setting),
        Just(Response::Complete),
        (any::<i32>(), ".{0,60}").prop_map(|(code, message)| Response::Error { code, message }),
    ]
}

fn packet_of(command: &Command) -> Vec<u8> {
    let mut packet = vec![command.code()];
    packet.extend(command.body());
    packet
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn commands_survive_the_wire(command in command()) {
        let packet = packet_of(&command);
        prop_assert_eq!(Command::decode(&packet), Ok(command));
    }

    #[test]
    fn responses_survive_the_wire(response in response()) {
        let packet = response.to_bytes();
        prop_assert_eq!(Response::decode(&packet), Ok(response));
    }

    /// A message that is cut short is an error, or a shorter message that says the same when it
    /// is written again.
    #[test]
    fn cut_messages_are_noticed(command in command(), response in response(), cut in any::<prop::sample::Index>()) {
        let packet = packet_of(&command);
        let cut_packet = &packet[..cut.index(packet.len())];
        if let Ok(shorter) = Command::decode(cut_packet) {
            prop_assert_eq!(packet_of(&shorter), cut_packet);
        }
        let packet = response.to_bytes();
        let cut_packet = &packet[..cut.index(packet.len())];
        if let Ok(shorter) = Response::decode(cut_packet) {
            // Half a character of a message is replaced.
            if !matches!(shorter, Response::Error { .. }) {
                prop_assert_eq!(shorter.to_bytes(), cut_packet);
            }
        }
    }
}

#[test]
fn what_follows_a_descriptor_is_ignored() {
    let locator = Locator {
        clone: 7,
        ..Locator::default()
    };
    let mut bytes = Descriptor::Locator(locator.clone()).to_bytes();
    assert_eq!(bytes.len(), 34);
    bytes.resize(128, 0);
    assert_eq!(Descriptor::decode(&bytes), Ok(Descriptor::Locator(locator)));
}

#[test]
fn names_with_zero_bytes_and_lengths_beyond_the_packet_are_refused() {
    let file = FileDescriptor {
        name: b"./a/b.ibd".to_vec(),
        ..FileDescriptor::default()
    };
    let bytes = Descriptor::File(file).to_bytes();
    let end = bytes.len();
    for (at, byte) in [
        (64, 0),
        (end - 1, b'x'),
        (61, 9),
        (61, 11),
        (58, 0xFF),
        (7, 60),
        (7, 0xFF),
    ] {
        let mut damaged = bytes.clone();
        damaged[at] = byte;
        assert!(Descriptor::decode(&damaged).is_err(), "byte {at}");
    }
}

#[test]
fn the_map_of_chunks_tells_what_is_missing() {
    let mut received = Received::none(33);
    for chunk in [0, 1, 33, 65, u32::MAX] {
        received.complete(chunk);
    }
    received.partial(2, 5);
    let blocks: Vec<_> = [1, 2, 3, 33, 64, 65]
        .map(|chunk| received.blocks(chunk))
        .into();
    assert_eq!(blocks, [None, Some(5), Some(0), None, Some(0), Some(0)]);
    received.complete(2);
    assert_eq!(received.blocks(2), None);
}

#[test]
fn a_map_takes_as_many_incomplete_chunks_as_a_donor_does() {
    let mut received = Received::none(1000);
    for chunk in 1..=1000 {
        received.partial(chunk, 1);
    }
    let counted = (1..=1000).filter(|chunk| received.blocks(*chunk) == Some(1));
    assert_eq!(counted.count(), MAX_INCOMPLETE);
    assert_eq!(received.blocks(257), Some(0));
}

#[test]
fn keys_are_not_printed() {
    let key = SpaceKey {
        key: [0x5A; 32],
        iv: [0x5B; 32],
    };
    assert!(!format!("{key:?}").contains("90"));
}
