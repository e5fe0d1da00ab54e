//! Which MySQL programs to run, and how.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::{Result, keyring};

/// A MySQL installation: the server, its client programs and what they need to run from where they
/// are.
#[derive(Debug, Clone)]
pub struct Install {
    place: Place,
    mysqld: PathBuf,
}

#[derive(Debug, Clone)]
enum Place {
    /// Packages unpacked into a folder. Its C library is newer than the host's, so that every
    /// program runs through the folder's own loader, and no built-in path is right.
    Unpacked {
        root: PathBuf,
        loader: PathBuf,
        library_path: OsString,
    },
    /// A server installed by the user; it knows its own paths.
    Host,
}

impl Install {
    /// Finds the server: `INNOCLONE_MYSQL_ROOT`, then `MYSQLD`, then what `scripts/fetch-mysql.sh`
    /// unpacked.
    ///
    /// # Errors
    /// When there is none; the message says which command fetches one.
    pub fn find() -> Result<Self> {
        if let Some(root) = env_path("INNOCLONE_MYSQL_ROOT") {
            return Self::unpacked(&root).context("INNOCLONE_MYSQL_ROOT");
        }
        if let Some(mysqld) = env_path("MYSQLD") {
            ensure!(
                mysqld.is_file(),
                "MYSQLD: {} is not a file",
                mysqld.display()
            );
            return Ok(Self {
                place: Place::Host,
                mysqld,
            });
        }
        let root = cache_dir().join("mysql");
        ensure!(
            root.join(".complete").is_file(),
            "no MySQL server in {}: fetch one with scripts/fetch-mysql.sh (`make test` does it), or set MYSQLD to the \
             path of a mysqld, or INNOCLONE_MYSQL_ROOT to a folder of unpacked packages",
            root.display()
        );
        Self::unpacked(&root)
    }

    /// The installation in a folder into which Debian's packages were unpacked.
    pub fn unpacked(root: &Path) -> Result<Self> {
        let root = fs_err::canonicalize(root)?;
        let mysqld = root.join("usr/sbin/mysqld");
        ensure!(
            mysqld.is_file(),
            "{} has no usr/sbin/mysqld",
            root.display()
        );
        let loader = find_loader(&root)?;
        let libraries = loader.parent().unwrap_or(&root).to_owned();
        let library_path = std::env::join_paths([libraries, root.join("usr/lib/mysql/private")])?;
        Ok(Self {
            place: Place::Unpacked {
                root,
                loader,
                library_path,
            },
            mysqld,
        })
    }

    /// A command for one of the server's programs (`mysqld`, `mysql`, `mysqlbinlog`, `mysqladmin`,
    /// `mysqlcheck`, `mysqldump`, …), with `--no-defaults` and the path options it needs already
    /// given.
    pub fn command(&self, program: &str) -> Command {
        match program {
            "mysqld" => self.mysqld_at(&self.mysqld, None),
            _ => self.client(program),
        }
    }

    /// Writes a program at `path` that runs one of the server's programs as a user would: options
    /// that must come first may be given, and `--no-defaults` stands for them if not.
    pub fn script(&self, program: &str, path: &Path) -> Result<()> {
        write_script(&self.command(program), path)
    }

    /// As [`Self::script`], a mysqld that has a keyring of its own, with its keys in the file `keys`.
    /// What it needs besides is made in `folder`.
    pub fn script_with_keyring(&self, path: &Path, folder: &Path, keys: &Path) -> Result<()> {
        write_script(&keyring::mysqld_with_keyring(self, folder, keys)?, path)
    }

    /// Where mysqld is.
    pub fn mysqld(&self) -> &Path {
        &self.mysqld
    }

    /// Where the plugins and components are, when that is not the server's built-in path.
    pub fn plugin_dir(&self) -> Option<PathBuf> {
        match &self.place {
            Place::Unpacked { root, .. } => Some(root.join("usr/lib/mysql/plugin")),
            Place::Host => None,
        }
    }

    /// The server's version as `mysqld --version` prints it.
    pub fn version(&self) -> Result<String> {
        let output = self
            .command("mysqld")
            .arg("--version")
            .output()
            .context("run mysqld --version")?;
        ensure!(
            output.status.success(),
            "mysqld --version: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// mysqld run under another path (a link to it, beside which component manifests may lie) and
    /// with another folder of plugins.
    pub(crate) fn mysqld_at(&self, program: &Path, plugin_dir: Option<&Path>) -> Command {
        let mut command = self.run(program);
        command.arg("--no-defaults");
        let mut plugins = self.plugin_dir();
        match &self.place {
            Place::Unpacked { root, .. } => {
                command
                    .arg(option("--basedir=", &root.join("usr")))
                    .arg(option("--lc-messages-dir=", &root.join("usr/share/mysql")))
                    .arg(option(
                        "--character-sets-dir=",
                        &root.join("usr/share/mysql/charsets"),
                    ));
            }
            Place::Host if program != self.mysqld => {
                if let Some(base) = self.mysqld.parent().and_then(Path::parent) {
                    command.arg(option("--basedir=", base));
                }
            }
            Place::Host => {}
        }
        if let Some(folder) = plugin_dir {
            plugins = Some(folder.to_owned());
        }
        if let Some(folder) = plugins {
            command.arg(option("--plugin-dir=", &folder));
        }
        // Debian's built-in folder for it does not exist here.
        command.arg("--secure-file-priv=");
        if rustix::process::geteuid().is_root() {
            command.arg("--user=root");
        }
        command
    }

    fn client(&self, program: &str) -> Command {
        match &self.place {
            Place::Unpacked { root, .. } => {
                let mut command = self.run(&root.join("usr/bin").join(program));
                command.arg("--no-defaults").arg(option(
                    "--character-sets-dir=",
                    &root.join("usr/share/mysql/charsets"),
                ));
                command
            }
            Place::Host => {
                // Beside mysqld, or in the bin folder next to its sbin, or wherever PATH says.
                let folder = self.mysqld.parent().unwrap_or(Path::new("/"));
                let found = [folder.join(program), folder.join("../bin").join(program)]
                    .into_iter()
                    .find(|path| path.is_file())
                    .unwrap_or_else(|| PathBuf::from(program));
                let mut command = self.run(&found);
                command.arg("--no-defaults");
                command
            }
        }
    }

    fn run(&self, program: &Path) -> Command {
        match &self.place {
            Place::Unpacked {
                loader,
                library_path,
                ..
            } => {
                let mut command = Command::new(loader);
                command.arg("--library-path").arg(library_path).arg(program);
                forget_environment(&mut command);
                command
            }
            Place::Host => {
                let mut command = Command::new(program);
                forget_environment(&mut command);
                command
            }
        }
    }
}

/// Takes from a command what its user has set for servers of his own: `MYSQL_PWD`, `MYSQL_HOST` and
/// the like, a file of logins (which is read in spite of `--no-defaults`), and the service manager
/// that a server reports to.
pub(crate) fn forget_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MYSQL") {
            command.env_remove(&name);
        }
    }
    command.env_remove("NOTIFY_SOCKET");
    command.env("MYSQL_TEST_LOGIN_FILE", "/nonexistent/logins");
}

const SCRIPT: &str = "#!/bin/sh
first=--no-defaults
case $1 in --no-defaults|--defaults-*) first=$1; shift;; esac
exec";

/// Where downloads and prepared data directories are kept: `$INNOCLONE_CACHE`, or `.cache` of the
/// checkout.
pub(crate) fn cache_dir() -> PathBuf {
    env_path("INNOCLONE_CACHE")
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache"))
}

/// `--name=` followed by a path, which need not be UTF-8.
pub(crate) fn option(name: &str, path: &Path) -> OsString {
    let mut text = OsString::from(name);
    text.push(path);
    text
}

fn env_path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// `usr/lib/<triplet>/ld-linux-<arch>.so.<n>`.
fn find_loader(root: &Path) -> Result<PathBuf> {
    let libraries = root.join("usr/lib");
    for folder in fs_err::read_dir(&libraries)? {
        let folder = folder?.path();
        if !folder.join("libc.so.6").exists() {
            continue;
        }
        for file in fs_err::read_dir(&folder)? {
            let file = file?;
            if file.file_name().to_string_lossy().starts_with("ld-linux") {
                return Ok(file.path());
            }
        }
    }
    bail!(
        "no dynamic loader (ld-linux*) under {}",
        libraries.display()
    )
}

/// Writes a program that runs `command`.
fn write_script(command: &Command, path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let mut script = String::from(SCRIPT);
    for word in words {
        let word = word.to_str().context("a path that is not UTF-8")?;
        if word == "--no-defaults" {
            script.push_str(" \"$first\"");
        } else {
            script.push_str(&format!(" '{word}'"));
        }
    }
    script.push_str(" \"$@\"\n");
    fs_err::write(path, script)?;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mysqld_and_clients_run() {
        let install = Install::find().unwrap();
        assert!(install.version().unwrap().contains("Ver "));
        for program in [
            "mysql",
            "mysqlbinlog",
            "mysqladmin",
            "mysqlcheck",
            "mysqldump",
        ] {
            let output = install.command(program).arg("--version").output().unwrap();
            assert!(
                output.status.success(),
                "{program}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }

    #[test]
    fn missing_server_names_the_command_that_fetches_it() {
        let empty = crate::Scratch::new().unwrap();
        let error = Install::unpacked(empty.path()).unwrap_err();
        assert!(error.to_string().contains("usr/sbin/mysqld"), "{error}");
    }
}
