//! Names within a set or a data directory.

/// Directory of everything that describes a set.
pub const CLONE_DIR: &str = "#clone";
/// Directory of the redo log.
pub const REDO_DIR: &str = "#innodb_redo";
/// Marks a directory under construction; mysqld refuses to start on it.
pub const IN_PROGRESS: &str = "#clone/#status_in_progress";
/// What is in [`IN_PROGRESS`] while a set is decompressed in place.
pub(crate) const DECOMPRESSING: &[u8] = b"decompress\n";
/// Marks a restored directory into which binary logs are still being replayed. mysqld does not know
/// it, because one of our own runs on the directory meanwhile; what keeps others away is an
/// unreadable [`PERSISTED`].
pub const REPLAYING: &str = "#clone/#status_replaying";
/// Working directory of a replay.
pub const REPLAY_DIR: &str = "#clone/#replay";
/// What a replay of binary logs has done, in a directory restored to a point in time.
pub const POINT_IN_TIME: &str = "#clone/point_in_time.json";
/// Variables that a server has persisted. mysqld does not start when this file is not JSON.
pub const PERSISTED: &str = "mysqld-auto.cnf";
/// Feeds `performance_schema.clone_status`.
///
/// Stock CLONE writes two more files for the first start of mysqld, which sets of a local instance
/// have not: [`STATUS_FIX`] makes mysqld replace every table that is not InnoDB by an empty one, and
/// those sets hold those tables; `#replace_files` makes it overwrite the binary log position in this file by
/// the one in the system tablespace, which the server keeps up to date only while its own CLONE
/// runs.
pub const VIEW_STATUS: &str = "#clone/#view_status";
/// Makes a server create, at its first start, what the directory lacks: schemas, and empty tables
/// of engines other than InnoDB. In sets that were taken over the network.
pub const STATUS_FIX: &str = "#clone/#status_fix";
/// Feeds `performance_schema.clone_progress`.
pub const VIEW_PROGRESS: &str = "#clone/#view_progress";
/// The three LSNs of a set, as GreatSQL writes them.
pub const CHECKPOINTS: &str = "#clone/#clone_checkpoints";
/// The keys of encrypted tablespaces, sealed by a key of the user's. In sets that were taken over the
/// network.
pub const SEALED_KEYS: &str = "#clone/keys.sealed";
/// The set's description.
pub const MANIFEST: &str = "#clone/manifest.json";
/// BLAKE3 digest of [`MANIFEST`], in the format of `b3sum`.
pub const MANIFEST_DIGEST: &str = "#clone/manifest.json.b3";
/// Chunk values of all stored files, in the manifest's order.
pub const CHUNK_VALUES: &str = "#clone/chunks.b3";
/// Suffix of a file with the changed pages of a tablespace.
pub const DELTA: &str = ".delta";
/// Suffix of a file with the page size, id and flags of a tablespace.
pub const META: &str = ".meta";

/// Name of the redo file with number `index`.
pub fn redo_name(index: u32) -> String {
    format!("{REDO_DIR}/#ib_redo{index}")
}

/// Whether `name` is a safe relative path: no empty, `.` or `..` part, no NUL, not absolute.
pub fn is_safe(name: &str) -> bool {
    !name.is_empty()
        && name.len() < 4096
        && !name.contains('\0')
        && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_directory_are_not_safe() {
        for name in ["", "/x", "a//b", "../x", "a/../b", "a/.", "a\0b", "a/"] {
            assert!(!is_safe(name), "{name:?}");
        }
        for name in [
            "a",
            "a/b.ibd",
            "#innodb_redo/#ib_redo0",
            "..a/b..",
            "a b/ü.ibd",
        ] {
            assert!(is_safe(name), "{name:?}");
        }
    }
}
