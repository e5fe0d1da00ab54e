//! What the daemon tells the service manager.

use std::os::unix::net::UnixDatagram;

use crate::common::world::World;
use crate::daemon::{Daemon, PATIENCE};

#[test]
fn the_service_manager_is_told_when_the_daemon_is_ready_and_when_it_stops() {
    let world = World::new();
    let path = world.dir.join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = || {
        let mut message = [0; 4096];
        let length = manager.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    let daemon = Daemon::started(world, &[], |command| {
        command.env("NOTIFY_SOCKET", &path);
    });
    assert_eq!(heard().trim_end(), "READY=1");
    assert_eq!(daemon.value("SELECT 1"), "1");
    daemon.stop();
    assert_eq!(heard().trim_end(), "STOPPING=1");
}
