//! Body of the fuzz target of our client: a server's bytes.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use innoclone_wire::{ConnectOptions, Connection, Endpoint, SslMode};

/// Any bytes of a server are an answer or an error: greeting, login by every method, a result, and
/// what follows it.
pub(crate) fn client(data: &[u8]) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let options = ConnectOptions {
        endpoint: Endpoint::Tcp {
            host: "127.0.0.1".into(),
            port,
        },
        password: Some("secret".into()),
        ssl_mode: SslMode::Disabled,
        get_server_public_key: true,
        max_allowed_packet: 1 << 20,
        max_result: 1 << 20,
        connect_timeout: Duration::from_secs(20),
        ..ConnectOptions::default()
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut client, _) = listener.accept().unwrap();
            // The client may be gone at any point: that is its answer.
            let _ = client.write_all(data);
            let _ = client.shutdown(std::net::Shutdown::Write);
            let _ = client.read_to_end(&mut Vec::new());
        });
        let Ok(mut connection) = Connection::connect(&options) else {
            return;
        };
        if let Ok(rows) = connection.query("SELECT c") {
            for row in &rows {
                assert!(row.len() <= rows.columns.len());
                let _ = row.parse_nullable::<i64>(0);
            }
        }
        let _ = connection.query_value::<u64>("SELECT 1");
        let _ = connection.ping();
    });
}
