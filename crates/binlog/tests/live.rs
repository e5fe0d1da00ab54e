//! Binary logs of a live server.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use binlog::event::EventType;
use binlog::gtid::GtidSet;
use binlog::{Ending, FileFacts, Identity, Problem, Reader, Transaction, Transactions};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use testkit::{Server, ServerOptions};

type Source = Cursor<Vec<u8>>;

fn open(path: &Path) -> Reader<Source> {
    let bytes = fs_err::read(path).unwrap();
    Reader::new(path.display().to_string(), Cursor::new(bytes)).unwrap()
}

fn logs(server: &Server) -> Vec<PathBuf> {
    let rows = server.sql_rows("SHOW BINARY LOGS").unwrap();
    let names = rows.iter().map(|row| server.datadir().join(&row[0]));
    names.collect()
}

fn all(path: &Path) -> (FileFacts, Vec<Transaction>, Ending) {
    let mut reader = open(path);
    let facts = FileFacts::read(&mut reader).unwrap();
    let mut transactions = Transactions::new(reader);
    let found = transactions.by_ref().map(Result::unwrap).collect();
    (facts, found, transactions.ending().clone())
}

const WORK: &str = "
    CREATE DATABASE test;
    CREATE TABLE test.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB);
    CREATE TABLE test.m (id INT PRIMARY KEY, v BLOB) ENGINE=MyISAM;
    INSERT INTO test.t VALUES (1, 'a'), (2, 'b');
    INSERT INTO test.m VALUES (1, 'a');
    FLUSH BINARY LOGS;
    SET SESSION gtid_next = 'AUTOMATIC:tagged';
    UPDATE test.t SET v = 'c';
    SET SESSION gtid_next = 'AUTOMATIC';
    SET binlog_transaction_compression = ON;
    INSERT INTO test.t (v) VALUES (REPEAT('z', 4000000));
    SET binlog_transaction_compression = OFF;
    XA START 'x'; DELETE FROM test.t LIMIT 1; XA END 'x'; XA PREPARE 'x'; XA ROLLBACK 'x';
    FLUSH BINARY LOGS;
    INSERT INTO test.t (v) VALUES (REPEAT('y', 4000000));
    DROP TABLE test.m;";

#[test]
fn transactions_of_a_live_server() {
    let server = Server::start(ServerOptions::default()).unwrap();
    server.sql(WORK).unwrap();
    let logs = logs(&server);
    let mut executed = GtidSet::new();
    let mut compressed = 0;
    for (number, path) in logs.iter().enumerate() {
        let (facts, transactions, ending) = all(path);
        assert_eq!(facts.previous_gtids, Some(executed.clone()));
        assert_eq!(
            facts.server_version,
            server.query_value("SELECT VERSION()").unwrap()
        );
        assert!(facts.checksums && facts.server_id == 1);
        let last = number + 1 == logs.len();
        assert_eq!(facts.in_use, last);
        match logs.get(number + 1) {
            None => assert_eq!(ending, Ending::Open),
            // Making the data directory stopped and started servers.
            Some(_) if ending == Ending::Stop => {}
            Some(next) => {
                let next = next.file_name().unwrap().to_str().unwrap();
                assert_eq!(ending, Ending::Rotate(next.to_owned()));
            }
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        let events = server
            .sql_rows(&format!("SHOW BINLOG EVENTS IN '{name}'"))
            .unwrap();
        let begins = events
            .iter()
            .filter(|row| row[2].contains("Gtid") && row[2] != "Previous_gtids");
        let begins: Vec<u64> = begins.map(|row| row[1].parse().unwrap()).collect();
        let found: Vec<u64> = transactions.iter().map(|one| one.begin).collect();
        assert_eq!(begins, found);
        for pair in transactions.windows(2) {
            assert_eq!(pair[0].end, pair[1].begin);
        }
        for (at, one) in transactions.iter().enumerate() {
            assert!(one.complete && one.sequence == at as u64 + 1, "{one:?}");
            assert!(
                one.immediate_commit_us > Some(1_500_000_000_000_000),
                "{one:?}"
            );
            assert_eq!(one.immediate_commit_us, one.original_commit_us);
            executed.insert(one.identity.gtid().unwrap());
            compressed += u32::from(one.compressed);
        }
    }
    let expected = server.query_value("SELECT @@global.gtid_executed").unwrap();
    assert_eq!(executed.to_string(), expected);
    assert_eq!(executed, expected.parse().unwrap());
    assert_eq!(compressed, 1);
    assert!(expected.contains(":tagged:"));
}

#[test]
fn payloads_have_their_events() {
    let server = Server::start(ServerOptions::default()).unwrap();
    server.sql(WORK).unwrap();
    let mut found = Vec::new();
    for path in logs(&server) {
        let mut reader = open(&path);
        reader.set_keep(64 << 20);
        while let Some(event) = reader.next_event().unwrap() {
            if event.header.kind == EventType::TRANSACTION_PAYLOAD {
                let payload = binlog::event::Payload::parse(event.body).unwrap();
                let mut events = payload.events().unwrap();
                let mut length = 0;
                while let Some((header, body)) = events.next(100).unwrap() {
                    assert!(body.len() <= 100);
                    length += u64::from(header.length);
                    found.push(header.kind);
                }
                assert_eq!(length, payload.original_length);
            }
        }
    }
    let expected = [
        EventType::QUERY,
        EventType::TABLE_MAP,
        EventType::WRITE_ROWS,
        EventType::XID,
    ];
    assert_eq!(found, expected);
}

#[test]
fn without_checksums_and_gtids() {
    let args = [
        "--binlog-checksum=NONE",
        "--gtid-mode=OFF",
        "--enforce-gtid-consistency=OFF",
    ];
    let server = Server::start(ServerOptions::with_args(args)).unwrap();
    server
        .sql("CREATE DATABASE test; CREATE TABLE test.t (id INT PRIMARY KEY); INSERT INTO test.t VALUES (1)")
        .unwrap();
    let logs = logs(&server);
    let (facts, transactions, _) = all(logs.last().unwrap());
    assert!(!facts.checksums);
    assert!(transactions.len() >= 2);
    for one in &transactions {
        assert_eq!(one.identity, Identity::Anonymous);
        assert!(one.complete && one.immediate_commit_us.is_some());
    }
}

#[test]
fn files_cut_or_changed_anywhere() {
    let server = Server::start(ServerOptions::default()).unwrap();
    server
        .sql("CREATE DATABASE test; FLUSH BINARY LOGS; CREATE TABLE test.t (id INT PRIMARY KEY); INSERT INTO test.t VALUES (1)")
        .unwrap();
    let path = logs(&server).pop().unwrap();
    let bytes = fs_err::read(&path).unwrap();
    let (facts, whole, _) = all(&path);
    let first = usize::try_from(facts.first_event).unwrap();
    for cut in 0..bytes.len() {
        let reader = Reader::new("cut", Cursor::new(bytes[..cut].to_vec()));
        let Ok(reader) = reader else {
            assert!(cut < first);
            assert!(reader.unwrap_err().is_truncated());
            continue;
        };
        let mut transactions = Transactions::new(reader);
        let found: Vec<_> = transactions.by_ref().map(Result::unwrap).collect();
        let complete = found.iter().filter(|one| one.complete);
        let expected = whole.iter().filter(|one| one.end <= cut as u64);
        assert!(complete.eq(expected), "cut at {cut}");
        let clean = whole.iter().any(|one| one.end == cut as u64) || cut == first;
        let begins = whole.first().map(|one| one.begin) == Some(cut as u64);
        if cut >= first {
            assert_eq!(
                *transactions.ending() == Ending::Torn,
                !clean && !begins,
                "cut at {cut}"
            );
        }
    }
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x10;
        let read = Reader::new("changed", Cursor::new(bytes));
        let read = read.and_then(|reader| Transactions::new(reader).collect::<Result<Vec<_>, _>>());
        match read {
            Err(error) => assert!(error.to_string().starts_with("changed: at byte ")),
            // A length that leads behind the end of the file.
            Ok(found) => assert!(found.last().is_none_or(|one| !one.complete), "byte {at}"),
        }
    }
}

#[test]
fn an_encrypted_file_says_so() {
    let options = ServerOptions {
        keyring: true,
        args: vec!["--binlog-encryption=ON".into()],
        ..ServerOptions::default()
    };
    let server = Server::start(options).unwrap();
    let path = logs(&server).pop().unwrap();
    let bytes = fs_err::read(path).unwrap();
    let error = Reader::new("log", Cursor::new(bytes)).unwrap_err();
    assert!(matches!(error.problem, Problem::Encrypted), "{error}");
}
