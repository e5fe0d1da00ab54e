use super::*;
use ::wire::clone::DataDescriptor;

fn block(chunk: u32, number: u32) -> Block {
    Block {
        data: DataDescriptor {
            chunk,
            block: number,
            ..DataDescriptor::default()
        },
        bytes: vec![number as u8],
    }
}

/// A guard: what is waited for comes.
const SOON: Duration = Duration::from_secs(600);
const NOW: Duration = Duration::ZERO;

fn next(flow: &Flow, task: u32) -> String {
    match flow.next(task, SOON).unwrap() {
        Next::Begin(announcement) => format!("begin {:?}", announcement.stage.stage),
        Next::Files(announcement) => format!("files {:?}", announcement.stage.stage),
        Next::Data(block) => format!("{}.{}", block.data.chunk, block.data.block),
        Next::End(stage) => format!("end {:?}", stage.stage),
        Next::Wait => "wait".into(),
        Next::Complete => "complete".into(),
    }
}

#[test]
fn stages_begin_and_end_on_every_connection_and_chunks_stay_on_one() {
    let flow = Flow::new(Stage::Init, Known::Nothing);
    flow.join();
    // The engine would be through with so little before anybody else has joined.
    let (joined, wait) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let engine = scope.spawn(|| -> Result<()> {
            // In here, so that a failed test does not wait for ever.
            let wait = wait;
            flow.close(Stage::Init)?;
            flow.open(Announcement::empty(Stage::FileCopy))?;
            let _ = wait.recv();
            for (chunk, number, last) in [(1, 1, false), (2, 1, false), (1, 2, true), (2, 2, true)]
            {
                flow.push(block(chunk, number), last)?;
            }
            flow.close(Stage::FileCopy)?;
            flow.open(Announcement::empty(Stage::Done))
        });
        assert!(!flow.acknowledge(Stage::Init), "nobody was told");
        assert_eq!(next(&flow, MASTER), "end Init");
        assert!(flow.attach(NOW).is_none(), "no stage is open");
        assert!(flow.acknowledge(Stage::Init));
        assert_eq!(next(&flow, MASTER), "begin FileCopy");
        assert!(
            flow.attach(NOW).is_none(),
            "the client does not know of the stage"
        );
        flow.announced(Stage::FileCopy);
        let (worker, stage) = flow.attach(SOON).unwrap();
        assert_eq!((worker, stage), (1, Stage::FileCopy));
        joined.send(()).unwrap();
        assert_eq!(next(&flow, MASTER), "1.1");
        assert_eq!(next(&flow, worker), "2.1");
        assert_eq!(next(&flow, MASTER), "1.2");
        assert_eq!(next(&flow, worker), "2.2");
        assert_eq!(next(&flow, MASTER), "end FileCopy");
        assert!(!flow.acknowledge(Stage::PageCopy));
        assert!(flow.acknowledge(Stage::FileCopy));
        // The next stage waits until every connection is through with this one.
        assert!(matches!(flow.next(MASTER, NOW), Ok(Next::Wait)));
        assert_eq!(next(&flow, worker), "end FileCopy");
        assert_eq!(next(&flow, MASTER), "begin Done");
        assert!(matches!(flow.next(worker, NOW), Ok(Next::Wait)));
        flow.announced(Stage::Done);
        assert_eq!(next(&flow, worker), "begin Done");
        assert_eq!(
            (next(&flow, worker), next(&flow, MASTER)),
            ("complete".into(), "complete".into())
        );
        assert!(flow.attach(SOON).is_none(), "all is over");
        engine.join().unwrap().unwrap();
    });
}

#[test]
fn who_comes_back_is_told_what_it_does_not_know() {
    for (known, told) in [
        (Known::Nothing, "begin RedoCopy"),
        (Known::Begin, "files RedoCopy"),
        (Known::Files, "7.3"),
    ] {
        let flow = Flow::new(Stage::RedoCopy, known);
        flow.join();
        flow.open(Announcement::empty(Stage::RedoCopy)).unwrap();
        flow.push(block(7, 3), true).unwrap();
        assert_eq!(next(&flow, MASTER), told, "{known:?}");
    }
}

#[test]
fn a_flow_that_is_stopped_wakes_everybody_with_the_first_reason() {
    let flow = Flow::new(Stage::FileCopy, Known::Files);
    flow.join();
    flow.open(Announcement::empty(Stage::FileCopy)).unwrap();
    std::thread::scope(|scope| {
        let engine = scope.spawn(|| {
            // More than there is room for, however late the flow is stopped.
            (1..).find_map(|number| flow.push(block(1, number), false).err())
        });
        let failed = Stopped::Failed {
            code: 1712,
            message: "damaged".into(),
        };
        flow.stop(failed.clone());
        flow.stop(Stopped::Interrupted);
        assert!(matches!(engine.join().unwrap(), Some(Error::Cancelled)));
        assert_eq!(flow.next(MASTER, SOON).unwrap_err(), failed);
        assert!(flow.attach(SOON).is_none());
    });
}

#[test]
fn a_chunk_whose_file_is_gone_holds_nobody_up_and_is_not_gone_on_with() {
    let flow = Flow::new(Stage::FileCopy, Known::Nothing);
    flow.join();
    flow.open(Announcement::empty(Stage::FileCopy)).unwrap();
    assert_eq!(next(&flow, MASTER), "begin FileCopy");
    flow.push(block(1, 1), false).unwrap();
    flow.push(block(3, 1), true).unwrap();
    assert_eq!(next(&flow, MASTER), "1.1");
    assert!(
        matches!(flow.next(MASTER, NOW), Ok(Next::Wait)),
        "the chunk is not whole"
    );
    flow.abandon(1..=2);
    assert_eq!(next(&flow, MASTER), "3.1");
    // Another worker has not noticed yet.
    flow.push(block(1, 2), false).unwrap();
    flow.push(block(2, 1), true).unwrap();
    flow.push(block(4, 1), true).unwrap();
    assert_eq!(next(&flow, MASTER), "4.1");
    // In the next stage the numbers mean something else.
    flow.leave(MASTER);
    flow.open(Announcement::empty(Stage::PageCopy)).unwrap();
    flow.push(block(1, 1), true).unwrap();
    flow.join();
    assert_eq!(next(&flow, MASTER), "begin PageCopy");
    assert_eq!(next(&flow, MASTER), "1.1");
}

#[test]
fn a_flow_that_is_stopped_holds_no_blocks() {
    let flow = Flow::new(Stage::FileCopy, Known::Nothing);
    flow.push(block(1, 1), false).unwrap();
    flow.give_back(vec![0; 10]);
    flow.stop(Stopped::Interrupted);
    flow.give_back(vec![0; 10]);
    assert_eq!(flow.buffer().capacity(), 0);
    let state = flow.lock();
    assert!(state.chunks.is_empty() && state.ready.is_empty() && state.spare.is_empty());
}
