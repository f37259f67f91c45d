use super::*;
use crate::id::EntitlementRef;
use crate::testing::{automatic, id, installation};

/// A profile that was made over the API.
fn made() -> Profile {
    Profile { id: id("made"), ..automatic() }
}

/// So many profiles of a file.
fn file(profiles: usize) -> Installation {
    let profiles = (0..profiles).map(|n| Profile { id: id(&format!("p-{n}")), ..automatic() });
    Installation { profiles: profiles.collect(), ..installation() }
}

#[test]
fn r23_a_profile_of_the_api_needs_an_id_of_its_own_and_what_it_names() {
    let file = installation();
    assert_eq!(file.conflict(&made()), None);
    let (same, mut elsewhere, mut cloud) = (automatic(), made(), made());
    elsewhere.enrollment.as_mut().unwrap().rotations.insert(id("pd:P1"));
    cloud.entitlements.push(EntitlementRef { app: id("cloud"), kind: "group".to_owned(), id: "g-9".to_owned() });
    for (profile, problem) in [(same, "give the one of the file another ID"), (elsewhere, "`pd`"), (cloud, "`cloud`")] {
        let said = file.conflict(&profile).unwrap_or_default();
        assert!(said.contains(profile.id.as_str()) && said.contains(problem), "{said:?} names {problem}");
    }
}

#[test]
fn r23_what_the_api_made_stays_beside_a_file_that_does_not_say_it() {
    let by_api = BTreeSet::from([id("made")]);
    let stored = Installation { profiles: vec![automatic(), made()], ..installation() };
    let file = installation();
    let unrefused = |installation: &Installation| (installation.clone(), Vec::<String>::new());
    assert_eq!(file.beside(Some(&stored), &by_api), unrefused(&stored));
    assert_eq!(file.beside(Some(&stored), &BTreeSet::new()), unrefused(&file), "what the file has dropped goes");
    assert_eq!(file.beside(None, &by_api), unrefused(&file));
    let same = Profile { name: "Another".to_owned(), ..made() };
    let own = Installation { profiles: vec![automatic(), same], ..file.clone() };
    let (whole, refused) = own.beside(Some(&stored), &by_api);
    assert_eq!((whole, refused.len()), (own, 1), "the ID is taken");
    let bare = Installation { apps: Vec::new(), ..file };
    let (whole, refused) = bare.beside(Some(&stored), &by_api);
    assert_eq!((whole.profiles, refused.len()), (stored.profiles, 1), "its app is gone");
}

#[test]
fn r23_a_file_and_the_api_share_the_number_of_profiles_that_there_may_be() {
    let stored = Installation { profiles: vec![made()], ..installation() };
    for (profiles, refusals) in [(MAX_PROFILES - 1, 0), (MAX_PROFILES, 1)] {
        let (whole, refused) = file(profiles).beside(Some(&stored), &BTreeSet::from([id("made")]));
        assert_eq!((whole.profiles.len(), refused.len()), (profiles + 1, refusals), "{refused:?}");
    }
}

#[test]
fn r9_a_change_that_concerns_no_person_looks_at_nobody() {
    let about = |change: fn(&mut Installation)| {
        let mut changed = installation();
        change(&mut changed);
        changed.about_people()
    };
    let unchanged = about(|_| {});
    assert_eq!(about(|it| it.api.administrators.push("friends".to_owned())), unchanged, "who may do what in Dutykey");
    assert_eq!(about(|it| it.sources[0].every *= 2), unchanged, "seen through its views");
    assert_eq!(about(|it| it.profiles.clear()), unchanged, "each has a look of its own");
    assert_eq!(about(|it| it.brake.rotation = 100), unchanged, "it gives nothing");
    let told = |it: &mut Installation| {
        let (url, secret) = (SecretRef::Secret("hook".to_owned()), SecretRef::Secret("key".to_owned()));
        it.notify.push(NotifyChannel { id: "ops".to_owned(), url, secret, on: Vec::new() });
    };
    assert_eq!(about(told), unchanged, "it only tells");
    assert_ne!(about(|it| it.verified_domains.clear()), unchanged, "whose addresses match");
    assert_ne!(about(|it| it.directory = Some("directory".to_owned())), unchanged, "who is active");
    assert_ne!(about(|it| it.apps[0].retiring = true), unchanged, "what may be held");
    assert_ne!(about(|it| it.links.clear()), unchanged, "who is who");
}
