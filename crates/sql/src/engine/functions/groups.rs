//! Functions over many rows.

use std::collections::BTreeSet;

use rusqlite::Result;
use rusqlite::functions::{Aggregate, Context};
use serde_json::Value as Json;

use super::json::{made, written};
use super::{Adding, Arguments, FLAGS, failed};
use crate::engine::collation;

pub(super) fn add(add: &mut Adding<'_>) -> Result<()> {
    add.names
        .extend(["collected", "json_arrayagg", "json_objectagg"]);
    let connection = add.connection;
    connection.create_aggregate_function("collected", 3, FLAGS, Collected)?;
    connection.create_aggregate_function("json_arrayagg", 2, FLAGS, Array)?;
    connection.create_aggregate_function("json_objectagg", 3, FLAGS, Object)
}

/// `GROUP_CONCAT`: text, separator, 1 for distinct texts only.
struct Collected;

#[derive(Default)]
struct Texts {
    text: Option<String>,
    seen: BTreeSet<String>,
}

impl Aggregate<Texts, Option<String>> for Collected {
    fn init(&self, _: &mut Context<'_>) -> Result<Texts> {
        Ok(Texts::default())
    }

    fn step(&self, context: &mut Context<'_>, texts: &mut Texts) -> Result<()> {
        let arguments = Arguments { context };
        let Some(next) = arguments.text(0) else {
            return Ok(());
        };
        if arguments.whole(2) == Some(1) && !texts.seen.insert(collation::folded(&next)) {
            return Ok(());
        }
        let separator = arguments.text(1).unwrap_or_default();
        let text = match texts.text.take() {
            None => next,
            Some(text) => text + &separator + &next,
        };
        if text.len() > MOST_BYTES {
            return failed(1260, "The result of GROUP_CONCAT() is too large");
        }
        texts.text = Some(text);
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, texts: Option<Texts>) -> Result<Option<String>> {
        Ok(texts.and_then(|texts| texts.text))
    }
}

/// `JSON_ARRAYAGG`: text, how it becomes JSON.
struct Array;

impl Aggregate<Vec<Json>, Option<String>> for Array {
    fn init(&self, _: &mut Context<'_>) -> Result<Vec<Json>> {
        Ok(Vec::new())
    }

    fn step(&self, context: &mut Context<'_>, items: &mut Vec<Json>) -> Result<()> {
        items.push(made(&Arguments { context }, 0)?);
        if items.len() > MOST_ITEMS {
            return failed(1260, "The result of JSON_ARRAYAGG() is too large");
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, items: Option<Vec<Json>>) -> Result<Option<String>> {
        Ok(items.map(|items| written(&Json::Array(items))))
    }
}

/// `JSON_OBJECTAGG`: key, text, how it becomes JSON.
struct Object;

type Members = serde_json::Map<String, Json>;

impl Aggregate<Members, Option<String>> for Object {
    fn init(&self, _: &mut Context<'_>) -> Result<Members> {
        Ok(Members::new())
    }

    fn step(&self, context: &mut Context<'_>, members: &mut Members) -> Result<()> {
        let arguments = Arguments { context };
        let Some(key) = arguments.text(0) else {
            return failed(3158, "JSON documents may not contain NULL member names.");
        };
        members.insert(key, made(&arguments, 1)?);
        if members.len() > MOST_ITEMS {
            return failed(1260, "The result of JSON_OBJECTAGG() is too large");
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, members: Option<Members>) -> Result<Option<String>> {
        Ok(members.map(|members| written(&Json::Object(members))))
    }
}

const MOST_BYTES: usize = 1 << 20;
const MOST_ITEMS: usize = 1 << 16;
