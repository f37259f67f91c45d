//! The configuration, profiles and the pulse.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::rota::{ReadRota, RotationChange, RotationHead, WriteRota};
use dutykey_engine::ports::rules::{Configured, Pulse, ReadDue as _, ReadRules, WritePulse, WriteRules};
use dutykey_engine::ports::sweep::Among;
use dutykey_engine::snapshot::Snapshot;
use dutykey_policy::block::Block;
use dutykey_policy::evidence::Chain;
use dutykey_policy::id::{ProfileId, RotationId};
use dutykey_policy::installation::{Installation, Link};
use dutykey_policy::profile::{Automatic, Mode, Profile, SelfOverride};
use dutykey_policy::wants::Rules as _;
use dutykey_store::Store;

use crate::harness::{World, enrollment, is_changed, nine, world};

pub(crate) fn profile(id: &str) -> Profile {
    Profile {
        id: id.parse().unwrap(),
        version: 0,
        name: id.to_owned(),
        entitlements: Vec::new(),
        mode: Mode::Enforce,
        enrollment: Some(Automatic {
            rotations: [format!("pd:{id}").parse().unwrap()].into(),
            lead: Duration::from_secs(60),
            grace: Duration::ZERO,
            lease: Duration::from_secs(14_400),
        }),
        self_service: None,
        self_override: SelfOverride::Hold,
        override_lock: Duration::from_secs(600),
        break_glass: None,
    }
}

pub(crate) fn installation(profiles: &[&str]) -> Installation {
    Installation {
        verified_domains: vec!["example.com".to_owned()],
        directory: None,
        api: Default::default(),
        sources: Vec::new(),
        apps: Vec::new(),
        links: Vec::new(),
        profiles: profiles.iter().map(|id| profile(id)).collect(),
        sync: Default::default(),
        brake: Default::default(),
        notify: Vec::new(),
    }
}

async fn planned(world: &World, id: &str) -> String {
    let id: RotationId = format!("pd:{id}").parse().unwrap();
    world.store.heads(std::slice::from_ref(&id)).await.unwrap()[&id].planned.clone()
}

async fn rotations(world: &World, ids: impl IntoIterator<Item = String>) {
    for id in ids {
        let mut head = RotationHead::new(format!("pd:{id}").parse().unwrap(), id);
        head.planned = "digest".to_owned();
        let change = RotationChange { expected: 0, head, at: nine(), known: None, evidence: vec![], notices: vec![] };
        world.store.change_rotation(&change).await.unwrap();
    }
}

/// What has people looked at.
async fn swept(world: &World) -> Vec<(String, Among)> {
    let mut due: Vec<_> = world.store.due_sweeps(nine()).await.unwrap();
    due.sort_by(|a, b| a.id.cmp(&b.id));
    due.into_iter().map(|sweep| (sweep.id, sweep.among)).collect()
}

#[tokio::test]
async fn r9_a_configuration_has_everybody_looked_at_whom_it_may_concern() {
    let world = world().await;
    let ids: Vec<String> = (0..11).map(|number| format!("p{number}")).collect();
    let mut wanted = installation(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    world.store.configure(0, &wanted, nine()).await.unwrap();
    assert!(swept(&world).await.is_empty(), "nobody holds anything yet");
    wanted.profiles.push(profile("new"));
    world.store.configure(1, &wanted, nine()).await.unwrap();
    assert!(swept(&world).await.is_empty(), "a new profile takes nothing from anybody");
    wanted.directory = Some("directory".to_owned());
    world.store.configure(2, &wanted, nine()).await.unwrap();
    wanted.profiles.iter_mut().for_each(|profile| profile.name = "changed".to_owned());
    world.store.configure(3, &wanted, nine()).await.unwrap();
    let everybody = |version: u64| (format!("configuration/{version}"), Among::Everybody);
    assert_eq!(
        swept(&world).await,
        [everybody(3), everybody(4)],
        "who is active, and many profiles, may concern anybody"
    );
}

#[tokio::test]
async fn r17_what_changes_gets_a_version_and_its_people_are_planned_again() {
    let world = world().await;
    rotations(&world, ["a", "b", "c"].map(str::to_owned)).await;
    assert_eq!(world.store.installation().await, Ok(None));
    let mut wanted = installation(&["a", "b", "c"]);
    assert_eq!(world.store.configure(0, &wanted, nine()).await, Ok(1));
    rotations_planned(&world).await;

    wanted.profiles[0].name = "changed".to_owned();
    wanted.profiles.pop();
    assert_eq!(world.store.configure(1, &wanted, nine()).await, Ok(2));
    let configured = world.store.installation().await.unwrap().unwrap();
    assert_eq!(configured.version, 2);
    let versions: Vec<(&str, u64)> =
        configured.installation.profiles.iter().map(|p| (p.id.as_str(), p.version)).collect();
    assert_eq!(versions, [("a", 2), ("b", 1)], "what says the same keeps its version; what was dropped is gone");
    assert_eq!(world.store.all_profiles().await.unwrap(), configured.installation.profiles);
    let one = world.store.profiles(&["b".parse().unwrap(), "c".parse().unwrap()]).await.unwrap();
    assert_eq!(one.iter().map(|p| p.id.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(planned(&world, "a").await, "", "changed: planned again");
    assert_eq!(planned(&world, "b").await, "digest", "unchanged");
    assert_eq!(planned(&world, "c").await, "", "dropped: planned again");

    let of = |id: &str| (format!("configuration/2/{id}"), Among::Profile(id.parse().unwrap()));
    assert_eq!(swept(&world).await, [of("a"), of("c")], "R9: whoever is in what has changed is looked at");

    let (same, requests) = world.requests_of(world.store.configure(2, &wanted, nine())).await;
    assert_eq!(same, Ok(2), "what is in force already is no change");
    assert!(
        !requests.keys().any(|name| name.contains("Write") || name.contains("Put") || name.contains("Update")),
        "{requests:?}"
    );
    let evidence = world.store.evidence(&Chain::System, 1, 10).await.unwrap();
    assert_eq!(evidence.len(), 2);
    assert!(
        evidence[1].line.contains(r#""profiles":{"a":2}"#) && evidence[1].line.contains(r#""ended":["c"]"#),
        "{}",
        evidence[1].line
    );

    wanted.profiles.push(profile("c"));
    assert_eq!(world.store.configure(2, &wanted, nine()).await, Ok(3));
    let back = world.store.all_profiles().await.unwrap();
    assert_eq!(back.last().map(|p| (p.id.as_str(), p.version)), Some(("c", 1)), "it says what its last version said");
}

#[tokio::test]
async fn a_look_asks_for_the_head_of_the_configuration_once() {
    let world = world().await;
    world.store.configure(0, &installation(&["a", "b"]), nine()).await.unwrap();
    let enrolled = [enrollment(&world.somebody(1).await, "a")];
    let look = || Snapshot::read(&world.store, &world.store, &enrolled, nine());
    // The first one learns what never changes.
    look().await.unwrap();
    let (snapshot, requests) = world.requests_of(look()).await;
    let snapshot = snapshot.unwrap().expect("a configuration is in force");
    let has = |id: &str| snapshot.profile(&id.parse().unwrap()).is_some();
    assert_eq!((has("a"), has("b")), (true, false), "what somebody is enrolled in, and nothing else");
    // The configuration's head and the pulse, the blocks, the rotation's head.
    let expected = [("GetItem", 2), ("Query", 1), ("BatchGetItem", 1)];
    assert_eq!(requests, expected.map(|(operation, times)| (operation.to_owned(), times)).into());
}

/// A table whose configuration becomes the next one right after it was read.
struct Moving<'a> {
    store: &'a Store,
    next: Installation,
}

#[async_trait]
impl ReadRules for Moving<'_> {
    async fn installation(&self) -> Result<Option<Configured>, StoreError> {
        let read = self.store.installation().await;
        self.store.configure(1, &self.next, nine()).await?;
        read
    }

    async fn profiles(&self, ids: &[ProfileId]) -> Result<Vec<Profile>, StoreError> {
        self.store.profiles(ids).await
    }

    async fn versions(&self, wanted: &BTreeSet<(ProfileId, u64)>) -> Result<Vec<Profile>, StoreError> {
        self.store.versions(wanted).await
    }

    async fn all_profiles(&self) -> Result<Vec<Profile>, StoreError> {
        self.store.all_profiles().await
    }

    async fn blocks(&self) -> Result<Vec<Block>, StoreError> {
        self.store.blocks().await
    }

    async fn pulse(&self) -> Result<Pulse, StoreError> {
        self.store.pulse().await
    }
}

#[tokio::test]
async fn r17_a_look_goes_by_one_version_of_the_configuration() {
    let world = world().await;
    let mut next = installation(&["a"]);
    world.store.configure(0, &next, nine()).await.unwrap();
    next.profiles[0].name = "changed".to_owned();
    next.verified_domains = vec!["changed.example.com".to_owned()];
    let (enrolled, moving) = ([enrollment(&world.somebody(1).await, "a")], Moving { store: &world.store, next });
    let looks: [&dyn ReadRules; 2] = [&moving, &world.store];
    for (rules, version, domain) in [(looks[0], 1, "example.com"), (looks[1], 2, "changed.example.com")] {
        let snapshot = Snapshot::read(rules, &world.store, &enrolled, nine()).await.unwrap();
        let snapshot = snapshot.expect("a configuration is in force");
        let profile = snapshot.profile(&"a".parse().unwrap()).map(|profile| profile.version);
        assert_eq!((profile, &snapshot.installation.verified_domains[..]), (Some(version), &[domain.to_owned()][..]));
    }
}

/// Marks the rotations as planned, as a sync does.
async fn rotations_planned(world: &World) {
    for head in world.store.rotations(&"pd".parse().unwrap()).await.unwrap() {
        let expected = head.generation;
        let head = RotationHead { planned: "digest".to_owned(), ..head };
        let change = RotationChange { expected, head, at: nine(), known: None, evidence: vec![], notices: vec![] };
        world.store.change_rotation(&change).await.unwrap();
    }
}

#[tokio::test]
async fn r17_a_sync_that_planned_with_the_old_profiles_looks_again() {
    let world = world().await;
    rotations(&world, ["a".to_owned()]).await;
    let id: RotationId = "pd:a".parse().unwrap();
    let read = world.store.heads(std::slice::from_ref(&id)).await.unwrap().remove(&id).unwrap();
    world.store.configure(0, &installation(&["a"]), nine()).await.unwrap();
    let change = RotationChange {
        expected: read.generation,
        head: read,
        at: nine(),
        known: None,
        evidence: vec![],
        notices: vec![],
    };
    assert!(is_changed(world.store.change_rotation(&change).await));
    assert_eq!(planned(&world, "a").await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_who_apply_at_once_one_wins_and_its_content_stands() {
    let world = world().await;
    world.store.configure(0, &installation(&["a"]), nine()).await.unwrap();
    let mut applies = tokio::task::JoinSet::new();
    for number in 0..6 {
        let mut wanted = installation(&["a"]);
        wanted.profiles[0].name = format!("name {number}");
        wanted.verified_domains = vec![format!("{number}.example.com")];
        let store = world.store.clone();
        applies.spawn(async move { (number, !is_changed(store.configure(1, &wanted, nine()).await)) });
    }
    let won: Vec<i32> =
        applies.join_all().await.into_iter().filter(|(_, won)| *won).map(|(number, _)| number).collect();
    assert_eq!(won.len(), 1);
    let found = world.store.installation().await.unwrap().unwrap();
    assert_eq!(found.version, 2);
    assert_eq!(found.installation.verified_domains, [format!("{}.example.com", won[0])]);
    assert_eq!(found.installation.profiles[0].name, format!("name {}", won[0]));
    let parts = world.everything().await.iter().filter(|i| i["sk"].as_s().unwrap().starts_with("DOCUMENT#")).count();
    assert_eq!(parts, 1, "R19: nothing of what lost is left, for it names people");
}

#[tokio::test]
async fn a_large_configuration_is_applied() {
    let world = world().await;
    let ids: Vec<String> = (0..300).map(|n| format!("p{n:03}")).collect();
    rotations(&world, ids.iter().take(120).cloned()).await;
    let mut wanted = installation(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    let link = |n: u32| Link {
        person: format!("person{n}@example.com"),
        sources: Default::default(),
        apps: Default::default(),
    };
    wanted.links = (0..20_000).map(link).collect();
    assert_eq!(world.store.configure(0, &wanted, nine()).await, Ok(1));
    let mut found = world.store.installation().await.unwrap().unwrap().installation;
    for profile in &mut found.profiles {
        assert_eq!(std::mem::replace(&mut profile.version, 0), 1);
    }
    assert_eq!(found, wanted);
    for id in ids.iter().take(120) {
        assert_eq!(planned(&world, id).await, "", "{id}");
    }
}

#[tokio::test]
async fn r9_of_two_ticks_one_remembers() {
    let world = world().await;
    let read = world.store.pulse().await.unwrap();
    assert_eq!(read, Pulse::default());
    let mine = Pulse { ticked_at: Some(nine()), ..read };
    world.store.keep_pulse(&mine).await.unwrap();
    assert!(is_changed(world.store.keep_pulse(&mine).await));
    let next = world.store.pulse().await.unwrap();
    assert_eq!((next.rev, next.ticked_at), (1, Some(nine())));
    world.store.keep_pulse(&next).await.unwrap();
}
