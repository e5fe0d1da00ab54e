//! What the server says of itself.

use super::process;
use super::session::Session;
use crate::donor::server::{Variables, features};
use crate::set::{ProcessIdentity, ServerFeatures, ServerRecord};
use crate::{Error, Result};
use innodb::geometry::PageSize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the server says of itself.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub uuid: String,
    pub version: String,
    pub page_size: PageSize,
    pub datadir: PathBuf,
    /// Where the files of `data_files` lie.
    pub data_home: PathBuf,
    /// `innodb_data_file_path`.
    pub data_files: String,
    pub undo_dir: PathBuf,
    pub redo_dir: PathBuf,
    /// Further directories mysqld scans for tablespaces.
    pub directories: Vec<PathBuf>,
    pub process: Option<ProcessIdentity>,
    pub variables: BTreeMap<String, String>,
    pub features: ServerFeatures,
}

/// Where the files of the server are.
const PLACES: &[&str] = &[
    "innodb_data_home_dir",
    "innodb_undo_directory",
    "innodb_log_group_home_dir",
    "innodb_directories",
    "pid_file",
];

impl Facts {
    /// Asks the server what it is, and whether this host has its data directory.
    pub(super) fn ask(session: &mut Session, datadir: Option<&Path>) -> Result<Self> {
        let variables = Variables::ask(session, "server", PLACES)?;
        let get = |name| variables.get(name);
        let datadir = datadir.map_or_else(|| PathBuf::from(get("datadir")), Path::to_owned);
        check_datadir(&datadir, &get("server_uuid"))?;
        let below = |name| match get(name) {
            text if text.is_empty() => datadir.clone(),
            text => normal(&datadir.join(text)),
        };
        let uptime = session.number(
            "read the uptime",
            "SELECT CAST(UNIX_TIMESTAMP() - VARIABLE_VALUE AS SIGNED) FROM \
             performance_schema.global_status WHERE VARIABLE_NAME = 'UPTIME'",
        );
        let pid_file = datadir.join(get("pid_file"));
        let process = process::identify(session.peer_pid(), &pid_file, &datadir).or(uptime
            .ok()
            .map(|at| ProcessIdentity::Started {
                at: at.cast_signed(),
            }));
        Ok(Self {
            uuid: get("server_uuid"),
            version: get("version"),
            page_size: variables.page_size,
            data_home: below("innodb_data_home_dir"),
            data_files: get("innodb_data_file_path"),
            undo_dir: below("innodb_undo_directory"),
            redo_dir: below("innodb_log_group_home_dir").join("#innodb_redo"),
            directories: get("innodb_directories")
                .split(';')
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .map(|text| normal(&datadir.join(text)))
                .collect(),
            process,
            variables: variables.recorded(),
            features: features(session)?,
            datadir,
        })
    }

    /// For the manifest.
    pub(super) fn record(&self) -> ServerRecord {
        use std::os::unix::fs::MetadataExt;
        let owner =
            std::fs::metadata(&self.datadir).map_or((0, 0), |meta| (meta.uid(), meta.gid()));
        ServerRecord {
            uuid: self.uuid.clone(),
            version: self.version.clone(),
            process: self.process.clone(),
            datadir: self.datadir.display().to_string(),
            owner,
            variables: self.variables.clone(),
            features: Some(self.features.clone()),
            maturity: ServerRecord::maturity_of(&self.version),
        }
    }

    /// Directories no backup may be written to.
    pub(super) fn own_directories(&self) -> Vec<PathBuf> {
        let mut all = vec![
            self.datadir.clone(),
            self.data_home.clone(),
            self.undo_dir.clone(),
            self.redo_dir.clone(),
        ];
        all.extend(self.directories.iter().cloned());
        all.retain(|path| !path.as_os_str().is_empty());
        all
    }
}

/// The directory must be the one of the server we talk to, and not one of the same name on another
/// host or in another container.
fn check_datadir(datadir: &Path, uuid: &str) -> Result<()> {
    let path = datadir.join("auto.cnf");
    let text = std::fs::read_to_string(&path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::refused(
            1105,
            format!("'{}' is not the data directory of a server: there is no auto.cnf", datadir.display()),
            "Run innoclone on the database host; name the directory by --datadir if it is mounted elsewhere.",
        ),
        _ => Error::io("open file", &path, e),
    })?;
    let found = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("server-uuid="));
    if found.map(str::trim) == Some(uuid) {
        return Ok(());
    }
    Err(Error::refused(
        1105,
        format!(
            "'{}' belongs to another server ({}), not to {uuid}",
            datadir.display(),
            found.unwrap_or("unknown")
        ),
        "Run innoclone on the database host; name the directory by --datadir if it is mounted elsewhere.",
    ))
}

/// Without `.` parts; keeps `..` and links, which only the file system can resolve.
fn normal(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| *part != std::path::Component::CurDir)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_servers_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(check_datadir(dir.path(), "a").is_err());
        std::fs::write(dir.path().join("auto.cnf"), "[auto]\nserver-uuid=a\n").unwrap();
        check_datadir(dir.path(), "a").unwrap();
        assert!(check_datadir(dir.path(), "b").is_err());
    }
}
