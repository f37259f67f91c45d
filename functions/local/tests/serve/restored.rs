//! A data file put back to an earlier time.

use dutykey_engine::ports::clock::Clock as _;
use dutykey_policy::time::{later, rfc3339};
use dutykey_runtime::clock::SystemClock;
use serde_json::{Value, json};

use super::{Place, said, seconds, until, whole_second};

impl Place {
    /// Puts the backup in the place of the data file, while nobody serves it.
    fn put_back(&self, backup: &str) {
        for gone in ["dutykey.db", "dutykey.db-wal", "dutykey.db-shm"] {
            let _ = std::fs::remove_file(self.directory.join(gone));
        }
        std::fs::rename(self.directory.join(backup), self.directory.join("dutykey.db")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r18_what_a_restored_file_does_not_know_is_rebuilt_and_ends_once_a_person_has_looked() {
    let start = later(whole_second(SystemClock.now()), seconds(15));
    let end = later(start, seconds(15));
    let place = Place::new(start, end).await;
    let server = place.serve().await;
    until("a plan for later", async || {
        let who = server.json(&format!("/v1/who?at={}", rfc3339(later(start, seconds(1))))).await;
        who["holds"][0]["state"] == "forecast"
    })
    .await;
    let (code, backup) = place.run(&["backup", "before.db"]).await;
    assert_eq!((code, place.is_member()), (Some(0), false), "{}", said(&backup));
    until("a hold", async || server.json("/v1/who").await["holds"][0]["state"] == "held").await;
    assert_eq!(server.stop().await, Some(0));
    let (code, copy) = place.run(&["audit", "copy", "--copy", "kept"]).await;
    assert_eq!(code, Some(0), "{}", said(&copy));

    place.put_back("before.db");
    let (code, refused) = place.run(&["serve", "--listen", "127.0.0.1:0", "--evidence-copy", "kept"]).await;
    assert_eq!((code, said(&refused).contains("dutykey rebuild")), (Some(2), true), "{}", said(&refused));
    let rebuilt = place.json(&["rebuild", "--copy", "kept", "--json"]).await;
    let hold = &rebuilt["holds"][0];
    assert_eq!(
        (&hold["id"], &hold["table"], &hold["copy"]["state"]),
        (&json!("g-oncall"), &Value::Null, &json!("held"))
    );
    assert_eq!((&hold["copy"]["until"], &rebuilt["faults"]), (&json!(rfc3339(end)), &json!([])), "{rebuilt:#}");
    let again = place.json(&["rebuild", "--copy", "kept", "--json"]).await;
    assert_eq!((&again["records"], &again["holds"]), (&json!(0), &json!([])), "the second finds nothing to do");
    let (code, early) = place.run(&["rebuild", "--release"]).await;
    let early = String::from_utf8(early.stdout).unwrap();
    assert_eq!((code, early.contains("rota:primary was not read since")), (Some(1), true), "{early}");

    let server = place.serve_with(&["--evidence-copy", "kept"]).await;
    until("the end of the shift", async || SystemClock.now() > later(end, seconds(3))).await;
    let (status, health) = server.get("/healthz").await;
    assert!(status == 503 && health.contains("released"), "it says so: {health}");
    let effect = place.scim.effect("g-oncall", "u-ann");
    assert_eq!((effect.adds, effect.removes), (1, 0), "nothing moves before somebody has looked");
    assert_eq!(server.stop().await, Some(0));

    assert_eq!(place.json(&["rebuild", "--release", "--json"]).await["released"], true);
    let server = place.serve_with(&["--evidence-copy", "kept"]).await;
    until("the revocation", async || !place.is_member()).await;
    let none = |who: &Value| who["holds"].as_array().is_some_and(Vec::is_empty);
    until("an end that was read back", async || none(&server.json("/v1/who").await)).await;
    assert_eq!(server.stop().await, Some(0));
    let effect = place.scim.effect("g-oncall", "u-ann");
    assert_eq!((effect.adds, effect.removes), (1, 1), "P4: in once, out once");
    let (code, export) = place.run(&["audit", "export", "--out", "all.jsonl"]).await;
    assert_eq!(code, Some(0), "{}", said(&export));
    let compared = place.json(&["audit", "verify", "all.jsonl", "--copy", "kept", "--json"]).await;
    assert_eq!(compared["ok"], true, "the chains go on where the copy ended: {compared}");
}
