//! Errors of CLONE: number, SQLSTATE, words, and whether they leave a row in the history.

use std::path::Path;

use testkit::ClosedPort;

use crate::daemon::{Daemon, run_with};

/// Runs a statement that must fail, as `user`. Returns the number, the SQLSTATE and the words, and
/// the row that it left: its number and words.
#[track_caller]
pub(crate) fn failure(daemon: &Daemon, user: &str, statement: &str) -> (String, Option<String>) {
    let count = "SELECT COUNT(*) FROM mysql.clone_history";
    let before = daemon.value(count);
    let mut command = daemon.client(user);
    command.args(["--skip-table", "--batch"]);
    let ended = run_with(command, &format!("{statement};"));
    assert!(ended.status != Some(0), "{statement}: {}", ended.stdout);
    let told = ended.stderr.trim_end();
    let at = told.find("ERROR ").unwrap_or_else(|| panic!("{told}"));
    let told = told[at + "ERROR ".len()..].replacen(" at line 1: ", ": ", 1);
    if daemon.value(count) == before {
        return (told, None);
    }
    let columns = "CONCAT(STATE, ' ', ERROR_NO, ': ', ERROR_MESSAGE)";
    let last = "ORDER BY ID DESC LIMIT 1";
    let row = daemon.value(&format!("SELECT {columns} FROM mysql.clone_history {last}"));
    let status = daemon.value(&format!(
        "SELECT {columns} FROM performance_schema.clone_status {last}"
    ));
    assert_eq!(row, status, "{statement}");
    (told, Some(row))
}

#[track_caller]
fn refused_before_it_begins(daemon: &Daemon, user: &str, statement: &str, expected: &str) {
    let (told, row) = failure(daemon, user, statement);
    assert_eq!(told, expected, "{statement}");
    assert_eq!(row, None, "{statement}");
}

/// The row says what the client is told.
#[track_caller]
fn fails_with_a_row(daemon: &Daemon, statement: &str, expected: &str) {
    let (told, row) = failure(daemon, "root", statement);
    assert_eq!(told, expected, "{statement}");
    let (number, words) = expected.split_once(": ").unwrap();
    let number = number.split(' ').next().unwrap();
    assert_eq!(
        row.as_deref(),
        Some(&*format!("Failed {number}: {words}")),
        "{statement}"
    );
}

#[test]
fn errors_of_clone_have_the_servers_numbers_and_words() {
    let daemon = Daemon::new(&[]);
    let setup = "CREATE USER poor@localhost IDENTIFIED BY ''; \
                 CREATE USER good@'%' IDENTIFIED BY 'g'; GRANT BACKUP_ADMIN ON *.* TO good@'%'";
    daemon.world.server.sql(setup).unwrap();
    let set = daemon.world.path("set");
    paths_and_privileges(&daemon, &set);
    lists_of_donors_and_bases(&daemon, &set);
    connecting(&daemon, &set);
    page_tracking(&daemon, &set);
    // Nothing was made by any of them.
    assert!(!Path::new(&set).exists());
}

pub(crate) fn local(dir: &str) -> String {
    format!("CLONE LOCAL DATA DIRECTORY = '{dir}'")
}

pub(crate) fn remote(user: &str, port: u16, dir: &str) -> String {
    format!(
        "CLONE INSTANCE FROM {user}@127.0.0.1:{port} IDENTIFIED BY 'g' DATA DIRECTORY = '{dir}'"
    )
}

fn paths_and_privileges(daemon: &Daemon, set: &str) {
    let privilege = "1227 (42000): Access denied; you need (at least one of) the BACKUP_ADMIN privilege(s) for this operation";
    refused_before_it_begins(daemon, "poor", &local(set), privilege);
    let wrong = "1525 (HY000): Incorrect path value: 'relative/path'";
    refused_before_it_begins(daemon, "root", &local("relative/path"), wrong);
    let long = format!("/{}", "x".repeat(511));
    let too_long = "1680 (HY000): The path specified for DATA DIRECTORY is too long.";
    refused_before_it_begins(daemon, "root", &local(&long), too_long);
    let empty = daemon.world.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let exists = format!("1007 (HY000): Can't create database '{empty}'; database exists");
    refused_before_it_begins(daemon, "root", &local(&empty), &exists);
    let within = daemon.world.server.datadir().join("within");
    let within = within.display().to_string();
    let own = format!("3632 (HY000): Path is within the current data directory '{within}'");
    refused_before_it_begins(daemon, "root", &local(&within), &own);
    let file = daemon.world.path("file");
    std::fs::write(&file, "").unwrap();
    for below in [format!("{file}/below"), format!("{file}/far/below")] {
        let not_made =
            format!("1006 (HY000): Can't create database '{below}/' (errno: 20 - Not a directory)");
        refused_before_it_begins(daemon, "root", &local(&below), &not_made);
    }
}

fn lists_of_donors_and_bases(daemon: &Daemon, set: &str) {
    let listed = "3869 (HY000): Clone system configuration: 127.0.0.1:7 is not found in clone_valid_donor_list:";
    let (told, row) = failure(daemon, "root", &remote("good", 7, set));
    assert!(told.starts_with(listed) && row.is_none(), "{told}");
    let format = "3869 (HY000): Clone system configuration: Invalid Format. Please enter \"<hostname1>:<port1>,...\"' with no extra space";
    let blanks = "SET GLOBAL clone_valid_donor_list = '127.0.0.1:1, 127.0.0.1:2'";
    refused_before_it_begins(daemon, "root", blanks, format);
    let nothing = daemon.world.path("nothing");
    let based = format!(
        "{} ENABLE PAGE TRACK INCREMENT BASED DIRECTORY '{nothing}'",
        local(set)
    );
    let no_checkpoints = format!(
        "1024 (HY000): Error reading file '{nothing}/#clone/#clone_checkpoints' (errno: 2 - No such file or directory)"
    );
    refused_before_it_begins(daemon, "root", &based, &no_checkpoints);
    for tail in [
        "INCREMENT BASED DIRECTORY '/x'",
        "REQUIRE SSL",
        "START_LSN = 1 START_LSN = 2",
    ] {
        let (told, row) = failure(daemon, "root", &format!("{} {tail}", local(set)));
        let expected = "1064 (42000): You have an error in your SQL syntax";
        assert!(told.starts_with(expected) && row.is_none(), "{told}");
    }
}

fn connecting(daemon: &Daemon, set: &str) {
    let server = &daemon.world.server;
    let port = server.port();
    let nobody = ClosedPort::new().unwrap();
    let closed = nobody.number();
    daemon.sql(&format!(
        "SET GLOBAL clone_valid_donor_list = '127.0.0.1:{port},127.0.0.1:{closed}';"
    ));
    let down = format!(
        "3862 (HY000): Clone Donor Error: Connect failed: 2003 : Can't connect to MySQL server on '127.0.0.1:{closed}' (111)."
    );
    fails_with_a_row(daemon, &remote("good", closed, set), &down);
    let increment = format!("{} START_LSN = 7", remote("good", closed, set));
    fails_with_a_row(daemon, &increment, &down);
    let shown = daemon.value(
        "SELECT CONCAT_WS(' ', CLONE_TYPE, SOURCE, DESTINATION, START_LSN, PAGE_TRACK_LSN, END_LSN) \
         FROM mysql.clone_history ORDER BY ID DESC LIMIT 1",
    );
    let row = format!("increment clone 127.0.0.1:{closed} {set} 7 0 0");
    assert_eq!(shown, row);
    let denied = "3862 (HY000): Clone Donor Error: Connect failed: 1045 : Access denied for user 'poor'@'localhost' (using password: YES).";
    fails_with_a_row(daemon, &remote("poor", port, set), denied);
    let known = "ALTER USER poor@localhost IDENTIFIED BY 'g'";
    server.sql(known).unwrap();
    let no_right = "3862 (HY000): Clone Donor Error: Connect failed: 1227 : Access denied; you need (at least one of) the BACKUP_ADMIN privilege(s) for this operation.";
    fails_with_a_row(daemon, &remote("poor", port, set), no_right);
    // What the donor itself refuses.
    let small = "SET GLOBAL max_allowed_packet = 1048576";
    server.sql(small).unwrap();
    let (told, row) = failure(daemon, "root", &remote("good", port, set));
    let expected = "Clone Donor Error: 3957 : ";
    assert!(
        told.starts_with(&format!("3862 (HY000): {expected}")),
        "{told}"
    );
    let row = row.unwrap();
    assert!(
        row.starts_with(&format!("Failed 3862: {expected}")),
        "{row}"
    );
    let without = "SET GLOBAL max_allowed_packet = 67108864; UNINSTALL PLUGIN clone";
    server.sql(without).unwrap();
    let no_plugin =
        "3862 (HY000): Clone Donor Error: Connect failed: 1524 : Plugin 'clone' is not loaded.";
    fails_with_a_row(daemon, &remote("good", port, set), no_plugin);
}

fn page_tracking(daemon: &Daemon, set: &str) {
    let untracked = format!("{} START_LSN = 1000", local(set));
    let (told, row) = failure(daemon, "root", &untracked);
    let expected = "Tracking was not enabled for the LSN range specified";
    assert_eq!(told, format!("3803 (HY000): {expected}"));
    let row = row.unwrap();
    assert!(
        row.starts_with(&format!("Failed 3803: {expected}")),
        "{row}"
    );
    // Where GreatSQL would switch it on and then find nothing, that it was off is said first.
    daemon.sql("SELECT mysqlbackup_page_track_set(true);");
    let too_old = format!("{} ENABLE PAGE TRACK START_LSN = 1000", local(set));
    let (told, row) = failure(daemon, "root", &too_old);
    let expected = "Internal error: page_archiver Can't set postion - No matching reset point.";
    assert_eq!(told, format!("1815 (HY000): {expected}"));
    let row = row.unwrap();
    assert!(
        row.starts_with("Failed 1815: Internal error: page_archiver"),
        "{row}"
    );
}
