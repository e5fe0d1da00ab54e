//! Initialised data directories, made once per kind of server and copied for each.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::install::{cache_dir, option};
use crate::options::ServerOptions;
use crate::process::Guarded;
use crate::server::wait_until_ready;
use crate::{Client, Install, Result, Scratch};

/// Puts an initialised data directory at `datadir`, which must not exist.
///
/// Layout arguments that name paths belong to one server only, so those are initialised in place;
/// everything else comes from a template in the cache. The template has no `auto.cnf`: each copy
/// becomes a server with its own UUID.
pub(crate) fn initialise(
    install: &Install,
    options: &ServerOptions,
    layout: &[String],
    datadir: &Path,
) -> Result<()> {
    if layout.iter().any(|arg| arg.contains('/')) {
        return build(install, options, layout, datadir);
    }
    let templates = cache_dir().join("templates");
    fs_err::create_dir_all(&templates)?;
    let template = templates.join(key(install, options, layout)?);
    if !template.is_dir() {
        let lock = fs_err::File::create(template.with_extension("lock"))?
            .into_parts()
            .0;
        lock.lock().context("lock the template")?;
        if !template.is_dir() {
            let unfinished = Scratch::new_in(&templates)?;
            let fresh = unfinished.join("data");
            build(install, options, layout, &fresh)?;
            fs_err::rename(&fresh, &template)?;
        }
    }
    copy_tree(&template, datadir)
}

fn key(install: &Install, options: &ServerOptions, layout: &[String]) -> Result<String> {
    let mysqld = fs_err::metadata(install.mysqld())?;
    let mut hasher = DefaultHasher::new();
    (FORMAT, install.mysqld(), mysqld.len(), mysqld.mtime()).hash(&mut hasher);
    (layout, options.plugins).hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

/// Changed whenever this file makes something else of the same options.
const FORMAT: u32 = 1;

fn build(
    install: &Install,
    options: &ServerOptions,
    layout: &[String],
    datadir: &Path,
) -> Result<()> {
    let scratch = Scratch::new()?;
    let log = scratch.join("init.err");
    let output = scratch.join("out");
    let mut command = install.command("mysqld");
    command
        .arg(option("--datadir=", datadir))
        .arg(option("--log-error=", &log));
    command
        .args(["--initialize-insecure", "--skip-log-bin", "--mysqlx=OFF"])
        .args(layout);
    let status = Guarded::start(&command, &output, None)?.wait(options.start_timeout)?;
    if !status.success() {
        anyhow::bail!(
            "mysqld --initialize-insecure: {status}\n{}",
            read_both(&log, &output)
        );
    }
    if options.plugins {
        install_plugins(install, options, layout, datadir, &scratch)?;
    }
    fs_err::remove_file(datadir.join("auto.cnf"))?;
    Ok(())
}

/// Boots once without binary log, so that the installed plugins are no transaction of the tests'
/// servers.
fn install_plugins(
    install: &Install,
    options: &ServerOptions,
    layout: &[String],
    datadir: &Path,
    scratch: &Scratch,
) -> Result<()> {
    let (log, output, socket) = (
        scratch.join("boot.err"),
        scratch.join("out"),
        scratch.join("s"),
    );
    let mut command = install.command("mysqld");
    command
        .arg(option("--datadir=", datadir))
        .arg(option("--log-error=", &log));
    command
        .arg(option("--socket=", &socket))
        .arg(option("--pid-file=", &scratch.join("pid")));
    command
        .args(["--skip-log-bin", "--skip-networking", "--mysqlx=OFF"])
        .args(layout);
    let mut process = Guarded::start(&command, &output, None)?;
    let what = || read_both(&log, &output);
    wait_until_ready(&mut process, &socket, options.start_timeout).with_context(what)?;
    Client::new(install.clone(), socket.clone()).sql(
        "INSTALL PLUGIN clone SONAME 'mysql_clone.so'; \
         INSTALL COMPONENT 'file://component_mysqlbackup'",
    )?;
    process.terminate(options.start_timeout).with_context(what)
}

fn read_both(log: &Path, output: &Path) -> String {
    let read = |path: &Path| fs_err::read(path).unwrap_or_default();
    let mut text = read(log);
    text.extend(read(output));
    String::from_utf8_lossy(&text).into_owned()
}

/// Copies a directory tree; holes in files stay holes, since InnoDB preallocates a lot.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs_err::create_dir(to)?;
    fs_err::set_permissions(to, fs_err::metadata(from)?.permissions())?;
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let (source, target): (PathBuf, PathBuf) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&source, &target)?;
        } else if kind.is_symlink() {
            fs_err::os::unix::fs::symlink(fs_err::read_link(&source)?, &target)?;
        } else {
            copy_file(&source, &target)?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    const BLOCK: usize = 1 << 20;
    let source = fs_err::File::open(from)?;
    let metadata = source.metadata()?;
    let target = fs_err::File::create(to)?;
    target.set_permissions(metadata.permissions())?;
    target.set_len(metadata.len())?;
    let mut block = vec![0; BLOCK];
    let mut offset = 0;
    while offset < metadata.len() {
        let count = source.file().read_at(&mut block, offset)?;
        if count == 0 {
            break;
        }
        let mut at = offset;
        for piece in block[..count].chunks(4096) {
            if piece.iter().any(|&byte| byte != 0) {
                target.file().write_all_at(piece, at)?;
            }
            at += piece.len() as u64;
        }
        offset += count as u64;
    }
    Ok(())
}
