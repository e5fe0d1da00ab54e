use super::*;
use proptest::prelude::*;

const STATUS: &str = "2 1\n1700000000000001 1700000009000002\nLOCAL INSTANCE\n0\n\n\
                      binlog.000007\n1234\n8d1e-a:1-5,\n8d1e-b:1-9\n";

#[test]
fn a_status_is_read_line_by_line() {
    let status = ViewStatus::parse(STATUS).unwrap();
    assert_eq!((status.state, status.id), (CloneState::Completed, 1));
    assert_eq!(status.end_us, 1_700_000_009_000_002);
    assert_eq!(
        (status.source.as_str(), status.error_no),
        ("LOCAL INSTANCE", 0)
    );
    assert_eq!(
        (status.binlog_file.as_str(), status.binlog_position),
        ("binlog.000007", 1234)
    );
    assert_eq!(status.gtid_executed, "8d1e-a:1-5,\n8d1e-b:1-9");
    assert_eq!(status.to_text(), STATUS);
}

#[test]
fn the_lsn_line_of_greatsql_is_read_over() {
    let text = STATUS.replace("\n\nbinlog", "\n\n0 5000 6000\nbinlog");
    assert_eq!(ViewStatus::parse(text), ViewStatus::parse(STATUS));
}

#[test]
fn a_cut_status_names_the_line() {
    let error = ViewStatus::parse("2 1\n0 0\nLOCAL INSTANCE").unwrap_err();
    assert_eq!(
        error,
        TextError::Line {
            line: 4,
            expected: "error number"
        }
    );
    assert!(
        ViewStatus::parse("7 1\n0 0\n\n0\n\n\n0\n\n").is_err(),
        "no such state"
    );
}

#[test]
fn a_line_break_cannot_shift_the_lines() {
    let status = ViewStatus {
        error_message: "a\nb\r".into(),
        ..ViewStatus::default()
    };
    let back = ViewStatus::parse(status.to_text()).unwrap();
    assert_eq!(back.error_message, "a b ");
}

#[test]
fn progress_has_seven_stages() {
    let mut progress = ViewProgress {
        id: 4,
        ..ViewProgress::default()
    };
    progress.stages[1] = StageProgress {
        state: CloneState::Completed,
        threads: 2,
        begin_us: 3,
        end_us: 4,
        estimate: 5,
        data: 6,
        network: 7,
    };
    let text = "4\n0 0 0 0 0 0 0\n2 2 3 4 5 6 7\n".to_owned() + &"0 0 0 0 0 0 0\n".repeat(5);
    assert_eq!(progress.to_text(), text);
    assert_eq!(ViewProgress::parse(&text), Ok(progress));
    assert!(ViewProgress::parse(&text[..text.len() - 15]).is_err());
}

proptest! {
    #[test]
    fn a_status_survives_the_way_there_and_back(
        source in "[ -~]{0,60}", message in "[ -~é]{0,60}", binlog in "[!-~]{0,20}",
        gtid in "[0-9a-f:,-]{0,60}", numbers: [u64; 3], error_no: u32, id: u32,
    ) {
        let status = ViewStatus {
            state: CloneState::Failed, id, begin_us: numbers[0], end_us: numbers[1], source,
            error_no, error_message: message, binlog_file: binlog,
            binlog_position: numbers[2], gtid_executed: gtid,
        };
        prop_assert_eq!(ViewStatus::parse(status.to_text()), Ok(status));
    }
}
