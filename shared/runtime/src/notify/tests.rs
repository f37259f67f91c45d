use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::rules::{Configured, Pulse};
use dutykey_policy::block::Block;
use dutykey_policy::id::ProfileId;
use dutykey_policy::installation::{Installation, SecretRef};
use dutykey_policy::profile::Profile;

use super::*;
use crate::clock::SystemClock;
use crate::secrets::Secrets;

/// The vector that the Standard Webhooks project publishes for its libraries.
#[test]
fn a_signature_is_what_other_libraries_compute() {
    let body = r#"{"test": 2432232314}"#;
    let signed =
        signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
    assert_eq!(signed.as_deref(), Ok("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
}

/// The channels that there may be; each one's address is in the variable of its name.
const CHANNELS: [&str; 2] = ["ops", "chat"];

/// An installation with so many channels.
struct Rules(usize);

#[async_trait]
impl ReadRules for Rules {
    async fn installation(&self) -> Result<Option<Configured>, StoreError> {
        let channel = |id: &&str| NotifyChannel {
            id: (*id).to_owned(),
            url: SecretRef::Env((*id).to_owned()),
            secret: SecretRef::Env("KEY".to_owned()),
            on: vec![dutykey_policy::installation::Topic::Overdue],
        };
        let mut installation: Installation = serde_json::from_value(json!({
            "verified_domains": [], "sources": [], "apps": [], "profiles": []
        }))
        .expect("an empty installation");
        installation.notify = CHANNELS.iter().take(self.0).map(channel).collect();
        Ok(Some(Configured { version: 1, at: jiff::Timestamp::UNIX_EPOCH, installation, made: Default::default() }))
    }
    async fn profiles(&self, _: &[ProfileId]) -> Result<Vec<Profile>, StoreError> {
        Ok(Vec::new())
    }
    async fn versions(&self, _: &BTreeSet<(ProfileId, u64)>) -> Result<Vec<Profile>, StoreError> {
        Ok(Vec::new())
    }
    async fn all_profiles(&self) -> Result<Vec<Profile>, StoreError> {
        Ok(Vec::new())
    }
    async fn blocks(&self) -> Result<Vec<Block>, StoreError> {
        Ok(Vec::new())
    }
    async fn pulse(&self) -> Result<Pulse, StoreError> {
        Ok(Pulse::default())
    }
}

type Received = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// A receiver that answers with this status, and what it got.
async fn receiver(status: StatusCode) -> (String, Received) {
    let received = Received::default();
    let take = move |State(received): State<Received>, headers: HeaderMap, body: String| async move {
        received.lock().expect("the list").push((headers, body));
        status
    };
    let router = axum::Router::new().route("/hook/hidden", axum::routing::post(take)).with_state(received.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}/hook/hidden"), received)
}

/// The channels are at these addresses.
fn notices<const N: usize>(urls: [String; N]) -> Notices {
    let hooks: BTreeMap<&str, String> = CHANNELS.into_iter().zip(urls).collect();
    let lookup = move |name: &str| Some(hooks.get(name).cloned().unwrap_or_else(|| "a shared text".to_owned()));
    let clock = Arc::new(SystemClock);
    let secrets = Secrets::new(lookup, None, clock.clone(), DEADLINE);
    Notices::new(Arc::new(Rules(N)), Arc::new(secrets), clock, None).expect("a client")
}

fn notice(topic: dutykey_policy::installation::Topic) -> Notice {
    let at = "2026-11-23T08:00:00Z".parse().expect("an instant");
    let text = "access of per_1 is past its end.".to_owned();
    Notice::new("overdue/1".to_owned(), topic, text, at)
}

#[tokio::test]
async fn p1_a_channel_is_told_with_a_signature_that_it_can_check() {
    let (url, received) = receiver(StatusCode::NO_CONTENT).await;
    let notices = notices([url]);
    notices.tell(&notice(dutykey_policy::installation::Topic::Gap)).await.expect("nobody wants it but the log");
    assert!(received.lock().expect("the list").is_empty(), "a topic that the channel did not ask for");
    notices.tell(&notice(dutykey_policy::installation::Topic::Overdue)).await.expect("told");
    let got = received.lock().expect("the list");
    let [(headers, body)] = got.as_slice() else { panic!("one delivery, and not {}", got.len()) };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let expected = signature("a shared text", "overdue/1", &header("webhook-timestamp"), body);
    assert_eq!((header("webhook-id"), Ok(header("webhook-signature"))), ("overdue/1".to_owned(), expected));
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["topic"], "overdue");
    assert_eq!(body["at"], "2026-11-23T08:00:00.000Z");
}

#[tokio::test]
async fn p1_a_notice_counts_as_told_only_after_a_good_answer_and_no_error_shows_the_address() {
    let (url, _) = receiver(StatusCode::INTERNAL_SERVER_ERROR).await;
    let notice = notice(dutykey_policy::installation::Topic::Overdue);
    let refused = notices([url]).tell(&notice).await.expect_err("it answered 500");
    assert!(refused.what.contains("channel `ops`") && refused.what.contains("500"), "{refused}");
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = closed.local_addr().expect("an address");
    drop(closed);
    let lost = notices([format!("http://{address}/hook/hidden")]).tell(&notice).await.expect_err("nobody is there");
    assert!(!lost.what.contains("hidden"), "{lost}");
}

#[tokio::test]
async fn p1_whoever_has_taken_a_notice_is_not_told_again_for_the_sake_of_another() {
    let (good, bad) = (StatusCode::NO_CONTENT, StatusCode::INTERNAL_SERVER_ERROR);
    for answers in [[good, good], [bad, good], [good, bad], [bad, bad]] {
        let [(ops, at_ops), (chat, at_chat)] = [receiver(answers[0]).await, receiver(answers[1]).await];
        let (notices, mut notice) = (notices([ops, chat]), notice(dutykey_policy::installation::Topic::Overdue));
        let first = notices.tell(&notice).await;
        assert_eq!(first.is_ok(), answers == [good, good], "ops and chat answered {answers:?}: {first:?}");
        notice.told = first.err().map(|error| error.told).unwrap_or_default();
        let tried = |received: &Received| received.lock().expect("the list").len();
        assert_eq!([&at_ops, &at_chat].map(tried), [1, 1], "each was tried, whatever the other answered: {answers:?}");
        if answers != [good, good] {
            notices.tell(&notice).await.expect_err("somebody has not taken it");
            let again = answers.map(|answer| if answer == good { 1 } else { 2 });
            assert_eq!([&at_ops, &at_chat].map(tried), again, "only who has not taken it is told again: {answers:?}");
        }
    }
}
