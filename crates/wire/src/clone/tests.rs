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
        server in any::<[u8; 16]>(), clone in any::<u64>(), snapshot in any::<u64>(), index in any::<u32>(), stage in stage(),
        has_files in any::<bool>(), received in prop::option::of(received()),
    ) -> Locator {
        Locator { server, clone, snapshot, index, stage, has_files, received }
    }
}

prop_compose! {
    fn stage_descriptor()(
        stage in stage(), numbers in any::<(u32, u32, u32, u64, u64)>(), begins in any::<bool>(),
        acknowledges in any::<bool>(), extra in any::<(u32, u64, u64, u64, u64)>(),
    ) -> StageDescriptor {
        let (task, chunks, files, estimate, estimate_disk) = numbers;
        let (data_files, start_lsn, page_track_lsn, end_lsn, compression) = extra;
        let extra = StageExtra { data_files, start_lsn, page_track_lsn, end_lsn, compression };
        StageDescriptor {
            stage, task, chunks, files, estimate, estimate_disk, extra, begins, acknowledges,
        }
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
        wish in any::<(bool, u64, u32)>(), locator in prop::option::of(locator()),
    ) -> Setup {
        let (page_track, start_lsn, compression) = wish;
        let wish = Wish { page_track, start_lsn, compression };
        Setup { version: Version(version), ddl: DdlWait { seconds, blocks_ddl }, wish, locator }
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

const DIALECTS: [Dialect; 2] = [Dialect::Stock, Dialect::GreatSql];

fn packet_of(dialect: Dialect, command: &Command) -> Vec<u8> {
    let mut packet = vec![command.code()];
    packet.extend(command.body_in(dialect));
    packet
}

fn bytes_of(dialect: Dialect, response: &Response<'_>) -> Vec<u8> {
    let mut packet = Vec::new();
    response.encode_in(dialect, &mut packet);
    packet
}

/// A message without what MySQL's protocol does not carry.
trait Plain: Sized {
    fn plain(self) -> Self;

    fn carried_by(self, dialect: Dialect) -> Self {
        match dialect {
            Dialect::Stock => self.plain(),
            Dialect::GreatSql => self,
        }
    }
}

impl Plain for Locator {
    fn plain(self) -> Self {
        Self {
            server: [0; 16],
            ..self
        }
    }
}

impl Plain for StageDescriptor {
    fn plain(self) -> Self {
        Self {
            extra: StageExtra::default(),
            ..self
        }
    }
}

impl Plain for Setup {
    fn plain(self) -> Self {
        Self {
            wish: Wish::default(),
            locator: self.locator.map(Plain::plain),
            ..self
        }
    }
}

impl Plain for Command {
    fn plain(self) -> Self {
        match self {
            Self::Init(setup) => Self::Init(setup.plain()),
            Self::Attach(setup) => Self::Attach(setup.plain()),
            Self::Reinit(setup) => Self::Reinit(setup.plain()),
            Self::Ack(ack) => Self::Ack(Ack {
                locator: ack.locator.plain(),
                stage: ack.stage.map(Plain::plain),
                ..ack
            }),
            other => other,
        }
    }
}

impl Plain for Response<'_> {
    fn plain(self) -> Self {
        match self {
            Self::Locators { version, locator } => Self::Locators {
                version,
                locator: locator.plain(),
            },
            Self::Descriptor(Descriptor::Locator(locator)) => {
                Self::Descriptor(Descriptor::Locator(locator.plain()))
            }
            Self::Descriptor(Descriptor::Stage(stage)) => {
                Self::Descriptor(Descriptor::Stage(stage.plain()))
            }
            other => other,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn commands_survive_the_wire(command in command()) {
        for dialect in DIALECTS {
            let packet = packet_of(dialect, &command);
            let carried = command.clone().carried_by(dialect);
            prop_assert_eq!(Command::decode_in(dialect, &packet), Ok(carried));
        }
        prop_assert_eq!(command.body(), command.body_in(Dialect::Stock));
    }

    #[test]
    fn responses_survive_the_wire(response in response()) {
        for dialect in DIALECTS {
            let packet = bytes_of(dialect, &response);
            let carried = response.clone().carried_by(dialect);
            prop_assert_eq!(Response::decode_in(dialect, &packet), Ok(carried));
        }
        prop_assert_eq!(response.to_bytes(), bytes_of(Dialect::Stock, &response));
    }

    /// A message that is cut short is an error, or a shorter message that says the same when it
    /// is written again.
    #[test]
    fn cut_messages_are_noticed(command in command(), response in response(), cut in any::<prop::sample::Index>()) {
        for dialect in DIALECTS {
            let packet = packet_of(dialect, &command);
            let cut_packet = &packet[..cut.index(packet.len())];
            if let Ok(shorter) = Command::decode_in(dialect, cut_packet) {
                prop_assert_eq!(packet_of(dialect, &shorter), cut_packet);
            }
            let packet = bytes_of(dialect, &response);
            let cut_packet = &packet[..cut.index(packet.len())];
            if let Ok(shorter) = Response::decode_in(dialect, cut_packet) {
                // Half a character of a message is replaced.
                if !matches!(shorter, Response::Error { .. }) {
                    prop_assert_eq!(bytes_of(dialect, &shorter), cut_packet);
                }
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

/// Made by hand from the layouts, field by field.
#[test]
fn greatsqls_messages_have_their_bytes() {
    let locator = Locator {
        server: [0xAB; 16],
        clone: 3,
        snapshot: 4,
        index: 5,
        stage: Stage::PageCopy,
        has_files: true,
        received: None,
    };
    let setup = Setup {
        version: Version::V3,
        ddl: DdlWait {
            seconds: 300,
            blocks_ddl: false,
        },
        wish: Wish {
            page_track: true,
            start_lsn: 0x1122_3344_5566_7788,
            compression: 2,
        },
        locator: Some(locator.clone()),
    };
    let mut expected = vec![2, 1, 0, 0, 0x2C, 1, 0, 0x80, 1, 0, 0, 0];
    expected.extend([0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 2, 0, 0, 0]);
    expected.extend([12, 50, 0, 0, 0]);
    let mut bytes = vec![0, 0, 0, 100, 0, 0, 0, 50, 0, 0, 0, 1];
    bytes.extend([0xAB; 16]);
    bytes.extend([
        0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 5, 3, 1,
    ]);
    assert_eq!(bytes.len(), 50);
    expected.extend_from_slice(&bytes);
    for command in [
        Command::Init(setup.clone()),
        Command::Attach(setup.clone()),
        Command::Reinit(setup),
    ] {
        assert_eq!(command.body_in(Dialect::GreatSql), expected);
        let packet = [vec![command.code()], expected.clone()].concat();
        let read = Command::decode_in(Dialect::GreatSql, &packet);
        assert_eq!(read, Ok(command));
        // A stock donor does not take it for anything else.
        assert!(Command::decode(&packet).is_err());
    }
    let stage = StageDescriptor {
        stage: Stage::PageCopy,
        task: 1,
        chunks: 2,
        files: 3,
        estimate: 5,
        estimate_disk: 6,
        extra: StageExtra {
            data_files: 4,
            start_lsn: 7,
            page_track_lsn: 8,
            end_lsn: 9,
            compression: 1,
        },
        begins: true,
        acknowledges: false,
    };
    let mut expected = vec![2, 12, 0, 0, 0, 0, 100, 0, 0, 0, 82, 0, 0, 0, 3];
    for number in [3u8, 1, 2, 3, 4] {
        expected.extend([0, 0, 0, number]);
    }
    for number in [5u8, 6, 7, 8, 9, 1] {
        expected.extend([0, 0, 0, 0, 0, 0, 0, number]);
    }
    expected.extend([0, 1]);
    assert_eq!(expected.len(), 3 + 82);
    let response = Response::Descriptor(Descriptor::Stage(stage));
    assert_eq!(bytes_of(Dialect::GreatSql, &response), expected);
    let read = Response::decode_in(Dialect::GreatSql, &expected);
    assert_eq!(read, Ok(response));
    let locators = Response::Locators {
        version: Version::V3,
        locator,
    };
    let packet = [vec![1, 2, 1, 0, 0, 12, 50, 0, 0, 0], bytes].concat();
    assert_eq!(bytes_of(Dialect::GreatSql, &locators), packet);
}
