//! The same by hand: commands of MySQL's own programs.

use super::files::LogFile;
use super::prepared::Prepared;
use crate::command::RestoreRequest;
use std::fmt::Write as _;
use std::path::Path;

impl Prepared {
    /// The commands that restore a set and replay the same transactions; `key_file` is where the
    /// request has its key from.
    pub(crate) fn commands(&self, request: &RestoreRequest, key_file: Option<&Path>) -> String {
        let to = &request.to;
        let socket = quoted(&to.join("mysql.sock").to_string_lossy());
        let mut text = String::from("# restore the set\ninnoclone restore");
        // Writing to a string does not fail.
        let _ = write!(text, " {} --to {}", path(&request.set), path(to));
        for place in &request.chain {
            let _ = write!(text, " --chain {}", path(place));
        }
        if let Some(file) = key_file {
            let _ = write!(text, " --encryption-key-file {}", path(file));
        }
        if request.force {
            text.push_str(" --force");
        }
        if let Some((user, group)) = request.owner {
            let _ = write!(text, " --owner {user}:{group}");
        }
        let _ = write!(
            text,
            "\n# start a server on it that nobody else uses\n{} --no-defaults --datadir={} --socket={socket} \
             --skip-networking --skip-replica-start --event-scheduler=OFF",
            path(self.program.path()),
            path(to),
        );
        for name in [
            "innodb_page_size",
            "innodb_data_file_path",
            "lower_case_table_names",
        ] {
            if let Some(value) = self.manifest.server.variables.get(name) {
                let _ = write!(text, " --{}={}", name.replace('_', "-"), quoted(value));
            }
        }
        if !self.plan.end.gtids.is_empty() {
            text.push_str(" --gtid-mode=ON --enforce-gtid-consistency=ON");
        }
        let user = request
            .owner
            .map_or_else(String::new, |(user, _)| format!(" --user={user}"));
        let _ = writeln!(text, "{user} &");
        let _ = writeln!(text, "# replay {} transactions", self.plan.transactions);
        self.replay(&mut text, &socket);
        let _ = writeln!(
            text,
            "# shut it down\nmysqladmin --socket={socket} --user=root --password shutdown"
        );
        text
    }

    fn replay(&self, text: &mut String, socket: &str) {
        let (Some(first), Some(last)) = (self.plan.pieces.first(), self.plan.pieces.last()) else {
            return;
        };
        let files = self.plan.files.iter().filter(|file| file.end > 0);
        let files: Vec<&LogFile> = files.map(|file| &file.log).collect();
        for file in files.iter().filter(|file| file.compressed()) {
            let _ = writeln!(
                text,
                "zstd -d {} -o {}",
                path(&file.path),
                quoted(&file.name)
            );
        }
        let _ = write!(
            text,
            "mysqlbinlog --start-position={} --stop-position={}",
            first.begin, last.end
        );
        for file in files {
            if file.compressed() {
                let _ = write!(text, " {}", quoted(&file.name));
            } else {
                let _ = write!(text, " {}", path(&file.path));
            }
        }
        let _ = writeln!(
            text,
            " | mysql --binary-mode --socket={socket} --user=root --password"
        );
    }
}

fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,=@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        assert_eq!(quoted("/b/sun-1"), "/b/sun-1");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("#clone"), "'#clone'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
