//! Servers that load `component_keyring_file`.
//!
//! mysqld looks for component manifests beside its own program file and lets that one refer to a
//! manifest in the data directory; a component looks for its configuration beside itself and lets
//! that one refer to the data directory. So that no installation has to be changed, the server is
//! started through links in its own directory, with those two referring files beside the links.
//! What matters is then in the data directory, where users have it too.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use fs_err::os::unix::fs::symlink;

use crate::{Install, Result};

/// The component manifest in the data directory.
pub(crate) const MANIFEST: &str = "mysqld.my";

/// The file with the keys, in the server's `keyring` directory.
pub(crate) const DATA_FILE: &str = "keys";

const CONFIGURATION: &str = "component_keyring_file.cnf";

/// Writes manifest and configuration into the data directory; the keys go to `folder`, outside of
/// it.
pub(crate) fn configure(datadir: &Path, folder: &Path) -> Result<()> {
    fs_err::create_dir_all(folder)?;
    let keys = folder.join(DATA_FILE);
    let keys = keys.to_str().context("the scratch path is not UTF-8")?;
    fs_err::write(
        datadir.join(MANIFEST),
        r#"{ "components": "file://component_keyring_file" }"#,
    )?;
    let configuration = format!(r#"{{ "path": "{keys}", "read_only": false }}"#);
    fs_err::write(datadir.join(CONFIGURATION), configuration)?;
    Ok(())
}

/// mysqld through links under `root`, beside which the manifests refer to the data directory.
pub(crate) fn mysqld_with_components(install: &Install, root: &Path) -> Result<Command> {
    let (manifest, configuration) = (
        r#"{ "read_local_manifest": true }"#,
        r#"{ "read_local_config": true }"#,
    );
    linked_mysqld(install, root, manifest, configuration)
}

/// mysqld through links under `root`, with a keyring of its own in the file `keys`, whatever data
/// directory it is started on.
pub(crate) fn mysqld_with_keyring(install: &Install, root: &Path, keys: &Path) -> Result<Command> {
    let keys = keys.to_str().context("a path that is not UTF-8")?;
    let configuration = format!(r#"{{ "path": "{keys}", "read_only": false }}"#);
    let manifest = r#"{ "components": "file://component_keyring_file" }"#;
    linked_mysqld(install, root, manifest, &configuration)
}

fn linked_mysqld(
    install: &Install,
    root: &Path,
    manifest: &str,
    configuration: &str,
) -> Result<Command> {
    let programs = root.join("sbin");
    let plugins = root.join("plugin");
    if !programs.exists() {
        fs_err::create_dir_all(&plugins)?;
        for entry in fs_err::read_dir(plugin_dir(install)?)? {
            let entry = entry?;
            symlink(entry.path(), plugins.join(entry.file_name()))?;
        }
        let place = plugins.join(CONFIGURATION);
        if place.exists() {
            fs_err::remove_file(&place)?;
        }
        fs_err::write(place, configuration)?;
        fs_err::create_dir(&programs)?;
        symlink(install.mysqld(), programs.join("mysqld"))?;
        fs_err::write(programs.join(MANIFEST), manifest)?;
    }
    Ok(install.mysqld_at(&programs.join("mysqld"), Some(&plugins)))
}

/// A user's own server knows where its plugins are; it has to be asked.
fn plugin_dir(install: &Install) -> Result<PathBuf> {
    if let Some(folder) = install.plugin_dir() {
        return Ok(folder);
    }
    let output = install
        .command("mysqld")
        .args(["--verbose", "--help"])
        .output()?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(|line| {
            line.strip_prefix("plugin-dir ")
                .map(|value| value.trim().into())
        })
        .context("mysqld --verbose --help names no plugin-dir")
}
