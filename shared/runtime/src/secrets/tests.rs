//! What is served when, and what is never shown.

use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
use axum::http::StatusCode;
use axum::{Json, Router, extract::State, routing::post};
use serde_json::{Value, json};

use super::*;
use crate::clock::VirtualClock;

/// A keeper of one secret that takes a second to answer.
struct Keeper {
    answer: Mutex<Result<String, SecretError>>,
    asked: AtomicUsize,
}

#[async_trait]
impl Fetch for Keeper {
    async fn fetch(&self, _: &str) -> Result<Secret, SecretError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.answer.lock().expect("the answer").clone().map(Secret::new)
    }
}

impl Keeper {
    fn answers(&self, answer: Result<&str, SecretError>) {
        *self.answer.lock().expect("the answer") = answer.map(str::to_owned);
    }
}

const TTL: Duration = Duration::from_secs(300);

fn secrets(answer: &str) -> (Arc<Secrets>, Arc<Keeper>) {
    let keeper = Arc::new(Keeper { answer: Mutex::new(Ok(answer.to_owned())), asked: AtomicUsize::new(0) });
    let clock = Arc::new(VirtualClock::starting_at("2026-03-29T00:00:00Z".parse().expect("an instant")));
    let variables = |name: &str| match name {
        "TOKEN" => Some("from-the-environment\n".to_owned()),
        "EMPTY" => Some("\n".to_owned()),
        _ => None,
    };
    (Arc::new(Secrets::new(variables, Some(keeper.clone()), clock, TTL)), keeper)
}

async fn read(secrets: &Secrets) -> Result<String, SecretError> {
    secrets.read(&SecretRef::Secret("dutykey/pd".into())).await.map(|secret| secret.expose().to_owned())
}

fn down() -> SecretError {
    SecretError::Unavailable("`dutykey/pd` in Secrets Manager".into(), "throttled".into())
}

#[tokio::test(start_paused = true)]
async fn a_variable_is_read_as_it_is_now_and_a_missing_one_is_named() {
    let (secrets, keeper) = secrets("unused");
    let token = secrets.read(&SecretRef::Env("TOKEN".into())).await.expect("set");
    assert_eq!(token.expose(), "from-the-environment", "a line end is no part of a secret");
    for name in ["EMPTY", "NONE"] {
        let error = secrets.read(&SecretRef::Env(name.into())).await.expect_err("not set");
        assert!(error.to_string().contains(name), "{error}");
    }
    assert_eq!(keeper.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_at_once_wait_for_one_answer() {
    let (secrets, keeper) = secrets("one");
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let secrets = Arc::clone(&secrets);
            tokio::spawn(async move { read(&secrets).await })
        })
        .collect();
    for answer in asking {
        assert_eq!(answer.await.expect("no panic"), Ok("one".to_owned()));
    }
    assert_eq!(keeper.asked.load(Ordering::Relaxed), 1);

    keeper.answers(Ok("two"));
    tokio::time::advance(TTL - Duration::from_secs(2)).await;
    assert_eq!(read(&secrets).await, Ok("one".to_owned()), "still fresh");
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(read(&secrets).await, Ok("two".to_owned()), "a replaced secret is used after its time at the latest");
    assert_eq!(keeper.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_bridged_for_an_hour_and_not_asked_at_every_call() {
    let (secrets, keeper) = secrets("last");
    assert_eq!(read(&secrets).await, Ok("last".to_owned()));
    keeper.answers(Err(down()));
    tokio::time::advance(TTL).await;
    for _ in 0..20 {
        assert_eq!(read(&secrets).await, Ok("last".to_owned()));
    }
    assert_eq!(keeper.asked.load(Ordering::Relaxed), 2, "one failed read, then a pause");
    tokio::time::advance(STALE - Duration::from_secs(5)).await;
    assert_eq!(read(&secrets).await, Ok("last".to_owned()));
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(read(&secrets).await, Err(down()), "and not for ever");
    keeper.answers(Ok("new"));
    tokio::time::advance(PAUSE).await;
    assert_eq!(read(&secrets).await, Ok("new".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_was_deleted_is_not_served() {
    let (secrets, keeper) = secrets("last");
    assert_eq!(read(&secrets).await, Ok("last".to_owned()));
    let gone = SecretError::Missing("`dutykey/pd` in Secrets Manager".into());
    keeper.answers(Err(gone.clone()));
    tokio::time::advance(TTL).await;
    assert_eq!(read(&secrets).await, Err(gone.clone()));
    assert_eq!(read(&secrets).await, Err(gone));
}

#[tokio::test(start_paused = true)]
async fn p13_a_secret_is_in_no_debug_text() {
    let (secrets, _) = secrets("hunter2");
    let secret = secrets.read(&SecretRef::Secret("dutykey/pd".into())).await.expect("read");
    let shown = format!("{secrets:?} {secret:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

/// A service that answers with this status and this document.
async fn service(status: StatusCode, document: Value) -> Client {
    type Answer = (StatusCode, Value);
    async fn answer(State((status, document)): State<Answer>) -> (StatusCode, Json<Value>) {
        (status, Json(document))
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let app = Router::new().route("/", post(answer)).with_state((status, document));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("eu-central-1"))
        .credentials_provider(Credentials::new("id", "key", None, None, "test"))
        .endpoint_url(address)
        .build();
    Client::from_conf(config)
}

#[tokio::test]
async fn secrets_manager_answers_a_text_a_refusal_or_that_there_is_none() {
    let found = service(StatusCode::OK, json!({ "Name": "n", "SecretString": "text" })).await;
    assert_eq!(found.fetch("n").await.expect("a text").expose(), "text");

    let none = json!({ "__type": "ResourceNotFoundException", "Message": "can't find it" });
    let none = service(StatusCode::BAD_REQUEST, none).await;
    assert_eq!(none.fetch("n").await, Err(SecretError::Missing("`n` in Secrets Manager".into())));

    let denied = json!({ "__type": "AccessDeniedException", "Message": "not authorized to perform GetSecretValue" });
    let denied = service(StatusCode::BAD_REQUEST, denied).await;
    let error = denied.fetch("n").await.expect_err("denied");
    assert!(matches!(&error, SecretError::Unavailable(..)), "{error}");
    assert!(error.to_string().contains("not authorized"), "says what the service said: {error}");

    let broken = service(StatusCode::OK, json!({ "Name": ["hunter2"], "SecretString": "hunter2" })).await;
    let error = broken.fetch("n").await.expect_err("not the shape of an answer");
    assert!(
        !format!("{error} {error:?}").contains("hunter2"),
        "P13: an answer that cannot be read is not shown: {error}"
    );

    let binary = service(StatusCode::OK, json!({ "Name": "n", "SecretBinary": "aGk=" })).await;
    assert!(binary.fetch("n").await.expect_err("binary").to_string().contains("store it as text"));
}
