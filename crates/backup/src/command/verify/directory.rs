//! A data directory: no digests, so its pages and its redo log are checked against each other.

use super::contents::{Body, Contents, Unwritten};
use super::findings::Findings;
use super::pages::{PageRules, first_page};
use super::redo;
use crate::files::{SERVER_DIRECTORIES, SpaceInfo, is_tablespace_name};
use crate::io::{is_zero, lock_holder};
use crate::set::layout::REDO_DIR;
use crate::{Error, Job, Result};
use innodb::geometry::{Geometry, PageSize};
use innodb::ids::SpaceId;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How deep schema directories are searched; mysqld makes one level.
const MAX_DEPTH: usize = 8;

pub(super) fn verify(root: &Path, quick: bool, findings: &Findings, job: &Job) -> Result<()> {
    let mut names = Names::default();
    names.walk(root, "", 0, findings);
    names.system.sort_by_key(|name| (name.len(), name.clone()));
    names.others.sort();
    check_unused(root, &names)?;
    let system = system_files(root, &names.system, findings);
    let page_size = system.first().map(|file| file.space.geometry.page_size());
    let end = redo::check_directory(root, page_size, quick, findings, job);
    let end = findings.tolerate(REDO_DIR, end)?.flatten();
    let mut files = system;
    let mut unwritten = Vec::new();
    for name in &names.others {
        job.check()?;
        match probe(root, name, page_size, findings) {
            Probe::Space(file) => files.push(file),
            Probe::Unwritten => unwritten.push(Unwritten::plain(name)),
            Probe::Other => {}
        }
    }
    check_unique(&files, findings);
    let mut pages: HashMap<SpaceId, u64> = HashMap::new();
    for file in &files {
        *pages.entry(file.space.id).or_default() += file.pages;
    }
    let mut contents = Contents::new(root, quick, findings);
    for file in &files {
        let rules = PageRules {
            space: file.space,
            end,
            space_pages: pages.get(&file.space.id).copied().unwrap_or(0),
        };
        contents.add_unknown(&file.name, Body::Pages(rules));
    }
    contents.read(job)?;
    let log = redo::list(root).unwrap_or_default();
    let result = redo::check_unwritten(&log, None, &unwritten, findings, job);
    findings.tolerate(REDO_DIR, result).map(drop)
}

/// A file made of pages.
struct PageFile {
    name: String,
    space: SpaceInfo,
    pages: u64,
}

/// What the first page of a file says.
enum Probe {
    Space(PageFile),
    /// It was never written.
    Unwritten,
    /// It is a temporary tablespace, or damaged.
    Other,
}

#[derive(Default)]
struct Names {
    /// `ibdata1` …
    system: Vec<String>,
    /// Other files made of pages.
    others: Vec<String>,
}

impl Names {
    fn walk(&mut self, directory: &Path, prefix: &str, depth: usize, findings: &Findings) {
        let here = if prefix.is_empty() { "." } else { prefix };
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(e) => return findings.add(here, format!("read directory: {e}")),
        };
        for entry in entries {
            let Ok(entry) = entry else {
                return findings.add(here, "cannot be listed");
            };
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = entry.path();
            // Schema directories may be links.
            let Ok(meta) = std::fs::metadata(&path) else {
                continue;
            };
            let full = format!("{prefix}{name}");
            if meta.is_dir() {
                if depth < MAX_DEPTH && !SERVER_DIRECTORIES.contains(&name.as_str()) {
                    self.walk(&path, &format!("{full}/"), depth + 1, findings);
                }
            } else if is_tablespace_name(&name) {
                self.others.push(full);
            } else if depth == 0 && is_system_name(&name) {
                self.system.push(full);
            }
        }
    }
}

/// `ibdata` and a number: the only names of the system tablespace that tell what they are.
fn is_system_name(name: &str) -> bool {
    name.strip_prefix("ibdata")
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Pages that change while they are read would be reported as damage.
fn check_unused(root: &Path, names: &Names) -> Result<()> {
    let top = names.others.iter().filter(|name| !name.contains('/'));
    for name in names.system.iter().chain(top) {
        let path = root.join(name);
        if let Ok(Some(pid)) = lock_holder(&path) {
            return Err(Error::refused(
                1015,
                format!("'{}' is in use by process {pid}", path.display()),
                "Stop the server, or verify a backup of it.",
            ));
        }
    }
    Ok(())
}

/// The files of the system tablespace, each with the number of its first page.
fn system_files(root: &Path, names: &[String], findings: &Findings) -> Vec<PageFile> {
    let mut files: Vec<PageFile> = Vec::new();
    let mut first_page = 0;
    for name in names {
        // Only the first file says what the tablespace is.
        let file = match files.first() {
            None => match probe(root, name, None, findings) {
                Probe::Space(file) => Some(file),
                Probe::Unwritten => {
                    findings.add(name, "page 0 was never written");
                    None
                }
                Probe::Other => None,
            },
            Some(first) => later_file(root, name, first.space, first_page, findings),
        };
        let Some(file) = file else { return files };
        first_page += file.pages;
        files.push(file);
    }
    if files.is_empty() {
        findings.add(".", "there is no system tablespace (ibdata1)");
    }
    files
}

fn later_file(
    root: &Path,
    name: &str,
    space: SpaceInfo,
    first_page: u64,
    findings: &Findings,
) -> Option<PageFile> {
    let length = match std::fs::metadata(root.join(name)) {
        Ok(meta) => meta.len(),
        Err(e) => {
            findings.add(name, format!("read attributes of: {e}"));
            return None;
        }
    };
    Some(PageFile {
        name: name.to_owned(),
        space: SpaceInfo {
            first_page: u32::try_from(first_page).ok()?,
            ..space
        },
        pages: whole_pages(name, length, space.geometry, findings),
    })
}

fn probe(root: &Path, name: &str, page_size: Option<PageSize>, findings: &Findings) -> Probe {
    let (bytes, length) = match read_start(&root.join(name)) {
        Ok(read) => read,
        Err(e) => {
            findings.add(name, format!("read file: {e}"));
            return Probe::Other;
        }
    };
    if is_zero(&bytes) {
        return Probe::Unwritten;
    }
    let header = first_page(&bytes).and_then(|header| {
        let geometry = Geometry::of(header.flags).map_err(|e| e.to_string())?;
        Ok((header, geometry))
    });
    let (header, geometry) = match header {
        Ok(header) => header,
        Err(detail) => {
            findings.add(name, format!("page 0: {detail}"));
            return Probe::Other;
        }
    };
    if header.flags.is_temporary() || header.space_id == SpaceId::TEMPORARY {
        return Probe::Other;
    }
    if let Some(size) = page_size.filter(|size| *size != geometry.page_size()) {
        let detail = format!(
            "has pages of {}, the server of {size}",
            geometry.page_size()
        );
        findings.add(name, detail);
    }
    Probe::Space(PageFile {
        name: name.to_owned(),
        space: SpaceInfo {
            id: header.space_id,
            flags: header.flags,
            geometry,
            first_page: 0,
        },
        pages: whole_pages(name, length, geometry, findings),
    })
}

fn whole_pages(name: &str, length: u64, geometry: Geometry, findings: &Findings) -> u64 {
    let size = geometry.physical() as u64;
    if !length.is_multiple_of(size) {
        let detail = format!("{length} bytes are not a whole number of pages of {size}");
        findings.add_at(name, length, detail);
    }
    length / size
}

/// The first bytes of a file, and its length.
fn read_start(path: &Path) -> std::io::Result<(Vec<u8>, u64)> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = vec![0; length.min(4096) as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok((bytes, length))
}

/// mysqld does not start with two files of one tablespace.
fn check_unique(files: &[PageFile], findings: &Findings) {
    let mut places: HashMap<_, &str> = HashMap::new();
    for file in files {
        let place = (file.space.id, file.space.first_page);
        if let Some(other) = places.insert(place, &file.name) {
            let detail = format!("has the space id {} of '{other}'", file.space.id);
            findings.add(&file.name, detail);
        }
    }
}
