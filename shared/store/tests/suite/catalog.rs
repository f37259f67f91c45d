//! Catalogs: found by the beginnings of words, page by page, at the price of the answer.

use std::collections::BTreeMap;

use dutykey_engine::ports::catalog::{Catalog, ReadCatalogs as _, WriteCatalogs as _};
use dutykey_engine::ports::ledger::StoreError;
use dutykey_policy::catalog::{CatalogEntry, Change, Reading, Words, difference};
use dutykey_policy::id::{AppId, EntitlementRef};
use dutykey_store::{Cursor, keys};

use crate::harness::{World, is_changed, nine, world};

fn app(id: &str) -> AppId {
    id.parse().unwrap()
}

fn entry(of: &str, kind: &str, id: &str, name: &str) -> CatalogEntry {
    let entitlement = EntitlementRef { app: app(of), kind: kind.to_owned(), id: id.to_owned() };
    CatalogEntry::new(entitlement, name, None, None, nine()).unwrap()
}

fn reading(entries: impl IntoIterator<Item = CatalogEntry>) -> Reading {
    entries.into_iter().map(|entry| (entry.entitlement.clone(), entry)).collect()
}

/// Makes an app's catalog say this.
async fn say(world: &World, of: &str, reading: &Reading) {
    let stored = world.store.entries(&app(of)).await.unwrap();
    world.store.change_entries(&difference(&stored, reading, None, nine()).changes).await.unwrap();
    assert_eq!(world.store.entries(&app(of)).await.unwrap(), *reading);
}

/// Everything that is found, page by page, by its ID.
async fn found(world: &World, places: &[(&str, &str)], sought: &str, size: usize) -> Vec<String> {
    let places: Vec<_> = places.iter().map(|(of, kind)| (app(of), (*kind).to_owned())).collect();
    let (mut seen, mut cursor) = (Vec::new(), None::<Cursor>);
    loop {
        let page = world.store.list_entitlements(&places, &Words::of(sought), cursor.as_ref(), size).await.unwrap();
        assert!(page.items.len() <= size && page.unreadable.is_empty(), "{page:?}");
        seen.extend(page.items.into_iter().map(|entry| entry.entitlement.id));
        let Some(next) = page.next else { return seen };
        cursor = Some(Cursor::new(next.as_str()));
    }
}

#[tokio::test]
async fn a_name_is_found_by_the_beginning_of_any_word_once_whatever_the_page() {
    let world = world().await;
    let names = ["Production support", "prod DB (production)", "Staging", "Größe#1 %", "read-only prod logs"];
    let named = names.iter().enumerate();
    say(&world, "okta", &reading(named.map(|(n, name)| entry("okta", "group", &format!("g{n}"), name)))).await;
    say(&world, "cloud", &reading([entry("cloud", "role", "r#0", "Production"), entry("cloud", "set", "s%0", "Pro")]))
        .await;
    let everywhere = [("okta", "group"), ("cloud", "role"), ("cloud", "set")];
    for size in [1, 2, 50] {
        let sorted = async |sought: &str| {
            let mut found = found(&world, &everywhere, sought, size).await;
            found.sort();
            found
        };
        assert_eq!(sorted("pro").await, ["g0", "g1", "g4", "r#0", "s%0"], "pages of {size}");
        assert_eq!(sorted("PRODUCTION").await, ["g0", "g1", "r#0"]);
        assert_eq!(sorted("prod db").await, ["g1"]);
        assert_eq!(sorted("grö").await, ["g3"]);
        assert_eq!(sorted("rod").await, Vec::<String>::new(), "not the middle of a word");
        assert_eq!(sorted("").await.len(), 7);
    }
    assert_eq!(found(&world, &[("cloud", "role")], "pro", 50).await, ["r#0"]);
    assert_eq!(found(&world, &[("okta", "role")], "", 50).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_was_renamed_or_removed_is_found_under_its_old_words_no_more() {
    let world = world().await;
    let groups = |names: &[(&str, &str)]| reading(names.iter().map(|(id, name)| entry("okta", "group", id, name)));
    say(&world, "okta", &groups(&[("a", "prod readers"), ("b", "prod writers"), ("c", "prod admins")])).await;
    say(&world, "okta", &groups(&[("a", "live readers"), ("b", "prod writers")])).await;
    let place = [("okta", "group")];
    assert_eq!(found(&world, &place, "prod", 50).await, ["b"]);
    assert_eq!(found(&world, &place, "live", 50).await, ["a"]);
    assert_eq!(found(&world, &place, "readers", 50).await, ["a"]);
    assert_eq!(found(&world, &place, "", 50).await, ["a", "b"]);
    say(&world, "okta", &Reading::new()).await;
    assert_eq!(world.everything().await.len(), 1, "nothing is left but the table's own ID");
}

#[tokio::test]
async fn p10_a_change_that_was_cut_off_shows_nothing_wrong_and_is_found_by_the_next_comparison() {
    let world = world().await;
    let [old, new] = ["prod readers", "live readers"].map(|name| entry("okta", "group", "a", name));
    say(&world, "okta", &reading([old.clone()])).await;
    // Its words are written and removed before it is: this is how it looks in between.
    let key = keys::entry(&old.entitlement);
    let before = world.raw(&key).await.unwrap();
    say(&world, "okta", &reading([new.clone()])).await;
    world.put_raw(before).await;
    assert_eq!(found(&world, &[("okta", "group")], "live", 50).await, Vec::<String>::new(), "not under another's word");
    let stored = world.store.entries(&app("okta")).await.unwrap();
    let changes = difference(&stored, &reading([new.clone()]), None, nine()).changes;
    assert_eq!(changes, [Change::Write { before: Some(old), after: new.clone() }]);
    world.store.change_entries(&changes).await.unwrap();
    assert_eq!(found(&world, &[("okta", "group")], "live", 50).await, ["a"]);
    assert_eq!(found(&world, &[("okta", "group")], "prod", 50).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_page_costs_what_it_shows_and_not_what_there_is() {
    let world = world().await;
    let groups =
        (0..2_000).map(|number| entry("okta", "group", &format!("g{number}"), &format!("team{number} access")));
    say(&world, "okta", &reading(groups)).await;
    let place = [(app("okta"), "group".to_owned())];
    let (page, requests) =
        world.requests_of(world.store.list_entitlements(&place, &Words::of("team1999"), None, 50)).await;
    assert_eq!(page.unwrap().items.len(), 1);
    assert_eq!(requests, BTreeMap::from([("Query".to_owned(), 1), ("BatchGetItem".to_owned(), 1)]));
    let (page, requests) =
        world.requests_of(world.store.list_entitlements(&place, &Words::of("access"), None, 50)).await;
    assert_eq!(page.unwrap().items.len(), 50);
    assert_eq!(requests, BTreeMap::from([("Query".to_owned(), 1), ("BatchGetItem".to_owned(), 1)]));
    let (page, requests) = world.requests_of(world.store.list_entitlements(&place, &Words::default(), None, 50)).await;
    assert_eq!(page.unwrap().items.len(), 50);
    assert_eq!(requests, BTreeMap::from([("Query".to_owned(), 1)]));
}

#[tokio::test]
async fn r15_of_two_readings_that_began_together_the_second_to_end_is_refused() {
    let world = world().await;
    assert_eq!(world.store.catalogs(&[app("okta")]).await.unwrap(), BTreeMap::new());
    let mut head = Catalog::new(app("okta"));
    head.refreshed_at = Some(nine());
    head.kinds = ["group".to_owned()].into();
    let kept = world.store.keep_catalog(&head).await.unwrap();
    assert_eq!(
        world.store.catalogs(&[app("okta"), app("other")]).await.unwrap().into_values().collect::<Vec<_>>(),
        std::slice::from_ref(&kept)
    );
    assert!(is_changed(world.store.keep_catalog(&head).await));
    let next = world.store.keep_catalog(&Catalog { refreshed_at: None, ..kept.clone() }).await.unwrap();
    assert_eq!((next.rev, next.refreshed_at), (2, None));
    assert_eq!(world.store.catalogs(&[app("okta")]).await.unwrap()[&app("okta")], next);
    assert!(is_changed(world.store.keep_catalog(&kept).await));
}

#[tokio::test]
async fn r24_an_entry_of_a_later_release_is_set_aside_and_named() {
    use aws_sdk_dynamodb::types::AttributeValue;

    let world = world().await;
    let [one, two] = ["a", "b"].map(|id| entry("okta", "group", id, "prod production"));
    say(&world, "okta", &reading([one.clone(), two])).await;
    let key = keys::entry(&one.entitlement);
    world.set_raw(&key, "v", AttributeValue::N("2".to_owned())).await;
    for sought in ["", "prod"] {
        let place = [(app("okta"), "group".to_owned())];
        let page = world.store.list_entitlements(&place, &Words::of(sought), None, 50).await.unwrap();
        assert_eq!((page.items.len(), page.unreadable), (1, vec![key.to_string()]), "`{sought}`");
    }
    let foreign = world.store.list_entitlements(&[], &Words::default(), Some(&Cursor::new("7b7d")), 50).await;
    assert!(matches!(foreign, Err(StoreError::Limit(_))), "{foreign:?}");
}
