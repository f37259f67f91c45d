use proptest::collection::btree_map;
use proptest::prelude::*;

use super::*;
use crate::testing::{cases, id, minute};

fn entry(number: usize, name: &str) -> CatalogEntry {
    let entitlement = EntitlementRef { app: id("directory"), kind: "group".to_owned(), id: format!("g{number:04}") };
    CatalogEntry::new(entitlement, name, None, None, minute(0)).unwrap()
}

fn reading(entries: impl IntoIterator<Item = CatalogEntry>) -> Reading {
    entries.into_iter().map(|entry| (entry.entitlement.clone(), entry)).collect()
}

fn many(numbers: std::ops::Range<usize>) -> Reading {
    reading(numbers.map(|number| entry(number, &format!("group {number}"))))
}

/// The catalog after these changes.
fn applied(mut stored: Reading, changes: &[Change]) -> Reading {
    for change in changes {
        match change {
            Change::Write { before, after } => {
                assert_eq!(stored.insert(after.entitlement.clone(), after.clone()), *before);
            }
            Change::Remove(entry) => assert_eq!(stored.remove(&entry.entitlement).as_ref(), Some(entry)),
        }
    }
    stored
}

#[test]
fn words_are_runs_of_letters_and_digits_in_lower_case_each_once() {
    let words = |text: &str| Words::of(text).iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words("Prod-DB (read_only), prod"), ["db", "only", "prod", "read"]);
    assert_eq!(words("Größe ÄRZTE 東京"), ["größe", "ärzte", "東京"]);
    assert_eq!(words(" -/#% "), Vec::<String>::new());
    assert!(Words::of(" -/#% ").is_empty() && !Words::of("db").is_empty());
    assert_eq!(words(&"é".repeat(1_000)), ["é".repeat(MAX_WORD)], "a long word counts by its beginning");
    let numbers: Vec<String> = (100..1_000).map(|number| number.to_string()).collect();
    assert_eq!(words(&numbers.join(" ")).len(), MAX_WORDS, "of many words the first count");
}

#[test]
fn a_name_is_found_by_the_beginnings_of_its_words_and_kept_under_one() {
    let words = Words::of("Production support, prod on-call");
    for (sought, found) in
        [("pro", true), ("PROD", true), ("sup prod", true), ("duction", false), ("prod none", false), ("", true)]
    {
        assert_eq!(words.has_all(&Words::of(sought)), found, "{sought}");
    }
    assert_eq!(words.first_with("pro"), Some("prod"), "of `prod` and `production` the first");
    assert_eq!(Words::of("db prod").longest(), Some("prod"));
}

#[test]
fn what_an_app_says_is_bounded() {
    let entitlement = |id: &str| EntitlementRef { app: self::id("a"), kind: "group".to_owned(), id: id.to_owned() };
    let long = "x\n".repeat(10_000);
    let made = CatalogEntry::new(entitlement("g"), &long, Some(&long), Some(" "), minute(0)).unwrap();
    assert_eq!(made.name.chars().count(), MAX_NAME);
    assert!(made.description.is_some_and(|text| text.chars().count() == MAX_TEXT && !text.contains('\n')));
    assert!(made.unmanageable.is_some(), "an empty reason is one too");
    assert_eq!(CatalogEntry::new(entitlement("g"), "\t", Some(""), None, minute(0)).unwrap().name, "g");
    assert!(CatalogEntry::new(entitlement(&"x".repeat(MAX_ID)), "n", None, None, minute(0)).is_ok());
    let refused = CatalogEntry::new(entitlement(&"x".repeat(MAX_ID + 1)), "n", None, None, minute(0)).unwrap_err();
    assert!(refused.to_string().chars().count() < 200, "{refused}");
}

#[test]
fn p6_a_large_catalog_that_loses_more_than_half_is_believed_after_a_day() {
    let (stored, empty) = (many(0..200), Reading::new());
    let first = difference(&stored, &empty, None, minute(60));
    assert_eq!(first.doubted, Some(Doubted { since: minute(60), missing: 200 }));
    assert_eq!(first.changes, []);
    let almost = difference(&stored, &empty, Some(minute(60)), minute(60 + 24 * 60 - 1));
    assert_eq!(almost.doubted.map(|doubted| doubted.since), Some(minute(60)), "the day counts from the first");
    let believed = difference(&stored, &empty, Some(minute(60)), minute(60 + 24 * 60));
    assert_eq!((believed.doubted, applied(stored.clone(), &believed.changes)), (None, Reading::new()));

    let new = difference(&stored, &many(199..230), None, minute(60));
    assert_eq!(
        (new.changes.len(), new.doubted.map(|doubted| doubted.missing)),
        (30, Some(199)),
        "what it shows counts"
    );
    let least = difference(&many(0..LARGE), &many(0..LARGE / 2 - 1), None, minute(60));
    assert_eq!(least.doubted.map(|doubted| doubted.missing), Some(LARGE / 2 + 1), "the smallest that is large");
    for (stored, reading) in [(200, 100), (99, 0), (1, 0)] {
        let taken = difference(&many(0..stored), &many(0..reading), None, minute(60));
        assert_eq!(
            (taken.changes.len(), taken.doubted),
            (stored - reading, None),
            "{reading} of {stored} are believed"
        );
    }
}

fn some() -> impl Strategy<Value = Reading> {
    let named = btree_map(0_usize..60, "[a-c]{1,2}", 0..60);
    named.prop_map(|named| reading(named.into_iter().map(|(number, name)| entry(number, &name))))
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn the_difference_leads_from_what_is_stored_to_what_was_read(stored in some(), read in some()) {
        let Difference { changes, doubted } = difference(&stored, &read, None, minute(1));
        prop_assert_eq!(doubted, None);
        prop_assert_eq!(&applied(stored.clone(), &changes), &read);
        prop_assert_eq!(changes.is_empty(), stored == read);
        prop_assert_eq!(digest(&stored) == digest(&read), stored == read);
        prop_assert_eq!(difference(&read, &read, None, minute(1)).changes, vec![]);
    }

    #[test]
    fn every_beginning_of_every_word_finds_the_name(name in "\\PC{0,60}", cut in 1_usize..10) {
        let words = Words::of(&name);
        for word in words.iter() {
            let beginning: String = word.chars().take(cut).collect();
            prop_assert!(words.first_with(&beginning).is_some());
            prop_assert!(word.chars().count() <= MAX_WORD && word.chars().all(char::is_alphanumeric));
        }
        prop_assert!(words.has_all(&words));
    }
}
