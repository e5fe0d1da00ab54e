//! Whether the server has back everything a backup takes from it.

use std::time::{Duration, Instant};

use testkit::Server;

use crate::scene::ACCOUNT;

/// Fails unless DDL and writes work, and soon no connection of ours and no redo log consumer is
/// left.
#[track_caller]
pub(crate) fn assert_released(server: &Server) {
    assert_ddl_works(server);
    let locks = "SELECT COUNT(*) FROM performance_schema.metadata_locks \
                 WHERE OBJECT_TYPE = 'BACKUP LOCK' AND LOCK_TYPE = 'SHARED'";
    eventually(server, "no backup lock is held", locks, "0");
    let ours =
        format!("SELECT COUNT(*) FROM information_schema.processlist WHERE USER = '{ACCOUNT}'");
    eventually(server, "no connection of ours is left", &ours, "0");
    // There is one consumer at a time, and it ends with its session.
    let consumer = "SELECT innodb_redo_log_consumer_register()";
    eventually(server, "the redo log has no consumer", consumer, "0");
}

/// Fails unless tables can be created and written.
#[track_caller]
pub(crate) fn assert_ddl_works(server: &Server) {
    let statements = format!(
        "SET SESSION lock_wait_timeout = {}; CREATE SCHEMA IF NOT EXISTS after_death; \
         DROP TABLE IF EXISTS after_death.t; CREATE TABLE after_death.t (id INT PRIMARY KEY); \
         INSERT INTO after_death.t VALUES (1)",
        PATIENCE.as_secs()
    );
    server.sql(&statements).unwrap();
}

#[track_caller]
pub(crate) fn eventually(server: &Server, what: &str, query: &str, wanted: &str) {
    let begin = Instant::now();
    loop {
        let found = server.query_value(query).unwrap();
        if found == wanted {
            return;
        }
        if begin.elapsed() > PATIENCE {
            let list = "SELECT ID, USER, COMMAND, TIME, STATE, INFO FROM \
                        information_schema.processlist";
            let list = server.sql(list).unwrap();
            panic!("not within {PATIENCE:?}: {what} ({found})\n{list}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Much less than a lock that nobody gives back is held by its owner or waited for by anybody.
const PATIENCE: Duration = Duration::from_secs(120);
