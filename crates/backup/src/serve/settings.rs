//! What a donor tells its clients about itself, so that they can see whether they can run on its data.

use crate::set::{Manifest, ServerRecord};
use crate::{Error, Result};
use wire::clone::{Setting, Version};

/// Everything that is known, for all versions of the protocol.
pub(super) fn of(manifest: &Manifest, reconnect_minutes: u64) -> Result<Vec<Setting>> {
    of_server(&manifest.server, reconnect_minutes)
}

/// Everything that is known of a server.
pub(super) fn of_server(server: &ServerRecord, reconnect_minutes: u64) -> Result<Vec<Setting>> {
    let missing = |what: &str| {
        Error::refused(
            1105,
            format!("the set does not say which {what} its server had: it is of an older version"),
            "Take a new backup, an increment will do, and serve that one.",
        )
    };
    let features = server
        .features
        .as_ref()
        .ok_or_else(|| missing("plugins and collations"))?;
    let mut settings: Vec<Setting> = features
        .plugins
        .iter()
        .map(|(name, library)| Setting::PluginLibrary(name.clone(), library.clone()))
        .collect();
    let collations = features.collations.iter().cloned();
    settings.extend(collations.map(Setting::Collation));
    settings.push(Setting::Variable("version".into(), server.version.clone()));
    for (name, needed) in VARIABLES {
        match server.variables.get(*name) {
            Some(value) => settings.push(Setting::Variable((*name).into(), value.clone())),
            None if *needed => return Err(missing(name)),
            None => {}
        }
    }
    let wait = reconnect_minutes.to_string();
    let name = "clone_donor_timeout_after_network_failure";
    settings.push(Setting::Extra(name.into(), wait));
    // A server of the next LTS series takes the data of one of this.
    let known = server.maturity.clone();
    let json = match known.or_else(|| ServerRecord::maturity_of(&server.version)) {
        Some(maturity) => serde_json::json!({ "version": server.version, "maturity": maturity }),
        None => serde_json::json!({ "version": server.version }),
    };
    settings.push(Setting::Json("json_configs".into(), json.to_string()));
    Ok(settings)
}

/// The setting in the form of a version of the protocol; `None` where it has none.
pub(super) fn in_version(setting: &Setting, version: Version) -> Option<Setting> {
    match setting {
        Setting::PluginLibrary(name, _) if version < Version::V2 => {
            Some(Setting::Plugin(name.clone()))
        }
        Setting::Extra(..) if version < Version::V3 => None,
        Setting::Json(..) if version < Version::V4 => None,
        setting => Some(setting.clone()),
    }
}

/// Variables that clients compare with their own, and whether it would be unsafe to keep one from
/// them.
const VARIABLES: &[(&str, bool)] = &[
    ("version_compile_machine", true),
    ("version_compile_os", true),
    ("character_set_server", true),
    ("character_set_filesystem", false),
    ("collation_server", true),
    ("innodb_page_size", true),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_clients_are_told_less() {
        let plugin = Setting::PluginLibrary("a".into(), "a.so".into());
        let (extra, json) = (
            Setting::Extra("k".into(), "v".into()),
            Setting::Json("k".into(), "{}".into()),
        );
        assert_eq!(
            in_version(&plugin, Version::V1),
            Some(Setting::Plugin("a".into()))
        );
        assert_eq!(in_version(&plugin, Version::V2), Some(plugin));
        assert_eq!(in_version(&extra, Version::V2), None);
        assert_eq!(in_version(&json, Version::V3), None);
        assert_eq!(in_version(&json, Version::V4), Some(json));
    }
}
