//! Our server's side of the protocol, with the stock client and our own in front of it.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use innoclone_wire::server::{
    Accounts, Answer, Column, ColumnKind, FixedAccounts, Handler, Interruption, LocalAccounts,
    Refusal, Server, ServerOptions, ServerRsa, ServerTls, Session, StoredPassword, Table, Value,
};
use innoclone_wire::{ConnectOptions, Connection, Endpoint, Error, SslMode};
use support::{chain, connect, refused, user};
use testkit::{Install, Scratch, wait_until};

/// Answers a few statements.
struct Echo {
    session: Session,
    interrupted: Sender<Interruption>,
}

impl Handler for Echo {
    fn query(&mut self, sql: &str) -> Answer {
        match sql {
            "SELECT who()" => {
                let table = Table {
                    columns: vec![
                        Column::new("user", ColumnKind::Text),
                        Column::new("id", ColumnKind::Unsigned),
                        Column::new("tls", ColumnKind::Integer),
                        Column::new("share", ColumnKind::Double),
                        Column::new("bytes", ColumnKind::Bytes),
                        Column::new("none", ColumnKind::Text),
                    ],
                    rows: vec![vec![
                        self.session.login.user.as_str().into(),
                        u64::from(self.session.id).into(),
                        i64::from(self.session.login.tls).into(),
                        Value::Double(1.5),
                        Value::Bytes(b"a\0b".to_vec()),
                        Value::Null,
                    ]],
                };
                Answer::Rows(table)
            }
            "SELECT wait()" => {
                while self.session.watch.interruption().is_none() {
                    std::thread::sleep(Duration::from_millis(10));
                }
                let why = self.session.watch.interruption().unwrap();
                let _ = self.interrupted.send(why);
                Refusal::interrupted().into()
            }
            "SELECT big()" => Answer::Rows(Table {
                columns: vec![Column::new("big", ColumnKind::Text)],
                rows: vec![vec!["x".repeat(17 << 20).into()]; 2],
            }),
            sql if sql.starts_with("KILL QUERY ") => {
                let id = sql["KILL QUERY ".len()..].parse().unwrap();
                if self.session.connections.kill_query(id) {
                    Answer::done()
                } else {
                    Refusal::new(1094, "Unknown thread id").into()
                }
            }
            sql if sql.starts_with("ECHO ") => Answer::Rows(Table {
                columns: vec![Column::new("echo", ColumnKind::Text)],
                rows: vec![vec![sql["ECHO ".len()..].into()]],
            }),
            _ => Refusal::new(1064, "You have an error in your SQL syntax").into(),
        }
    }

    fn init_db(&mut self, name: &str) -> Result<(), Refusal> {
        match name {
            "mysql" => Ok(()),
            _ => Err(Refusal::new(1049, format!("Unknown database '{name}'"))),
        }
    }
}

/// A server with its clients' addresses.
struct Serving {
    server: Server,
    port: u16,
    socket: PathBuf,
    interrupted: Receiver<Interruption>,
    _scratch: Scratch,
}

fn serve(options: ServerOptions, accounts: Arc<dyn Accounts>) -> Serving {
    let scratch = Scratch::new().unwrap();
    let socket = scratch.join("s");
    let (interrupted, heard) = channel();
    let handlers = move |session: &Session| -> Box<dyn Handler> {
        Box::new(Echo {
            session: session.clone(),
            interrupted: interrupted.clone(),
        })
    };
    let server = Server::new(options, accounts, Arc::new(handlers));
    let tcp = Endpoint::Tcp {
        host: "127.0.0.1".into(),
        port: 0,
    };
    let port = server.listen(&tcp).unwrap().unwrap().port();
    server.listen(&Endpoint::Socket(socket.clone())).unwrap();
    Serving {
        server,
        port,
        socket,
        interrupted: heard,
        _scratch: scratch,
    }
}

fn known() -> Arc<dyn Accounts> {
    let accounts = FixedAccounts::default()
        .with_password("u", &"secret".into())
        .with_password("blank", &"".into());
    Arc::new(accounts)
}

fn with_tls() -> ServerOptions {
    ServerOptions {
        version: "9.7.4".into(),
        tls: Some(ServerTls::self_signed(vec!["localhost".into()]).unwrap()),
        ..ServerOptions::default()
    }
}

impl Serving {
    fn tcp(&self) -> ConnectOptions {
        let endpoint = Endpoint::Tcp {
            host: "127.0.0.1".into(),
            port: self.port,
        };
        ConnectOptions {
            endpoint,
            ..ConnectOptions::default()
        }
    }

    fn plain(&self) -> ConnectOptions {
        ConnectOptions {
            ssl_mode: SslMode::Disabled,
            ..self.tcp()
        }
    }

    fn local(&self) -> ConnectOptions {
        ConnectOptions {
            endpoint: Endpoint::Socket(self.socket.clone()),
            ..ConnectOptions::default()
        }
    }

    fn tcp_args(&self) -> [String; 3] {
        let port = format!("--port={}", self.port);
        ["--host=127.0.0.1".into(), port, "--protocol=TCP".into()]
    }
}

static INSTALL: LazyLock<Install> = LazyLock::new(|| Install::find().expect("a server"));

/// The stock client.
fn stock(args: &[&str]) -> Command {
    let mut command = INSTALL.command("mysql");
    command.arg("--batch").args(args);
    command
}

fn output(command: &mut Command) -> (bool, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn the_stock_client_logs_in_by_every_way() {
    let at = serve(with_tls(), known());
    let tcp = at.tcp_args();
    let socket = format!("--socket={}", at.socket.display());
    let ways: [&[&str]; 4] = [
        &[
            &tcp[0],
            &tcp[1],
            &tcp[2],
            "--ssl-mode=DISABLED",
            // Of somebody who is not known the password is asked for.
            "--get-server-public-key",
        ],
        &[&tcp[0], &tcp[1], &tcp[2], "--ssl-mode=REQUIRED"],
        &[&socket],
        &[&socket, "--ssl-mode=REQUIRED"],
    ];
    for (way, tls) in ways.into_iter().zip(["0", "1", "0", "1"]) {
        let login = ["--user=u", "--password=secret"];
        let query = ["--execute=SELECT who()", "--skip-column-names"];
        let (ok, text) = output(stock(way).args(login).args(query));
        assert!(ok, "{way:?}: {text}");
        assert!(text.contains("u\t"), "{text}");
        assert!(
            text.contains(&format!("\t{tls}\t1.5\ta\\0b\tNULL")),
            "{text}"
        );

        let (ok, text) = output(stock(way).args(["--user=blank"]).args(query));
        assert!(ok && text.contains("blank\t"), "{way:?}: {text}");

        for wrong in [
            &["--user=u", "--password=wrong"][..],
            &["--user=u"],
            &["--user=nobody", "--password=secret"],
        ] {
            let (ok, text) = output(stock(way).args(wrong).args(query));
            assert!(
                !ok && text.contains("ERROR 1045 (28000)"),
                "{way:?}: {text}"
            );
        }
    }
}

#[test]
fn the_stock_client_uses_schemas_errors_and_long_rows() {
    let at = serve(with_tls(), known());
    let tcp = at.tcp_args();
    let all = [&tcp[0], &tcp[1], &tcp[2], "--user=u", "--password=secret"];
    let (ok, text) = output(stock(&all).args(["mysql", "--execute=ECHO hi"]));
    assert!(ok && text.contains("hi"), "{text}");
    let (ok, text) = output(stock(&all).args(["nowhere", "--execute=ECHO hi"]));
    assert!(!ok && text.contains("ERROR 1049 (42000)"), "{text}");
    let (ok, text) = output(stock(&all).args(["--execute=FROB"]));
    assert!(!ok && text.contains("ERROR 1064 (42000)"), "{text}");
    let big = ["--execute=SELECT big()", "--max-allowed-packet=64M"];
    let (ok, text) = output(stock(&all).args(big));
    assert!(ok, "{}", text.chars().take(200).collect::<String>());
    assert_eq!(text.matches('x').count(), 2 * (17 << 20));
}

#[test]
fn our_client_logs_in_by_every_way() {
    let at = serve(with_tls(), known());
    for options in [at.tcp(), at.plain(), at.local()] {
        let mut connection = connect(&user(options.clone(), "u", "secret"));
        let row = connection.query_one("SELECT who()").unwrap().unwrap();
        assert_eq!((row.text(0), row.get(4)), (Some("u"), Some(&b"a\0b"[..])));
        assert_eq!(row.parse::<u32>(1).unwrap(), connection.connection_id());
        assert_eq!(row.get(5), None);
        connection.ping().unwrap();
        assert_eq!(connection.query("FROB").unwrap_err().code(), Some(1064));
        connection.close();
        assert_eq!(refused(&user(options, "u", "no")).code(), Some(1045));
    }
    wait_until("all have ended", || at.server.connections().count() == 0);
}

#[test]
fn unknown_commands_are_refused_and_the_session_goes_on() {
    let at = serve(with_tls(), known());
    let mut connection = connect(&user(at.tcp(), "u", "secret"));
    for command in [4, 5, 6, 10, 17, 28, 30, 32, 99, 255] {
        connection.send_command(command, b"x").unwrap();
        let packet = connection.read_packet().unwrap();
        let code = Error::from_packet(&packet).unwrap().code();
        assert_eq!(code, Some(1047), "{command}");
    }
    connection.ping().unwrap();
}

#[test]
fn prepared_statements_are_executed_with_their_values() {
    let at = serve(with_tls(), known());
    let mut connection = connect(&user(at.tcp(), "u", "secret"));
    connection.send_command(22, b"ECHO ?").unwrap();
    let packet = connection.read_packet().unwrap();
    assert_eq!((packet[0], &packet[5..9]), (0, &[0, 0, 1, 0][..]));
    let id = packet[1..5].to_vec();
    connection.read_packet().unwrap(); // the placeholder's column

    let values = [&id[..], &[0, 1, 0, 0, 0, 0, 1, 253, 0, 2], b"it"].concat();
    connection.send_command(23, &values).unwrap();
    assert_eq!(connection.read_packet().unwrap(), [1]);
    connection.read_packet().unwrap();
    assert_eq!(connection.read_packet().unwrap(), b"\0\0\x04'it'");
    assert_eq!(connection.read_packet().unwrap()[0], 0xFE);

    connection.send_command(25, &id).unwrap();
    connection.send_command(23, &values).unwrap();
    let packet = connection.read_packet().unwrap();
    assert_eq!(Error::from_packet(&packet).unwrap().code(), Some(1243));
}

#[test]
fn statements_are_interrupted_by_kill_and_by_a_client_that_leaves() {
    let at = serve(with_tls(), known());
    let connections = at.server.connections();
    let patience = Duration::from_secs(60);
    let busy = |id| {
        let list = connections.list();
        list.iter()
            .any(|info| info.id == id && info.command == "Query")
    };

    let mut waiting = connect(&user(at.tcp(), "u", "secret"));
    let id = waiting.connection_id();
    let killer = user(at.plain(), "u", "secret");
    std::thread::scope(|scope| {
        let query = scope.spawn(|| waiting.query("SELECT wait()").unwrap_err());
        wait_until("the statement runs", || busy(id));
        connect(&killer)
            .execute(&format!("KILL QUERY {id}"))
            .unwrap();
        assert_eq!(query.join().unwrap().code(), Some(1317));
    });
    let why = at.interrupted.recv_timeout(patience).unwrap();
    assert_eq!(why, Interruption::QueryKilled);
    waiting.ping().unwrap();

    std::thread::scope(|scope| {
        let query = scope.spawn(|| waiting.query("SELECT wait()").unwrap_err());
        wait_until("the statement runs", || busy(id));
        assert!(connections.kill(id));
        assert_eq!(query.join().unwrap().code(), Some(1317));
    });
    let why = at.interrupted.recv_timeout(patience).unwrap();
    assert_eq!(why, Interruption::ConnectionKilled);
    assert!(waiting.ping().unwrap_err().is_connection_lost());

    for options in [at.tcp(), at.plain(), at.local()] {
        let mut leaving = connect(&user(options, "u", "secret"));
        let id = leaving.connection_id();
        let shutdown = leaving.shutdown_handle().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| leaving.query("SELECT wait()").unwrap_err());
            wait_until("the statement runs", || busy(id));
            shutdown.shutdown();
        });
        let why = at.interrupted.recv_timeout(patience).unwrap();
        assert_eq!(why, Interruption::PeerGone);
        wait_until("it has ended", || {
            connections.list().iter().all(|info| info.id != id)
        });
    }

    let mut idle = connect(&user(at.tcp(), "u", "secret"));
    assert!(connections.kill(idle.connection_id()));
    assert!(idle.ping().unwrap_err().is_connection_lost());
    assert!(!connections.kill(idle.connection_id() + 1000));
}

#[test]
fn stopping_interrupts_and_ends_everybody() {
    let at = serve(with_tls(), known());
    let mut waiting = connect(&user(at.tcp(), "u", "secret"));
    let mut idle = connect(&user(at.local(), "u", "secret"));
    std::thread::scope(|scope| {
        let query = scope.spawn(move || waiting.query("SELECT wait()").unwrap_err());
        let connections = at.server.connections();
        wait_until("the statement runs", || {
            connections
                .list()
                .iter()
                .any(|info| info.command == "Query")
        });
        assert!(at.server.stop(Duration::from_secs(60)));
        assert_eq!(query.join().unwrap().code(), Some(1317));
    });
    assert!(idle.ping().is_err());
    assert!(!at.socket.exists());
    assert_eq!(refused(&at.tcp()).code(), Some(2003));
}

#[test]
fn too_many_slow_and_silent_clients_are_turned_away() {
    let silent = |at: &Serving| TcpStream::connect(("127.0.0.1", at.port)).unwrap();
    let options = ServerOptions {
        max_connections: 2,
        login_timeout: support::PATIENCE,
        ..with_tls()
    };
    let at = serve(options, known());
    let both = (silent(&at), silent(&at));
    wait_until("both are in", || at.server.connections().count() == 2);
    let mut heard = Vec::new();
    let _ = silent(&at).read_to_end(&mut heard);
    assert_eq!(&heard[4..7], b"\xff\x10\x04", "too many connections");
    drop(both);

    let options = ServerOptions {
        login_timeout: Duration::from_millis(300),
        ..with_tls()
    };
    let at = serve(options, known());
    let (mut first, mut second) = (silent(&at), silent(&at));
    // A byte now and then is no login.
    let _ = second.write_all(&[1]);
    let _ = first.read_to_end(&mut Vec::new());
    let _ = second.read_to_end(&mut Vec::new());
    wait_until("both are out", || at.server.connections().count() == 0);

    let options = ServerOptions {
        login_timeout: support::PATIENCE,
        idle_timeout: Duration::from_millis(300),
        ..with_tls()
    };
    let at = serve(options, known());
    let mut idle = connect(&user(at.tcp(), "u", "secret"));
    wait_until("it is out", || at.server.connections().count() == 0);
    assert!(idle.ping().unwrap_err().is_connection_lost());
}

#[test]
fn packets_beyond_the_limit_are_error_1153() {
    let options = ServerOptions {
        max_allowed_packet: 1 << 20,
        ..with_tls()
    };
    let at = serve(options, known());
    let mut connection = connect(&user(at.tcp(), "u", "secret"));
    let long = format!("ECHO {}", "x".repeat(1 << 20));
    let error = connection.query(&long).unwrap_err();
    assert!(
        error.code() == Some(1153) || error.is_connection_lost(),
        "{error}"
    );
}

#[test]
fn plain_tcp_can_be_forbidden() {
    let options = ServerOptions {
        require_tls: true,
        ..with_tls()
    };
    let at = serve(options, known());
    assert_eq!(refused(&user(at.plain(), "u", "secret")).code(), Some(3159));
    connect(&user(at.tcp(), "u", "secret")).close();
    connect(&user(at.local(), "u", "secret")).close();
}

#[test]
fn certificates_come_from_files() {
    let tls = ServerTls::from_files(
        &support::data("server.pem"),
        &support::data("server-key.pem"),
    );
    let options = ServerOptions {
        tls: Some(tls.unwrap()),
        ..ServerOptions::default()
    };
    let at = serve(options, known());
    let verified = ConnectOptions {
        ssl_mode: SslMode::VerifyIdentity,
        ssl_ca: Some(support::data("ca.pem")),
        ..at.tcp()
    };
    assert!(connect(&user(verified, "u", "secret")).is_tls());
    let wrong = ServerTls::from_files(
        &support::data("server.pem"),
        &support::data("client-key.pem"),
    );
    assert!(chain(&wrong.unwrap_err()).contains("TLS"));
}

static REAL: LazyLock<testkit::Server> = LazyLock::new(|| {
    let server = support::start(&[]);
    server
        .sql(
            "CREATE USER admin@'%' IDENTIFIED BY 'pass';
             GRANT BACKUP_ADMIN ON *.* TO admin@'%';
             CREATE USER plain@'%' IDENTIFIED BY 'pass';
             CREATE USER far@'192.0.2.1' IDENTIFIED BY 'pass';
             CREATE ROLE keeper; GRANT BACKUP_ADMIN ON *.* TO keeper;
             CREATE USER member@'127.%', member@localhost IDENTIFIED BY 'pass' DEFAULT ROLE keeper;",
        )
        .expect("create accounts");
    server
});

#[test]
fn a_servers_accounts_log_in_with_what_they_may_do() {
    let accounts = LocalAccounts::new(support::socket(&REAL), vec!["BACKUP_ADMIN"]);
    let at = serve(with_tls(), Arc::new(accounts));
    for options in [at.tcp(), at.local()] {
        connect(&user(options.clone(), "admin", "pass")).close();
        connect(&user(options.clone(), "root", "")).close();
        connect(&user(options.clone(), "member", "pass")).close();
        assert_eq!(
            refused(&user(options.clone(), "plain", "pass")).code(),
            Some(1227)
        );
        for (name, password) in [
            ("admin", "wrong"),
            ("admin", ""),
            ("nobody", "x"),
            ("far", "pass"),
        ] {
            let error = refused(&user(options.clone(), name, password));
            assert_eq!(error.code(), Some(1045), "{name}: {error}");
        }
    }
    // Over plain TCP the password comes encrypted.
    let asks = ConnectOptions {
        get_server_public_key: true,
        ..at.plain()
    };
    connect(&user(asks.clone(), "admin", "pass")).close();
    for (name, password) in [("admin", "wrong"), ("admin", ""), ("nobody", "x")] {
        let error = refused(&user(asks.clone(), name, password));
        assert_eq!(error.code(), Some(1045), "{name}: {error}");
    }
    let error = refused(&user(at.plain(), "admin", "pass"));
    assert!(error.to_string().contains("secure connection"), "{error}");
}

#[test]
fn the_rsa_key_may_be_one_of_a_file_on_both_sides() {
    let [key, public] = ["private_key.pem", "public_key.pem"].map(|name| REAL.datadir().join(name));
    let options = ServerOptions {
        rsa: ServerRsa::from_file(&key).unwrap(),
        ..with_tls()
    };
    let accounts = LocalAccounts::new(support::socket(&REAL), Vec::new());
    let at = serve(options, Arc::new(accounts));
    let tcp = at.tcp_args();
    let public_key = format!("--server-public-key-path={}", public.display());
    for how in [public_key.as_str(), "--get-server-public-key"] {
        let way = [&tcp[0], &tcp[1], &tcp[2], "--ssl-mode=DISABLED", how];
        let login = ["--user=admin", "--execute=SELECT who()"];
        let (ok, text) = output(stock(&way).args(login).arg("--password=pass"));
        assert!(ok && text.contains("admin\t"), "{how}: {text}");
        let (ok, text) = output(stock(&way).args(login).arg("--password=wrong"));
        assert!(!ok && text.contains("ERROR 1045 (28000)"), "{how}: {text}");
    }
    let (ok, text) = output(
        stock(&[&tcp[0], &tcp[1], &tcp[2], "--ssl-mode=DISABLED"]).args([
            "--user=admin",
            "--password=pass",
            "--execute=SELECT who()",
        ]),
    );
    // The client itself, which was not told to trust a key that it asks for.
    assert!(!ok && text.contains("ERROR 2061"), "{text}");
    assert!(ServerRsa::from_file(&public).is_err());
}

/// A client's side of a login that is made byte by byte.
#[test]
fn blocks_that_are_no_password_are_refused() {
    let accounts = LocalAccounts::new(support::socket(&REAL), Vec::new());
    let at = serve(with_tls(), Arc::new(accounts));
    let packet = |number: u8, payload: &[u8]| {
        let mut bytes = (payload.len() as u32).to_le_bytes();
        bytes[3] = number;
        [&bytes, payload].concat()
    };
    let answer = |socket: &mut TcpStream| {
        let mut head = [0; 4];
        socket.read_exact(&mut head).unwrap();
        let len = u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize;
        let mut payload = vec![0; len];
        socket.read_exact(&mut payload).unwrap();
        payload
    };
    let mut login = 0x0028_A205_u32.to_le_bytes().to_vec();
    login.extend_from_slice(&[0, 0, 0, 1, 45]);
    login.extend_from_slice(&[0; 23]);
    login.extend_from_slice(b"admin\0\x20");
    login.extend_from_slice(&[7; 32]);
    login.extend_from_slice(b"caching_sha2_password\0");
    for ask in [false, true] {
        for block in [
            vec![],
            vec![0],
            vec![2],
            b"pass\0".to_vec(),
            vec![0; 256],
            vec![0xFF; 256],
            vec![1; 257],
            vec![1; 60 << 10],
        ] {
            if !ask && block == [2] {
                continue;
            }
            let mut socket = TcpStream::connect(("127.0.0.1", at.port)).unwrap();
            answer(&mut socket);
            socket.write_all(&packet(1, &login)).unwrap();
            assert_eq!(answer(&mut socket), [1, 4]);
            let mut number = 3;
            if ask {
                socket.write_all(&packet(number, &[2])).unwrap();
                let key = answer(&mut socket);
                assert!(key.starts_with(b"\x01-----BEGIN PUBLIC KEY-----\n"));
                number += 2;
            }
            socket.write_all(&packet(number, &block)).unwrap();
            let refused = answer(&mut socket);
            assert_eq!(refused[..3], [0xFF, 0x15, 0x04], "{ask} {}", block.len());
        }
    }
    // More than any login needs.
    let mut socket = TcpStream::connect(("127.0.0.1", at.port)).unwrap();
    answer(&mut socket);
    socket.write_all(&packet(1, &login)).unwrap();
    assert_eq!(answer(&mut socket), [1, 4]);
    let _ = socket.write_all(&packet(3, &vec![1; 1 << 20]));
    let _ = socket.read_to_end(&mut Vec::new());
    wait_until("all have ended", || at.server.connections().count() == 0);
}

#[test]
fn a_stored_password_is_checked_in_clear_first_and_by_proof_then() {
    REAL.sql("CREATE USER IF NOT EXISTS kept@'%' IDENTIFIED BY 'pass word'")
        .unwrap();
    let hex =
        REAL.query_value("SELECT HEX(authentication_string) FROM mysql.user WHERE user = 'kept'");
    let text: Vec<u8> = hex
        .unwrap()
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let stored = StoredPassword::parse(&text).unwrap();
    let at = serve(
        with_tls(),
        Arc::new(FixedAccounts::default().with_stored("kept", stored)),
    );
    let error = refused(&user(at.plain(), "kept", "pass word"));
    assert!(error.to_string().contains("secure connection"), "{error}");
    assert_eq!(
        refused(&user(at.tcp(), "kept", "password")).code(),
        Some(1045)
    );
    connect(&user(at.tcp(), "kept", "pass word")).close();
    connect(&user(at.plain(), "kept", "pass word")).close();
    assert_eq!(
        refused(&user(at.plain(), "kept", "password")).code(),
        Some(1045)
    );
}

#[test]
fn a_handler_may_find_nobody_left() {
    let at = serve(with_tls(), known());
    let mut connection = Connection::connect(&user(at.tcp(), "u", "secret")).unwrap();
    connection.send_command(3, b"SELECT big()").unwrap();
    drop(connection);
    wait_until("it has ended", || at.server.connections().count() == 0);
}
