//! What the variables hold, and the file in which some outlive the process.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::definition::{COMPRESS, Compressed, Effect, Variable};
use super::value::{Value, assigned, wrong_value};
use crate::donors;
use crate::error::{Result, SqlError};
use crate::statement::{Expression, Scope};

/// A warning: number and message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warning {
    pub(crate) code: u16,
    pub(crate) message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The file.
    Persisted,
    /// A `SET` of this process.
    Dynamic,
}

/// The values of all variables.
#[derive(Debug)]
pub(crate) struct Variables {
    values: BTreeMap<&'static str, Value>,
    /// Where values come from that are not the defaults.
    sources: BTreeMap<&'static str, Source>,
    /// What the file holds, as [`Value::shown`] writes it; `None` is NULL.
    persisted: BTreeMap<String, Option<String>>,
    file: PathBuf,
}

impl Variables {
    /// The defaults, and what an earlier process made to last in the file.
    pub(crate) fn load(file: PathBuf) -> Result<Self> {
        let damaged = |why: &dyn std::fmt::Display| {
            SqlError::configuration(format_args!("cannot read '{}': {why}", file.display()))
                .hint("Correct the file or remove it: then every variable has its default.")
        };
        let persisted: BTreeMap<String, Option<String>> = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| damaged(&error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(damaged(&error)),
        };
        let (mut values, mut sources) = (BTreeMap::new(), BTreeMap::new());
        for variable in Variable::all() {
            values.insert(variable.name(), variable.default());
        }
        for (name, text) in &persisted {
            let variable = Variable::named(name);
            let variable =
                variable.ok_or_else(|| damaged(&format_args!("unknown variable {name}")))?;
            let (value, _) = checked(variable, &remembered(variable, text.as_deref()))
                .map_err(|error| damaged(&error.message))?;
            values.insert(variable.name(), value);
            sources.insert(variable.name(), Source::Persisted);
        }
        Ok(Self {
            values,
            sources,
            persisted,
            file,
        })
    }

    /// What a variable holds.
    pub(crate) fn get(&self, variable: Variable) -> Value {
        let held = self.values.get(variable.name()).cloned();
        held.unwrap_or_else(|| variable.default())
    }

    /// A number; 0 for a variable of another kind.
    pub(crate) fn number(&self, variable: Variable) -> u64 {
        match self.get(variable) {
            Value::Number(number) => number,
            _ => 0,
        }
    }

    /// Whether a switch is on.
    pub(crate) fn is_on(&self, variable: Variable) -> bool {
        self.get(variable) == Value::Switch(true)
    }

    /// A text; `None` is NULL.
    pub(crate) fn text(&self, variable: Variable) -> Option<String> {
        match self.get(variable) {
            Value::Text(text) => text,
            _ => None,
        }
    }

    /// What `clone_file_compress` says.
    pub(crate) fn compressed(&self) -> Compressed {
        let Value::Word(at) = self.get(Variable::FileCompress) else {
            return Compressed::Not;
        };
        match COMPRESS.get(at) {
            Some(&"CLONE_FILE_COMPRESS_LZ4") => Compressed::Lz4,
            Some(&"CLONE_FILE_COMPRESS_ZSTD") => Compressed::Zstd,
            _ => Compressed::Not,
        }
    }

    /// As `SHOW VARIABLES` has it.
    pub(crate) fn shown(&self, variable: Variable) -> String {
        self.get(variable).shown(variable.definition().domain)
    }

    /// Where the value comes from, in the words of `VARIABLE_SOURCE`, and the file's path.
    pub(crate) fn source(&self, variable: Variable) -> (&'static str, String) {
        match self.sources.get(variable.name()) {
            None => ("COMPILED", String::new()),
            Some(Source::Persisted) => ("PERSISTED", self.file.display().to_string()),
            Some(Source::Dynamic) => ("DYNAMIC", String::new()),
        }
    }

    /// Names and values in the file; NULL is empty.
    pub(crate) fn persisted(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.persisted.iter();
        all.map(|(name, value)| (name.as_str(), value.as_deref().unwrap_or_default()))
    }

    /// Assigns a value, and returns what to warn of. Nothing changes on an error.
    pub(crate) fn set(
        &mut self,
        scope: Scope,
        variable: Variable,
        given: &Expression,
    ) -> Result<Vec<Warning>> {
        let name = variable.name();
        let effect = variable.definition().effect;
        if effect == Effect::ReadOnly {
            let message = format!("Variable '{name}' is a read only variable");
            return Err(SqlError::new(1238, message)
                .hint("Give the directory to 'innoclone apply --clone-incremental-dir' instead."));
        }
        let (value, warnings) = checked(variable, given)?;
        if matches!(scope, Scope::Persist | Scope::PersistOnly) {
            let text = match &value {
                Value::Text(text) => text.clone(),
                other => Some(other.shown(variable.definition().domain)),
            };
            let mut persisted = self.persisted.clone();
            persisted.insert(name.to_owned(), text);
            self.write(persisted)?;
        }
        if scope != Scope::PersistOnly {
            self.values.insert(name, value);
            self.sources.insert(name, Source::Dynamic);
        }
        Ok(warnings)
    }

    /// Takes variables out of the file: one, or all. They keep the values they have.
    pub(crate) fn forget(&mut self, name: Option<&str>) -> Result<bool> {
        let mut persisted = self.persisted.clone();
        let found = if let Some(name) = name {
            persisted.remove(&name.to_ascii_lowercase()).is_some()
        } else {
            persisted.clear();
            true
        };
        if found {
            self.write(persisted)?;
        }
        Ok(found)
    }

    /// Replaces the file, durably, and takes over what it holds.
    fn write(&mut self, persisted: BTreeMap<String, Option<String>>) -> Result<()> {
        let failed = |error: io::Error| {
            let file = self.file.display();
            SqlError::new(1026, format!("Error writing file '{file}' ({error})"))
        };
        let bytes = serde_json::to_vec_pretty(&persisted);
        let bytes = bytes.map_err(|error| failed(error.into()))?;
        replace(&self.file, &bytes).map_err(failed)?;
        self.persisted = persisted;
        Ok(())
    }
}

/// The value, if the variable can have it.
fn checked(variable: Variable, given: &Expression) -> Result<(Value, Vec<Warning>)> {
    let definition = variable.definition();
    let (value, changed) = assigned(variable, given)?;
    let mut warnings = Vec::new();
    if let Some(text) = changed {
        warnings.push(Warning {
            code: 1292,
            message: format!("Truncated incorrect {} value: '{text}'", variable.name()),
        });
    }
    match definition.effect {
        Effect::OnlyDefault(why) if value != variable.default() => {
            let shown = value.shown(definition.domain);
            return Err(wrong_value(variable, &shown).hint(why));
        }
        Effect::None(why) if value != variable.default() => warnings.push(Warning {
            code: 1105,
            message: format!("Setting '{}' has no effect: {why}", variable.name()),
        }),
        _ => {}
    }
    if let (Variable::ValidDonorList, Value::Text(Some(list))) = (variable, &value) {
        donors::check_list(list)?;
    }
    Ok((value, warnings))
}

/// A value as the file has it, read like an assignment.
fn remembered(variable: Variable, text: Option<&str>) -> Expression {
    match (text, variable.default()) {
        (None, _) => Expression::Name("NULL".to_owned()),
        (Some(text), Value::Number(_)) => Expression::Number(text.to_owned()),
        (Some(text), Value::Text(_)) => Expression::Text(text.to_owned()),
        (Some(text), _) => Expression::Name(text.to_owned()),
    }
}

fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = file.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut out = options.open(&new)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    std::fs::rename(&new, file)?;
    File::open(file.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> (tempfile::TempDir, Variables) {
        let dir = tempfile::tempdir().unwrap();
        let variables = Variables::load(dir.path().join("variables.json")).unwrap();
        (dir, variables)
    }

    fn number(text: &str) -> Expression {
        Expression::Number(text.to_owned())
    }

    #[test]
    fn what_was_persisted_is_there_in_the_next_process() {
        let (dir, mut variables) = scratch();
        let timeout = Variable::DdlTimeout;
        variables
            .set(Scope::Global, Variable::MaxConcurrency, &number("7"))
            .unwrap();
        variables
            .set(Scope::Persist, timeout, &number("5"))
            .unwrap();
        let list = Expression::Text("a:1".to_owned());
        variables
            .set(Scope::PersistOnly, Variable::ValidDonorList, &list)
            .unwrap();
        assert_eq!(variables.text(Variable::ValidDonorList), None);
        let file = dir.path().join("variables.json");
        let mut next = Variables::load(file.clone()).unwrap();
        assert_eq!(next.number(timeout), 5);
        assert_eq!(next.number(Variable::MaxConcurrency), 16);
        assert_eq!(next.text(Variable::ValidDonorList).as_deref(), Some("a:1"));
        assert!(next.forget(Some("CLONE_DDL_TIMEOUT")).unwrap());
        assert!(!next.forget(Some("clone_ddl_timeout")).unwrap());
        assert_eq!(next.number(timeout), 5);
        assert_eq!(Variables::load(file).unwrap().number(timeout), 300);
    }

    #[test]
    fn a_damaged_file_is_an_error_that_names_it() {
        let (dir, _) = scratch();
        let file = dir.path().join("variables.json");
        for text in ["{", "{\"x\":\"1\"}", "{\"clone_ddl_timeout\":\"many\"}"] {
            std::fs::write(&file, text).unwrap();
            let error = Variables::load(file.clone()).unwrap_err();
            assert!(error.message.contains("variables.json"), "{error}");
        }
    }
}
