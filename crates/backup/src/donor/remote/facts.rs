//! What the donor says of itself over SQL.

use crate::Result;
use crate::donor::instance::session::Session;
use crate::donor::server::{Variables, features, version_number};
use crate::set::ServerRecord;
use innodb::geometry::PageSize;
use wire::clone::{Dialect, Setting};

/// What the donor says of itself.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub page_size: PageSize,
    pub record: ServerRecord,
    /// The variable by which logs are encrypted.
    pub encrypts: Option<&'static str>,
}

impl Facts {
    /// Asks the donor; refuses one whose clone could not be stored.
    pub(super) fn ask(session: &mut Session) -> Result<Self> {
        let further = ["innodb_redo_log_encrypt", "innodb_undo_log_encrypt"];
        let variables = Variables::ask(session, "donor", &further)?;
        let get = |name| variables.get(name);
        let encrypts = further
            .into_iter()
            .find(|name| get(name).eq_ignore_ascii_case("ON"));
        Ok(Self {
            page_size: variables.page_size,
            encrypts,
            record: ServerRecord {
                uuid: get("server_uuid"),
                version: get("version"),
                // Nothing on this host says which process it is; increments do not need it.
                process: None,
                datadir: get("datadir"),
                owner: (0, 0),
                variables: variables.recorded(),
                features: Some(features(session)?),
                // It says so when the clone begins.
                maturity: None,
            },
        })
    }

    /// How the donor speaks: GreatSQL says who it is, and took its dialect up with 8.0.32-26.
    pub(super) fn dialect(&self) -> Dialect {
        let is_greatsql = |text: &str| text.to_ascii_lowercase().contains("greatsql");
        let comment = self.record.variables.get("version_comment");
        let is_greatsql =
            is_greatsql(&self.record.version) || comment.is_some_and(|text| is_greatsql(text));
        let numbers = self.record.version.split(['.', '-']);
        let numbers: Vec<u32> = numbers.map_while(|part| part.parse().ok()).collect();
        if is_greatsql && numbers.as_slice() >= [8, 0, 32, 26].as_slice() {
            Dialect::GreatSql
        } else {
            Dialect::Stock
        }
    }

    /// Takes what the donor told when the clone began.
    pub(super) fn told(&mut self, settings: &[Setting]) {
        let said = settings.iter().find_map(|setting| match setting {
            Setting::Json(_, json) => serde_json::from_str::<serde_json::Value>(json).ok(),
            _ => None,
        });
        let said = said.as_ref().and_then(|json| json["maturity"].as_str());
        self.record.maturity = match said {
            Some(said) => Some(said.to_owned()),
            None => ServerRecord::maturity_of(&self.record.version),
        };
    }

    /// The version as a number, as tablespaces have it: 90704 for 9.7.4.
    pub(super) fn version_number(&self) -> u32 {
        version_number(&self.record.version)
    }
}
