//! What the fuzz target does with its input. Shared by `fuzz/` and by `fuzz_smoke`.
#![allow(clippy::unwrap_used, reason = "of what was just made")]

use std::sync::{Arc, OnceLock};

use sql::{Answer, ConnectOptions, Endpoint, Identity, Service, ServiceOptions, Session};

/// Statements of a client, against an instance that is not there: nothing panics, no result is
/// crooked, and no error has a password in it.
pub(crate) fn statement(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut session = Session::alone(service(), Identity::local("fuzz"), Arc::default());
    match session.execute(text) {
        Ok(Answer::Rows(set)) => {
            let columns = set.columns.len();
            assert!(set.rows.iter().all(|row| row.len() == columns), "{text}");
        }
        Ok(Answer::Done { .. }) => {}
        Err(error) => {
            assert_eq!(error.sqlstate.len(), 5, "{error}");
            let secret = format!("IDENTIFIED BY '{SECRET}'");
            let told = text.contains(&secret) && !text.replace(&secret, "").contains(SECRET);
            assert!(!told || !error.message.contains(SECRET), "{text}\n{error}");
        }
    }
    session.execute("SHOW WARNINGS").unwrap();
}

/// A password to look for.
pub(crate) const SECRET: &str = "hunter2";

fn service() -> &'static Arc<Service> {
    static SERVICE: OnceLock<Arc<Service>> = OnceLock::new();
    SERVICE.get_or_init(|| {
        let name = format!("innoclone-fuzz-{}", std::process::id());
        let state_dir = std::env::temp_dir().join(name);
        let local = ConnectOptions {
            endpoint: Endpoint::Socket(state_dir.join("no-server")),
            ..ConnectOptions::default()
        };
        Service::open(ServiceOptions {
            local,
            datadir: None,
            state_dir,
        })
        .unwrap()
    })
}

/// Removes what the bodies have left behind.
#[allow(dead_code, reason = "a fuzzer is stopped, it does not end")]
pub(crate) fn clean() {
    let name = format!("innoclone-fuzz-{}", std::process::id());
    std::fs::remove_dir_all(std::env::temp_dir().join(name)).unwrap();
}
