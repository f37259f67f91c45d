//! What an administrator ends for good with a command, through the API of the real server.

use super::office::Office;
use super::*;

const ADMINS: &[&str] = &["admins"];
const NOBODY: &[&str] = &[];

impl Office {
    async fn id(&self, who: &str) -> String {
        let me = self.get(who, NOBODY, "/v1/me").await;
        me.pointer("/person/id").and_then(Value::as_str).unwrap().to_owned()
    }

    /// The first record of such an act on a person's chain.
    async fn record(&self, person: &str, act: &str) -> String {
        let page = self.get("dan", ADMINS, &format!("/v1/evidence?chain=person/{person}&act={act}&limit=200")).await;
        let first = page.pointer("/records/0").and_then(Value::as_str);
        first.unwrap_or_else(|| panic!("P9: {act} is on record: {page}")).to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r19_a_person_is_erased_by_a_command_that_says_what_comes_first() {
    let start = later(whole_second(SystemClock.now()), seconds(3_600));
    let office = Office::open(start, later(start, seconds(60))).await;
    let planned = format!("/v1/who?at={}", rfc3339(later(start, seconds(1))));
    let plan = async || office.get("dan", ADMINS, &planned).await["holds"][0].clone();
    until("a plan for later", async || plan().await["state"] == "forecast").await;
    let ann = plan().await["person"]["id"].as_str().unwrap().to_owned();
    let (dan, zoe) = (office.id("dan").await, office.id("zoe").await);
    for (who, groups, person, confirm, why) in [
        ("zoe", NOBODY, &zoe, &zoe, "an administrator"),
        ("dan", ADMINS, &zoe, &ann, "into `confirm`"),
        ("dan", ADMINS, &dan, &dan, "nobody erases themselves"),
        ("dan", ADMINS, &ann, &ann, "they are in on-call"),
    ] {
        let (code, text) = office.run(who, groups, &["erase", person, "--confirm", confirm]).await;
        assert_eq!((code, text.contains(why)), (Some(2), true), "{who} is told `{why}`: {text}");
    }

    let erase = ["erase", &zoe, "--confirm", &zoe];
    let (code, text) = office.run("dan", ADMINS, &erase).await;
    assert_eq!((code, text.starts_with(&format!("{zoe}, erased on "))), (Some(0), true), "{text}");
    let person = office.get("dan", ADMINS, &format!("/v1/people/{zoe}")).await["person"].clone();
    assert_eq!((&person["email"], person["erased"].is_string()), (&Value::Null, true), "{person}");
    let record = office.record(&zoe, "person.erased").await;
    assert!(record.contains(&dan), "R20: the evidence says by whom: {record}");
    assert_eq!(office.run("dan", ADMINS, &erase).await, (Some(0), text), "P10: the same again changes nothing");
    assert_eq!(office.server.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_a_hold_that_cannot_be_ended_is_written_off_by_a_command_once_nothing_wants_it() {
    let start = whole_second(SystemClock.now());
    let office = Office::open(start, later(start, seconds(3_600))).await;
    let hold = async || office.get("dan", ADMINS, "/v1/holds").await["holds"][0].clone();
    until("a hold", async || hold().await["state"] == "held").await;
    let (held, dan) = (hold().await, office.id("dan").await);
    let (name, ann) = (held["hold"].as_str().unwrap(), held["person"]["id"].as_str().unwrap());
    let write_off = async |who: &str, groups: &[&str]| {
        let command = ["write-off", name, "--reason", "the tenant was closed"];
        office.run(who, groups, &command).await
    };
    office.place.scim.state(|world| world.token = "another".to_owned());
    let (code, text) = write_off("dan", ADMINS).await;
    assert_eq!((code, text.contains("a reason still wants it")), (Some(2), true), "her shift goes on: {text}");

    let file = office.place.directory.join("dutykey.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let (without_profiles, _) = text.split_once("profiles:").unwrap();
    std::fs::write(&file, without_profiles).unwrap();
    office.server.signal("HUP");
    until("an OVERDUE hold", async || hold().await["overdue_s"].is_u64()).await;
    for (who, groups, why) in [("cat", NOBODY, "an administrator"), ("ann", ADMINS, "it is your own")] {
        let (code, text) = write_off(who, groups).await;
        assert_eq!((code, text.contains(why)), (Some(2), true), "{who} is told `{why}`: {text}");
    }
    until("an end that nobody hopes for", async || hold().await["overdue_s"].as_u64() >= Some(30)).await;
    let (code, text) = write_off("dan", ADMINS).await;
    assert_eq!((code, text.contains("nothing has shown that it is gone")), (Some(0), true), "P5: {text}");
    assert!(text.starts_with("ann@example.com, directory/group/g-oncall: "), "it says whose and what: {text}");
    assert_eq!((hold().await, office.place.is_member()), (Value::Null, true), "it is OVERDUE no more, and not gone");
    let record = office.record(ann, "hold.written_off").await;
    assert!(record.contains(&dan), "R14: the evidence says by whom: {record}");
    let (code, text) = write_off("dan", ADMINS).await;
    assert_eq!((code, text.contains("there is no hold")), (Some(2), true), "{text}");
    assert_eq!(office.server.stop().await, Some(0));
}
