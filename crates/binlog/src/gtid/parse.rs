//! Sets as text: the server's form, in which a uuid is followed by ranges and by tags with ranges.

use super::id::number;
use super::{GtidSet, Tag, Uuid};
use std::str::FromStr;

/// A text that is no GTID, or no set of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct BadGtid {
    detail: String,
}

impl BadGtid {
    pub(super) fn new(detail: String) -> Self {
        Self { detail }
    }
}

impl FromStr for GtidSet {
    type Err = BadGtid;

    /// `U:1-5:7:tag:1-3,V:7`. Blanks and newlines around the parts, and empty items between
    /// commas, are passed over as the server does it. A text without items is the empty set.
    ///
    /// # Errors
    /// A part that is none, a uuid or a tag without ranges, a range that ends before it begins.
    fn from_str(text: &str) -> Result<Self, BadGtid> {
        let mut set = Self::new();
        let items = text.split(',').map(str::trim);
        for item in items.filter(|item| !item.is_empty()) {
            read_item(item, &mut set)?;
        }
        Ok(set)
    }
}

fn read_item(item: &str, set: &mut GtidSet) -> Result<(), BadGtid> {
    let mut parts = item.split(':').map(str::trim);
    let uuid: Uuid = parts.next().unwrap_or_default().parse()?;
    let mut tag = Tag::default();
    // Whether what was named last has a range.
    let mut used = false;
    let without = || BadGtid::new(format!("'{item}' names something without its transactions"));
    for part in parts {
        if part.starts_with(|c: char| c.is_ascii_digit()) {
            let (first, last) = range(part)?;
            set.insert_range(uuid, tag.clone(), first, last);
            used = true;
        } else {
            let named = !tag.is_empty();
            if part.is_empty() || (named && !used) {
                return Err(without());
            }
            tag = Tag::new(part)?;
            used = false;
        }
    }
    if used { Ok(()) } else { Err(without()) }
}

fn range(part: &str) -> Result<(u64, u64), BadGtid> {
    let bad = || BadGtid::new(format!("'{part}' is no range of transaction numbers"));
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    let first = number(first.trim()).ok_or_else(bad)?;
    let last = number(last.trim()).ok_or_else(bad)?;
    if first > last {
        return Err(bad());
    }
    Ok((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gtid::Gtid;

    const U: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    const V: &str = "11111111-2222-3333-4444-555555555555";

    #[test]
    fn the_servers_mixed_form_survives_a_round_trip() {
        let text = format!("{V}:7,\n{U}:1-5:8:backup:1:t2:1-3:9");
        let set: GtidSet = text.parse().unwrap();
        assert_eq!(set.to_string(), text);
        assert_eq!(set.count(), 12);
        for (gtid, inside) in [
            (format!("{U}:5"), true),
            (format!("{U}:6"), false),
            (format!("{U}:BACKUP:1"), true),
            (format!("{U}:t2:4"), false),
            (format!("{V}:7"), true),
        ] {
            assert_eq!(set.contains(&gtid.parse().unwrap()), inside, "{gtid}");
        }
        assert_eq!(format!("{set:#}"), text.replace('\n', ""));
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in [
            "x".to_owned(),
            U.to_owned(),
            format!("{U}:"),
            format!("{U}:0"),
            format!("{U}:5-4"),
            format!("{U}:1:tag"),
            format!("{U}:tag:other:1"),
            format!("{U}:1-"),
            format!("{U}:9223372036854775807"),
            format!("{U}:1x"),
            format!("{U}:tag-1:1"),
            format!("{U}0:1"),
        ] {
            assert!(text.parse::<GtidSet>().is_err(), "{text}");
        }
        assert_eq!(" ,\n, ".parse(), Ok(GtidSet::new()));
        let bare = format!("{}: 1 - 3 ", U.replace('-', ""));
        assert_eq!(
            bare.parse::<GtidSet>().unwrap().to_string(),
            format!("{U}:1-3")
        );
    }

    #[test]
    fn one_gtid_as_text() {
        for text in [format!("{U}:5"), format!("{U}:tag_1:5")] {
            let gtid: Gtid = text.parse().unwrap();
            assert_eq!(gtid.to_string(), text);
        }
        assert!(format!("{U}:a:b:1").parse::<Gtid>().is_err());
        assert!(format!("{U}:1-2").parse::<Gtid>().is_err());
    }
}
