//! Donors that are refused.

use crate::daemon::Daemon;

#[test]
fn remote_clones_heed_the_list_of_donors() {
    let daemon = Daemon::new(&[]);
    let dir = daemon.world.path("clone-full/20240610");
    let statement = format!(
        "CLONE INSTANCE FROM repl@172.16.16.10:3306 IDENTIFIED BY 'GreatSQL@2023'
          DATA DIRECTORY = '{dir}' ENABLE PAGE TRACK;"
    );
    let refused = daemon.run(&statement);
    assert!(
        refused.stderr.contains(
            "ERROR 3869 (HY000) at line 1: Clone system configuration: 172.16.16.10:3306 is not \
             found in clone_valid_donor_list"
        ),
        "{}",
        refused.stderr
    );
    let port = daemon.world.server.port();
    let denied = daemon.run(&format!(
        "SET GLOBAL clone_valid_donor_list = '127.0.0.1:{port}';
         CLONE INSTANCE FROM repl@127.0.0.1:{port} IDENTIFIED BY 'GreatSQL@2023' DATA DIRECTORY = '{dir}';"
    ));
    let expected = "Clone Donor Error: Connect failed: 1045 : Access denied for user 'repl'@";
    assert!(
        denied.stderr.contains("ERROR 3862 (HY000) at line 2:"),
        "{}",
        denied.stderr
    );
    assert!(denied.stderr.contains(expected), "{}", denied.stderr);
    assert_eq!(
        daemon.value("SELECT COUNT(*) FROM mysql.clone_history WHERE STATE = 'Completed'"),
        "0"
    );
    let (_, log) = daemon.stop();
    assert!(!log.contains("GreatSQL@2023"), "{log}");
}
