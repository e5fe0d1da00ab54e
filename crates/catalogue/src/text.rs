//! Strings cut to the length of their column.

/// Characters in `SOURCE`, `DESTINATION`, `ERROR_MESSAGE` and `BINLOG_FILE`.
pub(crate) const NAME_CHARS: usize = 512;
/// Characters in `GTID_EXECUTED`.
pub(crate) const GTID_CHARS: usize = 4096;

/// The first `limit` characters (code points, as `varchar(n)` counts them).
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    match text.char_indices().nth(limit) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// A GTID set cut to its column. Cut anywhere, `u:1-3270` would become `u:1-32`, a set that was
/// never executed; so the end moves back to a whole interval and the result is a subset.
pub(crate) fn cut_gtid_set(set: &str, limit: usize) -> &str {
    let kept = cut(set, limit);
    if kept.len() == set.len() || set[kept.len()..].starts_with([',', ':']) && ends_whole(kept) {
        return kept;
    }
    kept.char_indices()
        .rev()
        .filter(|(_, c)| matches!(c, ',' | ':'))
        .map(|(end, _)| &kept[..end])
        .find(|head| ends_whole(head))
        .unwrap_or("")
}

/// Whether the last element is an interval (`7` or `1-7`) of some source, and no uuid or tag.
fn ends_whole(set: &str) -> bool {
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let Some((_, last)) = set.rsplit_once(':') else {
        return false;
    };
    match last.trim().split_once('-') {
        Some((first, end)) => number(first.trim()) && number(end.trim()),
        None => number(last.trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const U: &str = "c42c1e3e-0f41-11ef-b6bf-d08e7908bcb1";

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("数据备份", 2), "数据");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abc", 0), "");
    }

    #[test]
    fn gtid_set_is_cut_after_a_whole_interval() {
        let set = format!("{U}:1-3270:4000-4100,\n{U}:tag:1");
        assert_eq!(cut_gtid_set(&set, 4096), set);
        assert_eq!(
            cut_gtid_set(&set, 41),
            format!("{U}:1-3270")[..0].to_owned()
        );
        assert_eq!(cut_gtid_set(&set, 43), format!("{U}:1-3270"));
        assert_eq!(cut_gtid_set(&set, 50), format!("{U}:1-3270"));
        assert_eq!(cut_gtid_set(&set, 53), format!("{U}:1-3270:4000-4100"));
        assert_eq!(cut_gtid_set(&set, 95), format!("{U}:1-3270:4000-4100"));
    }

    proptest! {
        #[test]
        fn a_cut_is_the_longest_prefix_that_fits(text in "\\PC{0,80}", limit in 0usize..80) {
            let kept = cut(&text, limit);
            prop_assert!(text.starts_with(kept));
            prop_assert_eq!(kept.chars().count(), text.chars().count().min(limit));
        }

        #[test]
        fn every_interval_of_a_cut_gtid_set_was_in_the_set(
            ends in proptest::collection::vec(1u64..100_000, 1..12),
            limit in 0usize..400,
        ) {
            let set = ends.iter().enumerate()
                .map(|(i, end)| if i % 3 == 0 { format!("{U}:1-{end}") } else { format!("t{i}:{end}") })
                .collect::<Vec<_>>()
                .join(":")
                .replace(&format!(":{U}"), &format!(",{U}"));
            let kept = cut_gtid_set(&set, limit);
            prop_assert!(kept.len() <= limit && set.starts_with(kept));
            let rest = &set[kept.len()..];
            prop_assert!(kept.is_empty() || rest.is_empty() || rest.starts_with([',', ':']));
            prop_assert!(kept.is_empty() || ends_whole(kept));
        }

        #[test]
        fn no_text_makes_the_cut_panic(text in "\\PC{0,80}", limit in 0usize..80) {
            prop_assert!(text.starts_with(cut_gtid_set(&text, limit)));
        }
    }
}
