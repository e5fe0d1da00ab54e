use super::*;
use crate::args::{Cli, Command};
use crate::option_file::{DefaultsArgs, OptionFiles};
use crate::spelling;
use clap::Parser as _;

/// Parses connection options through the whole command line, as a user gives them.
fn parsed(words: &[&str]) -> Result<ConnectionArgs, clap::Error> {
    #[derive(clap::Parser)]
    #[command(disable_help_flag = true)]
    struct Probe {
        #[command(flatten)]
        connection: ConnectionArgs,
    }
    let argv = ["probe"].iter().chain(words).map(Into::into);
    Ok(Probe::try_parse_from(spelling::normal(argv))?.connection)
}

fn options(text: &str) -> Options {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("my.cnf");
    std::fs::write(&file, text).unwrap();
    let args = DefaultsArgs {
        defaults_file: Some(file),
        ..DefaultsArgs::default()
    };
    OptionFiles::load(&args).unwrap()
}

struct World {
    file: &'static str,
    env: &'static [(&'static str, &'static str)],
}

impl World {
    fn resolve(&self, words: &[&str]) -> Result<ConnectOptions, Failure> {
        let find = |name: &str| {
            let found = self.env.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        parsed(words).unwrap().resolve_in(Surroundings {
            options: &options(self.file),
            env: &find,
            ask: &|| Ok("typed".into()),
        })
    }
}

const EMPTY: World = World { file: "", env: &[] };

fn tcp(host: &str, port: u16) -> Endpoint {
    Endpoint::Tcp {
        host: host.to_owned(),
        port,
    }
}

fn password(options: &ConnectOptions) -> Option<&str> {
    options.password.as_ref().map(Secret::expose)
}

#[test]
fn localhost_and_no_host_are_the_socket() {
    for words in [
        &["-S", "/s"][..],
        &["-S", "/s", "-h", "localhost", "-P", "1"],
    ] {
        let endpoint = EMPTY.resolve(words).unwrap().endpoint;
        assert_eq!(endpoint, Endpoint::Socket("/s".into()), "{words:?}");
    }
    let endpoint = EMPTY
        .resolve(&["-h127.0.0.1", "-P3307", "-S/s"])
        .unwrap()
        .endpoint;
    assert_eq!(endpoint, tcp("127.0.0.1", 3307));
}

#[test]
fn protocol_overrides_what_localhost_means() {
    let endpoint = EMPTY.resolve(&["--protocol=TCP"]).unwrap().endpoint;
    assert_eq!(endpoint, tcp("localhost", 3306));
    let endpoint = EMPTY
        .resolve(&["--protocol=socket", "-S/s"])
        .unwrap()
        .endpoint;
    assert_eq!(endpoint, Endpoint::Socket("/s".into()));
    let refused = EMPTY.resolve(&["--protocol=socket", "-h", "db1"]);
    assert!(matches!(refused, Err(Failure::Usage(_))));
    let pipe = World {
        file: "[client]\nprotocol=pipe\n",
        ..EMPTY
    };
    assert!(matches!(pipe.resolve(&[]), Err(Failure::Usage(_))));
}

#[test]
fn the_command_line_wins_over_files_and_files_over_the_environment() {
    let world = World {
        file: "[client]\nhost=file1\nport=1\nuser=filer\npassword=filed\n[innoclone]\nhost=file2\n",
        env: &[
            ("MYSQL_HOST", "env"),
            ("MYSQL_TCP_PORT", "3"),
            ("MYSQL_PWD", "environ"),
        ],
    };
    let found = world.resolve(&[]).unwrap();
    assert_eq!(found.endpoint, tcp("file2", 1));
    assert_eq!(
        (found.user.as_str(), password(&found)),
        ("filer", Some("filed"))
    );
    let found = world
        .resolve(&["-h", "arg", "-P", "2", "-u", "me", "-ppw"])
        .unwrap();
    assert_eq!(found.endpoint, tcp("arg", 2));
    assert_eq!((found.user.as_str(), password(&found)), ("me", Some("pw")));
    let world = World { file: "", ..world };
    let found = world.resolve(&[]).unwrap();
    assert_eq!(found.endpoint, tcp("env", 3));
    assert_eq!(password(&found), Some("environ"));
}

#[test]
fn the_socket_of_the_environment_counts_when_no_other_is_named() {
    let world = World {
        file: "",
        env: &[("MYSQL_UNIX_PORT", "/env")],
    };
    let endpoint = |words: &[&str]| world.resolve(words).unwrap().endpoint;
    assert_eq!(endpoint(&[]), Endpoint::Socket("/env".into()));
    assert_eq!(endpoint(&["-S/arg"]), Endpoint::Socket("/arg".into()));
}

#[test]
fn a_bare_password_is_asked_for_and_an_empty_one_is_not() {
    let given = |words: &[&str]| EMPTY.resolve(words).unwrap();
    assert_eq!(password(&given(&["-p"])), Some("typed"));
    assert_eq!(password(&given(&["--password"])), Some("typed"));
    assert_eq!(password(&given(&["--password="])), Some(""));
    assert_eq!(password(&given(&["-px=y"])), Some("x=y"));
    assert_eq!(password(&given(&[])), None);
}

#[test]
fn passwords_of_option_files_are_read_as_mysql_reads_them() {
    let given = |file| World { file, ..EMPTY }.resolve(&[]).unwrap();
    assert_eq!(password(&given("[client]\npassword\n")), Some("typed"));
    assert_eq!(password(&given("[client]\npassword=\n")), Some(""));
    assert_eq!(password(&given("[client]\nloose-password=a\n")), Some("a"));
    let skipped = given("[client]\npassword=a\n[innoclone]\nskip-password\n");
    assert_eq!(password(&skipped), None);
}

#[test]
fn who_does_not_want_to_type_stops() {
    let args = parsed(&["-p"]).unwrap();
    let failure = args.resolve_in(Surroundings {
        options: &Options::default(),
        env: &|_| None,
        ask: &|| Err(std::io::ErrorKind::Interrupted.into()),
    });
    assert!(matches!(failure, Err(Failure::Interrupted)));
}

#[test]
fn an_authority_alone_means_to_verify_by_it() {
    let found = EMPTY.resolve(&["--ssl-ca=/ca"]).unwrap();
    assert_eq!(found.ssl_mode, SslMode::VerifyCa);
    let found = EMPTY
        .resolve(&["--ssl-ca=/ca", "--ssl-mode=required"])
        .unwrap();
    assert_eq!(found.ssl_mode, SslMode::Required);
    let world = World {
        file: "[client]\nssl_mode=VERIFY_IDENTITY\nssl_ca=/a\nssl_cert=/c\nssl_key=/k\n",
        env: &[],
    };
    let found = world.resolve(&[]).unwrap();
    assert_eq!(found.ssl_mode, SslMode::VerifyIdentity);
    assert_eq!(found.ssl_cert, Some("/c".into()));
    assert_eq!(found.ssl_key, Some("/k".into()));
}

#[test]
fn a_mode_that_is_none_is_refused_wherever_it_stands() {
    assert!(parsed(&["--ssl-mode=maybe"]).is_err());
    let world = World {
        file: "[client]\nssl-mode=maybe\n",
        ..EMPTY
    };
    assert!(matches!(world.resolve(&[]), Err(Failure::OptionFile(_))));
}

#[test]
fn the_servers_key_is_not_asked_for_unless_wanted() {
    assert!(!EMPTY.resolve(&[]).unwrap().get_server_public_key);
    let found = EMPTY.resolve(&["--get_server_public_key"]).unwrap();
    assert!(found.get_server_public_key);
}

#[test]
fn no_limit_for_connecting_is_a_long_time() {
    let limit = |words: &[&str]| EMPTY.resolve(words).unwrap().connect_timeout;
    assert_eq!(limit(&[]), Duration::from_secs(10));
    assert_eq!(limit(&["--connect-timeout=3"]), Duration::from_secs(3));
    assert!(limit(&["--connect-timeout=0"]) > Duration::from_secs(86400 * 365));
}

#[test]
fn debug_output_of_the_command_line_does_not_show_the_password() {
    let argv = ["innoclone", "backup", "--to", "/x", "-phunter2"];
    let cli = Cli::try_parse_from(spelling::normal(argv.iter().map(Into::into))).unwrap();
    assert!(matches!(cli.command, Command::Backup(_)));
    assert!(!format!("{cli:?}").contains("hunter2"));
}

#[test]
fn every_option_of_a_connection_can_stand_in_the_own_group() {
    use clap::CommandFactory as _;
    let command = Cli::command();
    let backup = command.find_subcommand("backup").unwrap();
    let headed = |arg: &&clap::Arg| arg.get_help_heading() == Some("Connection options");
    for arg in backup.get_arguments().filter(headed) {
        let name = arg.get_long().unwrap();
        assert!(KEYS.contains(&name), "{name}");
    }
}

#[test]
fn a_donor_is_user_host_and_port() {
    let parse = |text: &str| text.parse::<DonorAddress>();
    let donor = |user: Option<&str>, host: &str, port| {
        Ok(DonorAddress {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
        })
    };
    assert_eq!(parse("b@db1:3307"), donor(Some("b"), "db1", 3307));
    assert_eq!(parse("db1"), donor(None, "db1", 3306));
    assert_eq!(parse("a@b@[::1]:5"), donor(Some("a@b"), "::1", 5));
    assert_eq!(parse("b@[fe80::1]"), donor(Some("b"), "fe80::1", 3306));
    for bad in [
        "",
        "@h",
        "b@",
        "b@h:x",
        "b@[::1",
        "b@[::1]5",
        "b@h:0",
        "b@h:70000",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_donor_is_reached_by_tcp_wherever_it_is() {
    let args = ConnectionArgs::default();
    let options = Options::default();
    let donor = "b@localhost:3307".parse().unwrap();
    let connect = args.resolve_donor(&donor, &options).unwrap();
    let tcp = Endpoint::Tcp {
        host: "localhost".to_owned(),
        port: 3307,
    };
    assert_eq!((connect.endpoint, connect.user.as_str()), (tcp, "b"));
    let twice = ConnectionArgs {
        host: Some("db2".to_owned()),
        ..ConnectionArgs::default()
    };
    assert!(twice.resolve_donor(&donor, &options).is_err());
}
