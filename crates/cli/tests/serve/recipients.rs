//! What a stock server says that a set cannot be given to.

use std::os::unix::fs::symlink;
use std::path::Path;

use testkit::{FreePort, Server, ServerOptions};

use crate::common::innoclone;
use crate::common::world::World;
use crate::running::Running;

#[test]
fn a_server_without_a_plugin_of_the_set_refuses_it_with_its_own_number() {
    let world = World::new();
    let plugin = "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'";
    world.server.sql(plugin).unwrap();
    let set = world.path("set");
    world.run(&["backup", "--to", &set]).expect(0);
    let port = FreePort::new().unwrap();
    let at = format!("127.0.0.1:{}", port.number());
    let mut command = innoclone(&world.state_dir());
    command.env("INNOCLONE_SERVE_PASSWORD", "p");
    command.args(["serve", "--donor", &set, "--listen", &at]);
    let mut donor = Running::start(&mut command);
    donor.wait_for("listening");

    // It would do without having it installed, if only it could.
    let all = world.server.query_value("SELECT @@plugin_dir").unwrap();
    let plugins = world.dir.join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    let link = |name: &str| symlink(Path::new(&all).join(name), plugins.join(name)).unwrap();
    link("mysql_clone.so");
    link("component_mysqlbackup.so");
    let option = format!("--plugin-dir={}", plugins.display());
    let recipient = Server::start(ServerOptions::with_args([option])).unwrap();
    let data = world.path("data");
    let clone = format!(
        "SET GLOBAL clone_valid_donor_list = '{at}'; CLONE INSTANCE FROM clone@127.0.0.1:{} \
         IDENTIFIED BY 'p' DATA DIRECTORY = '{data}'",
        port.number()
    );
    let error = recipient.sql(&clone).unwrap_err().to_string();
    assert!(error.contains("ERROR 3870 (HY000)"), "{error}");
    assert!(error.contains("rpl_semi_sync_source"), "{error}");
    link("semisync_source.so");
    recipient.sql(&clone).unwrap();
}
