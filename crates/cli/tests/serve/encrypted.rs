//! A clone of an instance with encrypted tablespaces: `clone_encrypt_key_path` names the key that
//! seals theirs.

use std::os::unix::fs::PermissionsExt as _;

use testkit::{Server, ServerOptions};

use crate::daemon::Daemon;
use crate::errors::failure;

#[test]
fn a_clone_of_an_encrypted_instance_takes_the_key_of_the_variable() {
    let donor = Server::start(ServerOptions {
        keyring: true,
        ..ServerOptions::default()
    });
    let donor = donor.unwrap();
    let setup = "CREATE DATABASE e; CREATE TABLE e.t (id INT PRIMARY KEY) ENCRYPTION='Y'; \
                 INSERT INTO e.t VALUES (1); CREATE USER repl@'%' IDENTIFIED BY 'GreatSQL@2023'; \
                 GRANT BACKUP_ADMIN ON *.* TO repl@'%'";
    donor.sql(setup).unwrap();
    let daemon = Daemon::new(&[]);
    let world = &daemon.world;
    let port = donor.port();
    daemon.sql(&format!(
        "SET GLOBAL clone_valid_donor_list = '127.0.0.1:{port}';"
    ));
    let clone = |name: &str| {
        let dir = world.path(name);
        format!(
            "CLONE INSTANCE FROM repl@127.0.0.1:{port} IDENTIFIED BY 'GreatSQL@2023'
              DATA DIRECTORY = '{dir}' REQUIRE SSL;"
        )
    };
    let (told, row) = failure(&daemon, "root", clone("open").trim_end_matches(';'));
    let words = "' of the donor is encrypted, and its key would lie in the backup in clear";
    assert!(told.starts_with("3872 (HY000): '"), "{told}");
    assert!(told.ends_with(words), "{told}");
    let row = row.unwrap();
    assert!(row.starts_with("Failed 3872: '"), "{row}");

    let key = world.path("key");
    std::fs::write(&key, [7; 32]).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    daemon.sql(&format!(
        "SET GLOBAL clone_encrypt_key_path = '{key}'; {}",
        clone("sealed")
    ));
    let set = world.path("sealed");
    world.run_alone(&["verify", &set]).expect(0);
    let restore = |name: &str, more: &[&str]| {
        let to = world.path(name);
        world.run_alone(&[&["restore", &set, "--to", &to], more].concat())
    };
    let refused = restore("without", &[]);
    assert_ne!(refused.status, Some(0));
    assert!(refused.stderr.contains("3185"), "{}", refused.stderr);
    restore("with", &["--encryption-key-file", &key]).expect(0);
    daemon.stop();
}
