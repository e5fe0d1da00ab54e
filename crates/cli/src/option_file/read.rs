//! Reading option files and what they include.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::line::{self, Line};
use super::{OptionFileError, Place, Setting};

/// Collects the settings of files, in the order in which they are read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) settings: Vec<Setting>,
    pub(super) warnings: Vec<String>,
    home: Option<PathBuf>,
    /// The files under way: each is included by the one before it.
    under_way: Vec<PathBuf>,
    files: usize,
}

/// What to do when there is no such file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Ignore,
    Warn,
    Fail,
}

impl Reader {
    pub(super) fn new(home: Option<PathBuf>) -> Self {
        Self {
            home,
            ..Self::default()
        }
    }

    /// Reads `path` and all it includes.
    pub(super) fn read(&mut self, path: &Path, missing: Missing) -> Result<(), OptionFileError> {
        let Some(text) = self.open(path, missing)? else {
            return Ok(());
        };
        self.files += 1;
        if self.files > MAX_FILES {
            return Err(OptionFileError::TooManyFiles { limit: MAX_FILES });
        }
        self.under_way.push(identity(path));
        let file: Arc<Path> = path.into();
        let mut group: Option<String> = None;
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
            self.line(
                line,
                &Place {
                    file: file.clone(),
                    line: at + 1,
                },
                &mut group,
            )?;
        }
        self.under_way.pop();
        Ok(())
    }

    fn line(
        &mut self,
        line: &[u8],
        place: &Place,
        group: &mut Option<String>,
    ) -> Result<(), OptionFileError> {
        let Ok(line) = std::str::from_utf8(line) else {
            if !matches!(line.trim_ascii_start().first(), Some(b'#' | b';')) {
                self.warnings
                    .push(format!("{place}: ignored, for it is not UTF-8"));
            }
            return Ok(());
        };
        let broken = |problem| OptionFileError::Syntax {
            place: place.clone(),
            problem,
        };
        match line::parse(line).map_err(broken)? {
            Line::Nothing => {}
            Line::Group(name) => *group = Some(name.to_owned()),
            Line::Setting { name, value } => {
                let group = group
                    .clone()
                    .ok_or_else(|| broken("option before any group"))?;
                let name = name.replace('_', "-");
                self.settings.push(Setting {
                    group,
                    name,
                    value,
                    place: place.clone(),
                });
            }
            Line::Include(path) => self.include(path, place, Missing::Warn)?,
            Line::IncludeDir(path) => self.include_dir(path, place)?,
        }
        Ok(())
    }

    fn include(
        &mut self,
        path: &str,
        place: &Place,
        missing: Missing,
    ) -> Result<(), OptionFileError> {
        let path = self.expand(path);
        if self.under_way.len() > MAX_DEPTH || self.under_way.contains(&identity(&path)) {
            let path = path.display();
            self.warnings.push(format!(
                "{place}: {path} not included, for it includes itself"
            ));
            return Ok(());
        }
        self.read(&path, missing)
    }

    /// Includes the `*.cnf` files of a folder in the order of their names.
    fn include_dir(&mut self, path: &str, place: &Place) -> Result<(), OptionFileError> {
        let folder = self.expand(path);
        let failed = |source| OptionFileError::Read {
            path: folder.clone(),
            source,
        };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            if file.extension().is_some_and(|extension| extension == "cnf") {
                files.push(file);
            }
        }
        files.sort();
        for file in files {
            self.include(&file.to_string_lossy(), place, Missing::Warn)?;
        }
        Ok(())
    }

    /// The contents of `path`; `None` if it is missing, or not to be trusted.
    fn open(&mut self, path: &Path, missing: Missing) -> Result<Option<Vec<u8>>, OptionFileError> {
        let failed = |source| OptionFileError::Read {
            path: path.to_owned(),
            source,
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(source) if missing == Missing::Fail => return Err(failed(source)),
            Err(source) => {
                let absent = source.kind() == io::ErrorKind::NotFound;
                if missing == Missing::Warn || !absent {
                    self.warnings
                        .push(format!("{}: ignored: {source}", path.display()));
                }
                return Ok(None);
            }
        };
        if anyone_can_write(&file.metadata().map_err(failed)?) {
            let path = path.display();
            self.warnings
                .push(format!("{path}: ignored, for everyone can write to it"));
            return Ok(None);
        }
        let mut text = Vec::new();
        file.take(MAX_SIZE + 1)
            .read_to_end(&mut text)
            .map_err(failed)?;
        if text.len() as u64 > MAX_SIZE {
            return Err(failed(io::ErrorKind::FileTooLarge.into()));
        }
        Ok(Some(text))
    }

    fn expand(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(path),
        }
    }
}

/// Pipes and the like are not looked at: the permissions of `/dev/fd/63` say nothing.
fn anyone_can_write(metadata: &Metadata) -> bool {
    metadata.is_file() && metadata.mode() & 0o002 != 0
}

/// The file behind a path, whatever the path's spelling.
fn identity(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// MySQL's own limit.
const MAX_DEPTH: usize = 10;
/// A few files that include each other's folder would otherwise take for ever.
const MAX_FILES: usize = 1000;
const MAX_SIZE: u64 = 16 << 20;
