use super::*;
use dutykey_tests::pagerduty::Fault;
use serde_json::json;

fn rotations(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn what_an_account_has_is_read_with_its_own_ids() {
    let fake = acme().await;
    let pd = client(&fake);
    assert_eq!(pd.check().await.unwrap(), "PagerDuty account acme.pagerduty.com");
    let users = pd.users().await.unwrap();
    assert_eq!(users.len(), 3);
    assert_eq!((users[0].id.as_str(), users[0].email.as_deref()), ("PANN", Some("ann@example.com")));
    assert_eq!((users[0].name.as_deref(), users[0].active), (Some("Ann"), None), "PagerDuty has no flag for inactive");
    let teams = pd.teams().await.unwrap();
    assert_eq!((teams[0].id.as_str(), teams[0].name.as_str()), ("PTEAM", "Core"));
    assert_eq!(teams[0].members[0], ("PANN".parse().unwrap(), Some("manager".to_owned())));
    let listed = pd.rotations().await.unwrap();
    let ids: Vec<String> = listed.iter().map(|r| r.id.to_string()).collect();
    assert_eq!(ids, rotations(&["pd:PLAYER", "pd:PSHIFT", "pd:PPOLICY@1", "pd:PPOLICY@2"]));
    assert_eq!((listed[0].name.as_str(), listed[0].time_zone.as_deref()), ("Rota PLAYER", Some("UTC")));
    assert_eq!(listed[3].name, "Core, level 2");
}

#[tokio::test]
async fn every_list_is_read_to_its_end_whatever_the_length_of_its_pages() {
    for largest_page in [100, 7] {
        let fake = acme().await;
        fake.state(|acme| {
            acme.largest_page = largest_page;
            let user = acme.users[0].clone();
            let policy = acme.policies[0].clone();
            for n in 0..250 {
                acme.users.push(User { id: format!("PU{n}"), ..user.clone() });
                acme.teams[0].members.push((format!("PU{n}"), "observer".to_owned()));
                acme.schedules.push(Schedule::new(&format!("PA{n}"), Kind::V2));
                acme.schedules.push(Schedule::new(&format!("PB{n}"), Kind::V3));
                acme.policies.push(Policy { id: format!("PP{n}"), ..policy.clone() });
            }
            for n in 0..20 {
                acme.teams.push(Team { id: format!("PT{n}"), name: "Empty".to_owned(), members: Vec::new() });
            }
        });
        let pd = client(&fake);
        assert_eq!(pd.users().await.unwrap().len(), 253);
        let teams = pd.teams().await.unwrap();
        assert_eq!((teams.len(), teams[0].members.len()), (21, 252));
        assert_eq!(pd.rotations().await.unwrap().len(), 2 + 500 + 251 * 2);
        if largest_page == 100 {
            assert_eq!([fake.count("/users"), fake.count("/v3/schedules"), fake.count("/escalation_policies")], [3; 3]);
        }
    }
}

#[tokio::test]
async fn an_entry_that_is_listed_twice_counts_once() {
    let fake = acme().await;
    fake.state(|acme| acme.largest_page = 2);
    fake.fault_times("/users", 1, Fault::altered(|page| page["users"][1] = page["users"][0].clone()));
    fake.fault("/v3/schedules", Fault::altered(|page| page["schedules"][0]["id"] = json!("PLAYER")));
    let pd = client(&fake);
    let users = pd.users().await.unwrap();
    let ids: Vec<&str> = users.iter().map(|user| user.id.as_str()).collect();
    assert_eq!(ids, ["PANN", "PEVE"]);
    assert_eq!(pd.rotations().await.unwrap().len(), 1 + 2, "a schedule in both lists is one");
}

#[tokio::test]
async fn p6_a_list_that_is_not_whole_is_no_list() {
    let alterations: [(&str, Fault); 9] = [
        ("a page that is short while more follow", Fault::altered(|p| drop(p["users"].as_array_mut().unwrap().pop()))),
        ("an empty page while more follow", Fault::altered(|p| p["users"] = json!([]))),
        ("no list", Fault::altered(|p| drop(p.as_object_mut().unwrap().remove("users")))),
        ("no word on whether more follow", Fault::altered(|p| drop(p.as_object_mut().unwrap().remove("more")))),
        ("another page", Fault::altered(|p| p["offset"] = json!(2))),
        ("a page of no length", Fault::altered(|p| p["limit"] = json!(0))),
        ("more entries than a page has", Fault::altered(|p| p["limit"] = json!(1))),
        ("a user without an ID", Fault::altered(|p| p["users"][0]["id"] = json!(null))),
        ("an empty account", Fault::empty("users")),
    ];
    for (what, fault) in alterations {
        let fake = acme().await;
        fake.state(|acme| acme.largest_page = 2);
        fake.fault("/users", fault);
        let answer = client(&fake).users().await;
        assert!(matches!(answer, Err(PlatformError::Faulty(_))), "{what} was taken for a list: {answer:?}");
    }
}

#[tokio::test]
async fn p6_that_no_schedule_can_be_seen_is_not_that_there_is_none() {
    let fake = acme().await;
    fake.fault("/schedules", Fault::empty("schedules"));
    fake.fault("/v3/schedules", Fault::empty("schedules"));
    let answer = client(&fake).rotations().await;
    assert!(matches!(answer, Err(PlatformError::Faulty(_))), "{answer:?}");
    fake.state(|acme| acme.policies.clear());
    assert_eq!(client(&fake).rotations().await, Ok(Vec::new()), "an account may have neither");
}

#[tokio::test]
async fn p6_a_level_that_is_not_understood_stays_in_the_list_and_fails_its_own_read() {
    for targets in [json!([]), json!([{ "id": "PTEAM", "type": "team_reference" }])] {
        let fake = acme().await;
        let policies = "/escalation_policies/0/escalation_rules/1/targets";
        let policy = "/escalation_policy/escalation_rules/1/targets";
        for (path, place) in [("/escalation_policies", policies), ("/escalation_policies/PPOLICY", policy)] {
            let targets = targets.clone();
            fake.fault(path, Fault::altered(move |answer| *answer.pointer_mut(place).unwrap() = targets.clone()));
        }
        let pd = client(&fake);
        let listed = pd.rotations().await.unwrap_or_else(|error| panic!("{targets} took the list away: {error}"));
        let ids: Vec<String> = listed.iter().map(|rotation| rotation.id.to_string()).collect();
        assert_eq!(ids, rotations(&["pd:PLAYER", "pd:PSHIFT", "pd:PPOLICY@1", "pd:PPOLICY@2"]), "{targets}");
        assert_eq!(shifts(&pd, "pd:PPOLICY@1").await.unwrap(), turns(), "{targets}");
        let answer = shifts(&pd, "pd:PPOLICY@2").await;
        assert!(matches!(answer, Err(PlatformError::Faulty(_))), "{targets}: {answer:?}");
    }
}

#[tokio::test]
async fn p6_a_list_longer_than_anyone_may_read_is_an_error_and_not_cut() {
    let fake = acme().await;
    fake.state(|acme| {
        let user = acme.users[0].clone();
        acme.users = (0..10_000).map(|n| User { id: format!("PU{n}"), ..user.clone() }).collect();
    });
    let pd = client(&fake);
    assert_eq!(pd.users().await.unwrap().len(), 10_000, "the last page that may be read is read");
    fake.state(|acme| acme.users.push(User { id: "PLAST".to_owned(), ..acme.users[0].clone() }));
    let Err(PlatformError::Faulty(text)) = pd.users().await else { panic!("a list was cut without a word") };
    assert!(text.contains("10000"), "the message names the limit: {text}");
}
