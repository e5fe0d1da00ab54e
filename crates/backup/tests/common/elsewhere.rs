//! A server whose files are elsewhere, and what of it is in the data directory after a restore.

use testkit::fixtures::ZooOptions;
use testkit::{Server, ServerOptions, Snapshot};

/// Two files of the system tablespace, as every start has to say.
pub const SYSTEM: &str = "--innodb-data-file-path=ibdata1:12M;ibdata2:8M:autoextend";

/// System tablespace, undo, redo and tables in directories of their own.
pub fn server() -> ServerOptions {
    let layout = [
        SYSTEM,
        "--innodb-data-home-dir={root}/home",
        "--innodb-undo-directory={root}/undo",
        "--innodb-log-group-home-dir={root}/log",
    ];
    ServerOptions {
        init_args: layout.map(str::to_owned).to_vec(),
        args: vec!["--innodb-directories={root}/elsewhere".into()],
        ..ServerOptions::default()
    }
}

/// A zoo with tables elsewhere.
pub fn zoo(server: &Server) -> ZooOptions {
    ZooOptions {
        elsewhere: Some(server.root_dir().join("elsewhere")),
        ..ZooOptions::default()
    }
}

/// Tables that were elsewhere are in the data directory after a restore, and defined so.
pub fn at_home(mut snapshot: Snapshot) -> Snapshot {
    for table in snapshot.tables.values_mut() {
        while let Some(at) = table.definition.find(" DATA DIRECTORY") {
            let rest = &table.definition[at..];
            let quoted = rest
                .match_indices('\'')
                .nth(1)
                .map_or(rest.len(), |(end, _)| end + 1);
            table.definition.replace_range(at..at + quoted, "");
        }
    }
    snapshot
}
