//! A set against its manifest.

use super::VerifyRequest;
use super::contents::{Body, Contents, DeltaRules, Place};
use super::findings::Findings;
use super::pages::PageRules;
use super::redo::{RedoCheck, check_unwritten};
use crate::chain::Chain;
use crate::donor::chain::ChainDonor;
use crate::files::{FileKind, SpaceInfo};
use crate::io::read_bounded;
use crate::set::layout::{
    CHECKPOINTS, CHUNK_VALUES, CLONE_DIR, IN_PROGRESS, MANIFEST, MANIFEST_DIGEST, REDO_DIR,
    VIEW_PROGRESS, VIEW_STATUS,
};
use crate::set::{BackupSet, Content, FileRecord, Manifest, SetId, SpaceRecord};
use crate::{Job, Result};
use innodb::clone_dir::{Checkpoints, CloneState, ViewProgress, ViewStatus};
use innodb::delta::DeltaLayout;
use innodb::flags::SpaceFlags;
use innodb::geometry::{Geometry, PageSize};
use innodb::ids::SpaceId;
use innodb::meta::SpaceMeta;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// Which set it is.
#[derive(Debug, Default)]
pub(super) struct Identity {
    pub id: Option<SetId>,
    pub chain: Vec<SetId>,
}

/// Larger files in `#clone` are none of ours: a GTID set may be long.
const OWN_FILE_LIMIT: u64 = 64 << 20;

pub(super) fn verify(
    root: &Path,
    request: &VerifyRequest,
    findings: &Findings,
    job: &Job,
) -> Result<Identity> {
    let (set, errors) = BackupSet::examine(root);
    for error in &errors {
        findings.add_error(MANIFEST, error);
    }
    let Some(set) = set else {
        findings.add(
            ".",
            "without a manifest that can be used nothing else can be verified",
        );
        return Ok(Identity::default());
    };
    check_names(root, &set, findings);
    check_own_files(root, set.manifest(), findings);
    let chain = if errors.is_empty() {
        check_chain(root, request, findings)
    } else {
        None
    };
    job.check()?;
    let mut contents = Contents::new(root, request.quick, findings);
    let space_pages = space_pages(set.manifest());
    for file in &set.manifest().files {
        job.check()?;
        add_file(&set, file, &space_pages, &mut contents, findings);
    }
    for own in &set.manifest().own_files {
        contents.add_stored(&set, None, own, Body::Plain);
    }
    if !request.quick
        && let Some(redo) = redo_check(root, &set)
    {
        contents.add_redo(redo);
    }
    contents.read(job)?;
    let redo = redo_check(root, &set).map_or(Vec::new(), |redo| redo.files);
    let from = Some(set.manifest().lsn.checkpoint);
    let unwritten = contents.unwritten();
    let result = check_unwritten(&redo, from, &unwritten, findings, job);
    findings.tolerate(REDO_DIR, result)?;
    let id = set.manifest().id.clone();
    Ok(Identity {
        chain: chain.unwrap_or_else(|| vec![id.clone()]),
        id: Some(id),
    })
}

/// The directory holds what the manifest lists, and nothing else.
fn check_names(root: &Path, set: &BackupSet, findings: &Findings) {
    let manifest = set.manifest();
    let mut files: BTreeSet<&str> = [MANIFEST, MANIFEST_DIGEST, CHUNK_VALUES, IN_PROGRESS].into();
    files.extend(manifest.stored_files().map(|stored| stored.name.as_str()));
    let mut directories: BTreeSet<&str> = [CLONE_DIR, REDO_DIR].into();
    directories.extend(manifest.directories.iter().map(String::as_str));
    for file in &files {
        let parents = file.match_indices('/').map(|(at, _)| &file[..at]);
        directories.extend(parents);
    }
    for directory in &directories {
        if !root.join(directory).is_dir() {
            findings.add(directory, "the directory is missing");
        }
    }
    let values = root.join(CHUNK_VALUES);
    match std::fs::metadata(&values) {
        Ok(meta) if meta.len() == set.chunk_values_len() => {}
        Ok(meta) => {
            let wanted = set.chunk_values_len();
            let detail = format!("{} bytes long instead of {wanted}", meta.len());
            findings.add(CHUNK_VALUES, detail);
        }
        Err(e) => findings.add(CHUNK_VALUES, format!("read attributes of: {e}")),
    }
    find_extra(root, "", &files, &directories, findings);
}

fn find_extra(
    directory: &Path,
    prefix: &str,
    files: &BTreeSet<&str>,
    directories: &BTreeSet<&str>,
    findings: &Findings,
) {
    let here = if prefix.is_empty() { "." } else { prefix };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) => return findings.add(here, format!("read directory: {e}")),
    };
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => return findings.add(here, format!("read directory: {e}")),
        };
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let name = if prefix.is_empty() {
            name.into_owned()
        } else {
            format!("{prefix}/{name}")
        };
        // A link to a directory holds nothing that the set wrote.
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_dir && directories.contains(name.as_str()) {
            find_extra(&entry.path(), &name, files, directories, findings);
        } else if is_dir {
            findings.add(&name, "the directory is no part of the set");
        } else if !files.contains(name.as_str()) {
            findings.add(&name, "is no part of the set");
        }
    }
}

/// The texts in `#clone` say what the manifest says.
fn check_own_files(root: &Path, manifest: &Manifest, findings: &Findings) {
    // Files that cannot be read are told with their digests.
    let text = |name: &str| read_bounded(&root.join(name), OWN_FILE_LIMIT).ok();
    let expected = Checkpoints {
        start_lsn: manifest.lsn.start,
        page_track_lsn: manifest.next_start(),
        end_lsn: manifest.lsn.end,
    };
    // As sets over the network had it at first.
    let untracked = Checkpoints {
        page_track_lsn: manifest.lsn.page_track,
        ..expected
    };
    match text(CHECKPOINTS).map(Checkpoints::parse) {
        Some(Ok(found)) if found != expected && found != untracked => {
            let found = found.to_text().replace('\n', ", ");
            findings.add(CHECKPOINTS, format!("differs from the manifest: {found}"));
        }
        Some(Err(e)) => findings.add(CHECKPOINTS, e),
        _ => {}
    }
    match text(VIEW_STATUS).map(ViewStatus::parse) {
        Some(Ok(found)) => {
            for (field, same) in status_fields(&found, manifest) {
                if !same {
                    findings.add(
                        VIEW_STATUS,
                        format!("the {field} differs from the manifest"),
                    );
                }
            }
        }
        Some(Err(e)) => findings.add(VIEW_STATUS, e),
        None => {}
    }
    if let Some(Err(e)) = text(VIEW_PROGRESS).map(ViewProgress::parse) {
        findings.add(VIEW_PROGRESS, e);
    }
}

fn status_fields(found: &ViewStatus, manifest: &Manifest) -> [(&'static str, bool); 5] {
    let binlog = &manifest.binlog;
    [
        (
            "state",
            found.state == CloneState::Completed && found.error_no == 0,
        ),
        ("binary log file", found.binlog_file == binlog.file),
        (
            "binary log position",
            found.binlog_position == binlog.position,
        ),
        ("GTID set", found.gtid_executed == binlog.gtid_executed),
        ("source", found.source == manifest.clone.source),
    ]
}

/// The ancestors are there, the links hold, and every delta has something to change.
fn check_chain(root: &Path, request: &VerifyRequest, findings: &Findings) -> Option<Vec<SetId>> {
    match Chain::find(root, &request.chain).and_then(ChainDonor::new) {
        Ok(donor) => {
            let sets = donor.chain().sets().iter();
            Some(sets.map(|set| set.manifest().id.clone()).collect())
        }
        // The marker of an unfinished set has been told.
        Err(_) if root.join(IN_PROGRESS).exists() => None,
        Err(error) => {
            findings.add_error(".", &error);
            None
        }
    }
}

/// Pages of every tablespace, all its files together.
fn space_pages(manifest: &Manifest) -> HashMap<u32, u64> {
    let mut pages = HashMap::new();
    for (file, space) in manifest
        .files
        .iter()
        .filter_map(|file| Some((file, file.space?)))
    {
        *pages.entry(space.id).or_default() += file.length / u64::from(space.page_size.max(1));
    }
    pages
}

fn add_file<'a>(
    set: &'a BackupSet,
    file: &'a FileRecord,
    space_pages: &HashMap<u32, u64>,
    contents: &mut Contents<'a>,
    findings: &Findings,
) {
    let rules = file.space.map(|space| {
        Ok::<_, String>(PageRules {
            space: space_info(space)?,
            end: Some(set.manifest().lsn.end),
            space_pages: space_pages.get(&space.id).copied().unwrap_or(0),
        })
    });
    let rules = match rules.transpose() {
        Ok(rules) => rules,
        Err(detail) => return findings.add(MANIFEST, format!("file {:?}: {detail}", file.name)),
    };
    let Some(rules) = rules else {
        for stored in &file.stored {
            contents.add_stored(set, Some(file), stored, Body::Plain);
        }
        return;
    };
    if let Some(base) = file.base() {
        contents.add_stored(set, Some(file), base, Body::Pages(rules));
    }
    if let Some(delta) = file.delta() {
        match delta_rules(file, rules) {
            Ok(rules) => contents.add_stored(set, Some(file), delta, Body::Delta(rules)),
            Err(detail) => findings.add(&delta.name, detail),
        }
    }
    if let Some(description) = file.meta() {
        contents.add_stored(set, Some(file), description, Body::Meta(meta(rules)));
    }
}

fn space_info(space: SpaceRecord) -> Result<SpaceInfo, String> {
    let flags = SpaceFlags::new(space.flags).map_err(|e| e.to_string())?;
    Ok(SpaceInfo {
        id: SpaceId::new(space.id),
        flags,
        geometry: Geometry::of(flags).map_err(|e| e.to_string())?,
        first_page: space.first_page,
    })
}

fn delta_rules(file: &FileRecord, pages: PageRules) -> Result<DeltaRules, String> {
    let size = pages.space.geometry.physical();
    Ok(DeltaRules {
        pages,
        layout: DeltaLayout::new(size).map_err(|e| e.to_string())?,
        count: file.pages.into(),
        file_pages: file.length / size as u64,
        whole: file.content == Content::Whole,
    })
}

fn meta(rules: PageRules) -> SpaceMeta {
    let geometry = rules.space.geometry;
    let page_size = geometry.physical() as u32;
    SpaceMeta {
        page_size,
        zip_size: if geometry.is_zip() { page_size } else { 0 },
        space_id: rules.space.id,
        space_flags: rules.space.flags,
    }
}

fn redo_check<'a>(root: &'a Path, set: &'a BackupSet) -> Option<RedoCheck<'a>> {
    let manifest = set.manifest();
    let place = |file: &'a FileRecord| {
        let stored = file.stored.first()?;
        Some(Place {
            name: stored.name.clone(),
            root,
            of_set: Some((set, stored)),
        })
    };
    let redo = manifest
        .files
        .iter()
        .filter(|file| file.kind == FileKind::Redo);
    let mut files: Vec<Place<'_>> = redo.filter_map(place).collect();
    // By number, which the names do not have leading zeros for.
    files.sort_by_key(|file| (file.name.len(), file.name.clone()));
    Some(RedoCheck {
        files,
        checkpoint: manifest.lsn.checkpoint,
        end: manifest.lsn.end,
        page_size: PageSize::new(manifest.page_size).ok()?,
    })
}
