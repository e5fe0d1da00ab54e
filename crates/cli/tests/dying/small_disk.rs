//! File systems of a test's own: small, or read-only. They are mounted in a mount namespace that
//! only the test and what it runs there can see, and that goes with the test.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A mount on a directory.
pub(crate) struct Mounted {
    /// A shell in the namespace. It ends when its input does.
    holder: Child,
    dir: PathBuf,
}

impl Mounted {
    /// An empty file system of its own on `dir`, which is made; `options` are those of tmpfs.
    pub(crate) fn small(dir: &Path, options: &str) -> Self {
        Self::new(dir, &format!("mount -t tmpfs -o {options} tmpfs \"$1\""))
    }

    /// `dir`, which is made, without the right to write.
    pub(crate) fn read_only(dir: &Path) -> Self {
        Self::new(
            dir,
            "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\"",
        )
    }

    fn new(dir: &Path, mount: &str) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let namespaces: &[&str] = if is_root() { &["-m"] } else { &["-r", "-m"] };
        let mut holder = Command::new("unshare")
            .args(namespaces)
            .args([
                "sh",
                "-c",
                &format!("{mount} && echo mounted && exec cat"),
                "sh",
            ])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("run unshare (package util-linux)");
        let mut line = String::new();
        let mut output = BufReader::new(holder.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert_eq!(
            line, "mounted\n",
            "this test mounts a file system: run it as root, or allow user namespaces"
        );
        Self {
            holder,
            dir: dir.to_owned(),
        }
    }

    /// The same command, run where the file system is seen.
    pub(crate) fn inside(&self, command: &Command) -> Command {
        let mut entered = Command::new("nsenter");
        entered.args(["-t", &self.holder.id().to_string(), "-m"]);
        if !is_root() {
            entered.args(["-U", "--preserve-credentials"]);
        }
        entered
            .arg("--")
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => entered.env(name, value),
                None => entered.env_remove(name),
            };
        }
        entered
    }

    /// A path in the file system, as it is reached from outside.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        let root = format!("/proc/{}/root", self.holder.id());
        let dir = self.dir.strip_prefix("/").unwrap();
        Path::new(&root).join(dir).join(name)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
