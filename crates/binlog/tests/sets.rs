//! Sets of GTIDs against sets of numbers.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use binlog::gtid::{Gtid, GtidSet, Tag, Uuid};
use proptest::prelude::*;
use std::collections::BTreeSet;

type Model = BTreeSet<(u8, u8, u64)>;

fn gtid((uuid, tag, gno): (u8, u8, u64)) -> Gtid {
    let tag = ["", "a", "b_1"][usize::from(tag)];
    Gtid {
        uuid: Uuid::new([uuid; 16]),
        tag: Tag::new(tag).unwrap(),
        gno,
    }
}

fn set(model: &Model) -> GtidSet {
    model.iter().rev().copied().map(gtid).collect()
}

fn model() -> impl Strategy<Value = Model> {
    proptest::collection::btree_set((0..2u8, 0..3u8, 1..20u64), 0..40)
}

proptest! {
    #[test]
    fn sets_are_sets(left in model(), right in model()) {
        let (a, b) = (set(&left), set(&right));
        let union: Model = left.union(&right).copied().collect();
        let both: Model = left.intersection(&right).copied().collect();
        let rest: Model = left.difference(&right).copied().collect();
        prop_assert_eq!(a.union(&b), set(&union));
        prop_assert_eq!(a.intersection(&b), set(&both));
        prop_assert_eq!(a.difference(&b), set(&rest));
        prop_assert_eq!(a.intersects(&b), !both.is_empty());
        prop_assert_eq!(a.contains_all(&b), right.is_subset(&left));
        prop_assert_eq!(a.count(), left.len() as u128);
        for one in union {
            prop_assert_eq!(a.contains(&gtid(one)), left.contains(&one));
        }
    }

    #[test]
    fn texts_are_read_again(model in model()) {
        let set = set(&model);
        prop_assert_eq!(set.to_string().parse::<GtidSet>().unwrap(), set.clone());
        prop_assert_eq!(format!("{set:#}").parse::<GtidSet>().unwrap(), set);
    }

    #[test]
    fn any_text_is_a_set_or_an_error(text in "[0-9a-f:,\\- \ntg]{0,80}") {
        if let Ok(set) = text.parse::<GtidSet>() {
            prop_assert_eq!(set.to_string().parse::<GtidSet>().unwrap(), set);
        }
    }
}
