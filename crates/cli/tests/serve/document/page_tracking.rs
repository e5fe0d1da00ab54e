//! Page tracking, switched by the functions of the component.

use crate::common::shown::table;
use crate::daemon::Daemon;

#[test]
fn page_tracking_is_switched_as_documented() {
    let daemon = Daemon::new(&[]);
    let rows = table(&daemon.sql("SELECT mysqlbackup_page_track_set(true); "));
    assert_eq!(rows[0], ["mysqlbackup_page_track_set(true)"]);
    assert!(rows[1][0].parse::<u64>().unwrap() > 0);

    let rows = table(&daemon.sql("SHOW GLOBAL STATUS LIKE '%lsn%';"));
    assert_eq!(rows[0], ["Variable_name", "Value"]);
    let mut found: Vec<&str> = rows[1..].iter().map(|row| row[0].as_str()).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "Innodb_lsn_current",
            "Innodb_lsn_flushed",
            "Innodb_lsn_last_checkpoint",
            "Innodb_redo_log_checkpoint_lsn",
            "Innodb_redo_log_current_lsn",
            "Innodb_redo_log_flushed_to_disk_lsn",
        ]
    );

    let archive = || {
        let found = std::process::Command::new("sh")
            .args(["-ec", "find ./#ib_archive/ -type f"])
            .current_dir(daemon.world.server.datadir())
            .output()
            .unwrap();
        String::from_utf8(found.stdout).unwrap()
    };
    let files = archive();
    for name in ["/page_group_", "/active", "/durable", "/ib_page_0"] {
        assert!(files.contains(name), "{files}");
    }
    // The user's own work is for the instance: the daemon says so.
    let work = "CREATE TABLE `t` (
  `id` int unsigned NOT NULL AUTO_INCREMENT,
  `c1` int unsigned NOT NULL,
  `c2` varchar(30) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB;";
    let refused = daemon.run(work);
    assert!(
        refused.stderr.contains("ERROR 1235 (42000)"),
        "{}",
        refused.stderr
    );
    daemon
        .world
        .server
        .sql(&format!("CREATE DATABASE test; USE test; {work}"))
        .unwrap();
    let insert = "INSERT INTO t SELECT 0, rand()*10240000, rand()";
    let fill = format!("USE test; {insert}; {insert} FROM t; {insert} FROM t; {insert} FROM t;");
    daemon.world.server.sql(&fill).unwrap();
    daemon.sql("SHOW GLOBAL STATUS LIKE '%lsn%';");

    let rows = table(&daemon.sql("SELECT mysqlbackup_page_track_set(false); "));
    assert_eq!(rows[0], ["mysqlbackup_page_track_set(false)"]);
    let lsn = &rows[1][0];
    assert!(lsn.parse::<u64>().unwrap() > 0);
    let files = archive();
    assert!(
        files.contains("/durable") && !files.contains("/active"),
        "{files}"
    );
    let purge = format!("mysqlbackup_page_track_purge_up_to({lsn})");
    let rows = table(&daemon.sql(&format!("SELECT {purge};")));
    assert_eq!(rows[0], [purge.as_str()]);
    assert!(rows[1][0].parse::<u64>().is_ok());
    let rows = table(&daemon.sql(&format!("SELECT {purge};")));
    assert_eq!(rows[1], ["9223372036854775807"]);
    let all = "SELECT mysqlbackup_page_track_purge_up_to(9223372036854775807);";
    assert!(table(&daemon.sql(all))[1][0].parse::<u64>().is_ok());
}
