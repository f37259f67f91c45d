//! Access that is asked for, at the real server: as the README shows it, and with tokens of an issuer.

use dutykey_tests::issuer::{AUDIENCE, Issuer};
use serde_json::json;

use super::*;

/// The README, whose commands are run as they stand there.
const README: &str = include_str!("../../../../README.md");

/// The block of the README that follows this mark.
fn block(mark: &str) -> &'static str {
    let after = README.split_once(mark).unwrap_or_else(|| panic!("README.md has no mark `{mark}`")).1;
    let block = after.split_once("```sh\n").and_then(|(_, rest)| rest.split_once("```"));
    block.unwrap_or_else(|| panic!("no block of commands follows `{mark}` in README.md")).0
}

impl Place {
    /// Whoever is on call has one group, and may ask for another: this is in the way of it.
    pub(crate) fn asking(&self, api: &str, steps: &str) {
        let url = self.scim.base_url();
        self.scim.state(|world| {
            world.add_group("g-debug", "prod-debug", &[]);
        });
        let config = format!(
            r#"
version: 1
verified_domains: [example.com]
{api}
sources:
  - {{ id: rota, platform: icalendar, url: ./rota.ics, rotation: primary }}
apps:
  - {{ id: directory, target: scim, base_url: "{url}", token: {{ env: SCIM_TOKEN }}, propagation: 0s }}
profiles:
  - id: on-call
    name: On-call
    entitlements: [{{ app: directory, kind: group, name: prod-oncall }}]
    enrollment: {{ rotations: ["rota:primary"], lead: 0, grace: 0, lease: 4h }}
  - id: prod-debug
    name: Debugging in production
    entitlements: [{{ app: directory, kind: group, name: prod-debug }}]
    self_service:
      rotations: ["rota:primary"]
      max_duration: 4h
      justification: required
      policy: [{steps}]
    break_glass: {{ people: [ann@example.com], max_duration: 1h }}
"#
        );
        std::fs::write(self.directory.join("dutykey.yaml"), config).unwrap();
    }

    fn debugs(&self) -> bool {
        self.scim.state(|world| world.is_member("g-debug", "u-ann"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_s_commands_ask_approve_give_back_and_break_glass() {
    let start = whole_second(SystemClock.now());
    let place = Place::new(start, later(start, seconds(3_600))).await;
    let auditors = "api: { auditors: { groups: [audit] } }";
    let before = README.split_once("<!-- breaking glass -->").unwrap().0;
    assert!(before.contains(auditors), "README.md must show `{auditors}` before somebody reviews as an auditor");
    place.asking(auditors, "{ approvers: { people: [bob@example.com], any: 1 } }");
    let server = place.serve().await;
    until("the automatic grant", async || place.is_member()).await;
    let commands = |mark: &str| block(mark).replace("127.0.0.1:8080", &server.address);
    let run = async |script: String| {
        let mut command = Command::new("sh");
        command.args(["-euc", &script]).current_dir(&place.directory);
        let output = tokio::task::spawn_blocking(move || command.output().expect("sh and curl")).await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{script}\nprinted {text} {}", said(&output));
        assert!(!text.contains("urn:dutykey:problem"), "{script}\nprinted {text}");
        text
    };
    let asked = run(commands("<!-- asking -->") + "\necho \"id=$id\"").await;
    assert!(asked.contains("\"state\":\"asked\"") && asked.contains("\"now\":true"), "{asked}");
    let names = block("<!-- asking -->").lines().filter(|line| !line.contains("curl") && !line.starts_with("id="));
    let names = names.map(|line| format!("{line}\n")).collect::<String>().replace("127.0.0.1:8080", &server.address);
    let names = format!("{names}{}\n", asked.lines().last().unwrap_or_default());
    let approved = run(names.clone() + &commands("<!-- approving -->")).await;
    assert!(approved.contains("\"state\":\"approved\"") && approved.contains("disk full"), "{approved}");
    until("the grant", async || place.debugs()).await;
    let back = run(names.clone() + &commands("<!-- giving back -->")).await;
    assert!(back.contains("\"state\":\"given_back\""), "{back}");
    until("the revocation", async || !place.debugs()).await;
    assert!(place.is_member(), "P4: what the shift gives stays");
    let taken = run(names + &commands("<!-- breaking glass -->")).await;
    assert!(taken.contains("the site is down") && taken.contains("it was right"), "{taken}");
    until("the grant", async || place.debugs()).await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ways_to_access_with_tokens_of_an_issuer_end_with_the_shift() {
    let issuer = Issuer::start().await;
    let start = whole_second(SystemClock.now());
    let end = later(start, seconds(25));
    let place = Place::new(start, end).await;
    let api = format!(
        "api: {{ oidc: {{ issuer: \"{}\", audience: {AUDIENCE} }}, auditors: {{ groups: [audit] }} }}",
        issuer.url
    );
    let steps = "{ approvers: { groups: [security], any: 1 } }, { approvers: { people: [bob@example.com], any: 1 } }";
    place.asking(&api, steps);
    let server = place.serve().await;
    until("the automatic grant", async || place.is_member()).await;
    let client = reqwest::Client::new();
    let call = async |who: &str, groups: &[&str], method: &str, path: &str, body: Value| {
        let token = issuer.token(&issuer.claims(who, groups, SystemClock.now()));
        let request = client.request(method.parse().unwrap(), format!("http://{}{path}", server.address));
        let request = request.bearer_auth(token).header("content-type", "application/json");
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap())
    };
    assert_eq!(server.get("/v1/who").await.0, 401, "with an issuer nobody may look without a token");
    let ask = json!({ "profile": "prod-debug", "duration": "1h", "justification": "disk full" });
    let (status, asked) = call("ann", &[], "POST", "/v1/requests", ask).await;
    assert_eq!((status, &asked["state"]), (201, &json!("asked")), "{asked}");
    let path = format!("/v1/requests/{}/decision", asked["id"].as_str().unwrap());
    let approve = json!({ "decision": "approve" });
    assert_eq!(call("bob", &[], "POST", &path, approve.clone()).await.0, 403, "his step is not next");
    assert_eq!(call("cat", &["security"], "POST", &path, approve.clone()).await.1["state"], "asked");
    assert_eq!(call("bob", &[], "POST", &path, approve).await.1["state"], "approved");
    until("the grant", async || place.debugs()).await;
    until("both ends", async || !place.debugs() && !place.is_member()).await;
    assert!(SystemClock.now() >= end, "not before the end of the shift");
    let over = format!("/v1/requests/{}", asked["id"].as_str().unwrap());
    until("an end that was read back", async || {
        call("ann", &[], "GET", "/v1/me", Value::Null).await.1["holds"] == json!([])
            && call("ann", &[], "GET", &over, Value::Null).await.1["state"] == "ended"
    })
    .await;
    let person = asked["person"]["id"].as_str().unwrap();
    let chain = format!("/v1/evidence?chain=person/{person}&limit=200");
    assert_eq!(call("ann", &[], "GET", &chain, Value::Null).await.0, 403, "evidence is for auditors");
    let (_, evidence) = call("eve", &["audit"], "GET", &chain, Value::Null).await;
    for act in ["request.asked", "request.decided", "request.approved", "request.ended"] {
        assert!(evidence.to_string().contains(act), "P9: {act} is on record: {evidence}");
    }
    for group in ["g-oncall", "g-debug"] {
        let effect = place.scim.effect(group, "u-ann");
        assert_eq!((effect.adds, effect.removes), (1, 1), "P4: {group}: in once, out once");
    }
    assert_eq!(server.stop().await, Some(0));
}
