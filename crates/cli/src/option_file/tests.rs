//! Tests of the option files as a whole.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// A folder with files of the given names and contents.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = text.replace("{dir}", &folder.path().to_string_lossy());
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn only(file: PathBuf) -> Result<Options, OptionFileError> {
    let args = DefaultsArgs {
        defaults_file: Some(file),
        ..DefaultsArgs::default()
    };
    OptionFiles {
        global: Vec::new(),
        home: None,
    }
    .read(&args)
}

fn options(text: &str) -> Options {
    let folder = folder(&[("my.cnf", text)]);
    only(folder.path().join("my.cnf")).unwrap()
}

const BOTH: &[&str] = &["client", "innoclone"];

#[test]
fn the_last_setting_wins_whichever_group_it_is_in() {
    let options = options(
        "[innoclone]\nuser=first\nport=1\n[client]\nuser=second\n[mysqld]\nuser=other\n\
         [innoclone]\nport=2",
    );
    assert_eq!(options.get(BOTH, "user"), Some("second"));
    assert_eq!(options.parse::<u16>(BOTH, "port").unwrap(), Some(2));
    assert_eq!(options.get(&["innoclone"], "user"), Some("first"));
    assert_eq!(options.get(BOTH, "host"), None);
    assert_eq!(options.find(BOTH, "port").unwrap().place.line, 9);
}

#[test]
fn dashes_and_underscores_are_the_same() {
    let options = options("[client]\nssl_ca = /a\nssl-key=/b");
    assert_eq!(options.get(BOTH, "ssl-ca"), Some("/a"));
    assert_eq!(options.get(BOTH, "ssl_key"), Some("/b"));
}

#[test]
fn prefixes_switch_options_and_forgive_unknown_ones() {
    let options = options(
        "[innoclone]\nskip-ssl\nenable_page_track\nloose-level=3\nquick\nfast=ON\nslow=maybe\ntypo=1",
    );
    let flag = |key| options.flag(BOTH, key);
    assert_eq!(flag("ssl").unwrap(), Some(false));
    assert_eq!(options.get(BOTH, "ssl"), Some("0"));
    assert_eq!(flag("page-track").unwrap(), Some(true));
    assert_eq!(flag("quick").unwrap(), Some(true));
    assert_eq!(flag("fast").unwrap(), Some(true));
    assert_eq!(flag("absent").unwrap(), None);
    assert_eq!(options.get(BOTH, "level"), Some("3"));
    assert_eq!(options.get(BOTH, "quick"), Some(""));
    assert!(
        flag("slow")
            .unwrap_err()
            .to_string()
            .ends_with("line 7: invalid value for slow: maybe")
    );
    let known = ["ssl", "page-track", "quick", "fast", "slow"];
    let unknown = options.unknown("innoclone", |name| known.contains(&name));
    let names: Vec<_> = unknown
        .iter()
        .map(|setting| setting.name.as_str())
        .collect();
    assert_eq!(names, ["typo"]);
}

#[test]
fn group_suffixes_add_groups() {
    let folder = folder(&[(
        "my.cnf",
        "[client]\nuser=a\n[client_x]\nuser=b\n[client_y]\nuser=c",
    )]);
    let args = DefaultsArgs {
        defaults_file: Some(folder.path().join("my.cnf")),
        defaults_group_suffix: Some("_x".into()),
        ..DefaultsArgs::default()
    };
    let options = OptionFiles {
        global: Vec::new(),
        home: None,
    }
    .read(&args)
    .unwrap();
    assert_eq!(options.get(BOTH, "user"), Some("b"));
}

#[test]
fn files_are_read_in_mysqls_order() {
    let folder = folder(&[
        ("1.cnf", "[client]\na=1\nb=1\nc=1\nd=1"),
        ("2.cnf", "[client]\nb=2\nc=2\nd=2"),
        ("extra.cnf", "[client]\nc=3\nd=3"),
        ("home/.my.cnf", "[client]\nd=4"),
    ]);
    let at = |name: &str| folder.path().join(name);
    let files = OptionFiles {
        global: vec![at("1.cnf"), at("absent.cnf"), at("2.cnf")],
        home: Some(at("home")),
    };
    let mut args = DefaultsArgs {
        defaults_extra_file: Some(at("extra.cnf")),
        ..DefaultsArgs::default()
    };
    let options = files.read(&args).unwrap();
    let values = ["a", "b", "c", "d"].map(|key| options.get(BOTH, key).unwrap());
    assert_eq!(values, ["1", "2", "3", "4"]);
    assert!(options.warnings().is_empty());

    args.defaults_extra_file = Some(at("absent.cnf"));
    assert!(matches!(
        files.read(&args),
        Err(OptionFileError::Read { .. })
    ));
    args.no_defaults = true;
    assert_eq!(files.read(&args).unwrap().get(BOTH, "a"), None);
    args = DefaultsArgs {
        defaults_file: Some(at("2.cnf")),
        ..DefaultsArgs::default()
    };
    assert_eq!(files.read(&args).unwrap().get(BOTH, "d"), Some("2"));
}

#[test]
fn included_files_count_where_they_are_included() {
    let folder = folder(&[
        (
            "my.cnf",
            "[client]\na=1\nb=1\n!include {dir}/b.cnf\nb=3\n!includedir {dir}/d\n\
             !include {dir}/absent.cnf\nc=2",
        ),
        ("b.cnf", "[client]\na=2\nb=2\n[mysqld]\n"),
        ("d/2.cnf", "[client]\nd=2"),
        ("d/1.cnf", "[client]\nd=1\ne=1"),
        ("d/3.ini", "[client]\nd=3"),
    ]);
    let options = only(folder.path().join("my.cnf")).unwrap();
    let values = ["a", "b", "c", "d", "e"].map(|key| options.get(BOTH, key).unwrap());
    assert_eq!(values, ["2", "3", "2", "2", "1"]);
    assert!(matches!(options.warnings(), [one] if one.contains("absent.cnf")));
    let found = options.find(BOTH, "e").unwrap();
    assert_eq!(
        found.place.to_string(),
        format!("{} line 3", folder.path().join("d/1.cnf").display())
    );
}

#[test]
fn files_that_include_each_other_are_read_once_each() {
    let folder = folder(&[
        ("my.cnf", "[client]\na=1\n!include {dir}/b.cnf"),
        ("b.cnf", "[client]\nb=1\n!include {dir}/./my.cnf\nc=1"),
    ]);
    let options = only(folder.path().join("my.cnf")).unwrap();
    assert_eq!(
        (options.settings.len(), options.get(BOTH, "c")),
        (3, Some("1"))
    );
    assert!(matches!(options.warnings(), [one] if one.contains("includes itself")));
}

#[test]
fn a_folder_that_includes_itself_from_every_file_is_an_error() {
    let text = "[client]\na=1\n!includedir {dir}";
    let names: Vec<_> = (0..9).map(|number| format!("{number}.cnf")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), text)).collect();
    let folder = folder(&files);
    let error = only(folder.path().join("0.cnf")).unwrap_err();
    assert!(
        matches!(error, OptionFileError::TooManyFiles { .. }),
        "{error}"
    );
}

#[test]
fn a_file_that_everyone_can_write_is_ignored() {
    let folder = folder(&[("my.cnf", "[client]\na=1")]);
    let path = folder.path().join("my.cnf");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let options = only(path).unwrap();
    assert_eq!(options.get(BOTH, "a"), None);
    assert!(options.warnings()[0].contains("everyone can write"));
}

#[test]
fn broken_lines_are_errors_that_name_file_and_line() {
    for (text, problem) in [
        ("\na=1\n[client]", "line 2: option before any group"),
        ("[client]\n\n[mysql", "line 3: group name without `]`"),
        ("[client]\n!include", "line 2: directive without a path"),
    ] {
        let folder = folder(&[("my.cnf", text)]);
        let error = only(folder.path().join("my.cnf")).unwrap_err();
        assert!(
            error.to_string().ends_with(&format!("my.cnf {problem}")),
            "{error}"
        );
    }
}

#[test]
fn lines_that_are_not_utf8_are_ignored_with_a_warning() {
    let folder = folder(&[]);
    let path = folder.path().join("my.cnf");
    std::fs::write(&path, b"[client]\n# \xfc\nprompt=\xfc\nuser=me\n").unwrap();
    let options = only(path).unwrap();
    assert_eq!(options.get(BOTH, "user"), Some("me"));
    assert!(matches!(options.warnings(), [one] if one.contains("line 3: ignored")));
}

#[test]
fn passwords_are_not_shown() {
    let options = options("[client]\npassword=hunter2\nuser=me");
    let shown = format!(
        "{options:?} {}",
        options.parse::<u8>(BOTH, "password").unwrap_err()
    );
    assert!(
        !shown.contains("hunter2") && shown.contains("me"),
        "{shown}"
    );
}

/// Lines in all their variety, and what MySQL's own program makes of them.
#[test]
fn mysqls_own_reader_understands_the_same() {
    let folder = folder(&[
        (
            "my.cnf",
            r#"# comment
; another
[client]
user = root   # tail
  password="a#b c"
host='x\'y'
socket = a\sb\tc\qd\\e
quick
bind_address=
#user=no
database = "un'closed # x
[ mysql ]
prompt=1
[mysql] junk
loose-foo=1
key = = v
k'e#y' = 2
pager = "a" b
tee = ""
html = "
vertical = \
!unknown x
!include {dir}/b.cnf
after=1
!includedir {dir}/d
[client ]
x=ünï
y = 'a\\' # '
z = "it's" ' # '
"#,
        ),
        ("b.cnf", "[client]\r\nfromb = 1 \r\nbare\r\n"),
        ("d/z.cnf", "[client]\nz=1\n!include ~/absent\n"),
        ("d/a.cnf", "[mysql]\na=1"),
        ("d/a.ini", "[mysql]\nini=1"),
    ]);
    let file = folder.path().join("my.cnf");
    let mut ours = String::new();
    for setting in &only(file.clone()).unwrap().settings {
        if ["client", "mysql"].contains(&setting.group.as_str()) {
            write!(ours, "--{}", setting.name).unwrap();
            if let Some(value) = &setting.value {
                write!(ours, "={value}").unwrap();
            }
            ours.push('\n');
        }
    }
    // The testkit's command knows how to run the program, but its arguments are for clients.
    let command = testkit::Install::find()
        .unwrap()
        .command("my_print_defaults");
    let for_clients = |argument: &&std::ffi::OsStr| {
        ["--no-defaults", "--character-sets-dir"]
            .iter()
            .any(|option| argument.as_encoded_bytes().starts_with(option.as_bytes()))
    };
    let mut program = std::process::Command::new(command.get_program());
    program.args(command.get_args().filter(|argument| !for_clients(argument)));
    program
        .arg(format!("--defaults-file={}", file.display()))
        .args(["-s", "client", "mysql"]);
    let output = program.output().unwrap();
    let theirs = String::from_utf8(output.stdout)
        .unwrap()
        .replace("--bind_address", "--bind-address");
    assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(&output.stderr));
}
