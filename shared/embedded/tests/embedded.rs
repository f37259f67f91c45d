//! The embedded database as its users see it: a client, a file, a lock.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use dutykey_embedded::{Embedded, EmbeddedError, sole_server};

/// A path in a directory of its own, which did not exist before.
fn path(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    directory.join("dutykey.db")
}

async fn table(client: &Client) {
    let pk =
        AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S).build().unwrap();
    let key = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash).build().unwrap();
    let request = client.create_table().table_name("things").attribute_definitions(pk).key_schema(key);
    request.billing_mode(BillingMode::PayPerRequest).send().await.unwrap();
}

async fn put(client: &Client, key: &str) -> Result<(), String> {
    let request = client.put_item().table_name("things").item("pk", AttributeValue::S(key.to_owned()));
    let sent = request.condition_expression("attribute_not_exists(pk)").send().await;
    sent.map(|_| ()).map_err(|error| error.code().unwrap_or("?").to_owned())
}

async fn count(client: &Client) -> i32 {
    client.scan().table_name("things").send().await.unwrap().count
}

#[tokio::test(start_paused = true)]
async fn an_ordinary_client_works_without_a_socket_and_without_time() {
    let embedded = Embedded::memory().unwrap();
    let client = embedded.client();
    table(&client).await;
    let before = tokio::time::Instant::now();
    assert_eq!(put(&client, "a").await, Ok(()));
    assert_eq!(put(&client, "a").await, Err("ConditionalCheckFailedException".to_owned()));
    assert_eq!(count(&embedded.clone().client()).await, 1, "clones share the database");
    assert_eq!(count_tables(&Embedded::memory().unwrap().client()).await, 0, "another one is another one");
    assert_eq!(before.elapsed(), Duration::ZERO, "no request waited for a timer");
}

async fn count_tables(client: &Client) -> usize {
    client.list_tables().send().await.unwrap().table_names().len()
}

#[tokio::test]
async fn a_file_is_found_again_copied_and_used_by_several_at_once() {
    let path = path("file");
    let first = Embedded::open(&path).unwrap();
    table(&first.client()).await;
    assert_eq!(put(&first.client(), "a").await, Ok(()));
    let second = Embedded::open(&path).unwrap();
    assert_eq!(put(&second.client(), "a").await, Err("ConditionalCheckFailedException".to_owned()));
    assert_eq!(put(&second.client(), "b").await, Ok(()));
    assert_eq!(count(&first.client()).await, 2);

    let copy = path.with_file_name("copy.db");
    first.backup(&copy).unwrap();
    assert_eq!(put(&first.client(), "c").await, Ok(()));
    assert_eq!(count(&Embedded::open(&copy).unwrap().client()).await, 2, "as it was when it was copied");
    drop((first, second));
    assert_eq!(count(&Embedded::open(&path).unwrap().client()).await, 3);
    assert!(Embedded::open(&path.join("nowhere")).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_to_one_file_at_once_are_each_done_once() {
    let embedded = Embedded::open(&path("many")).unwrap();
    let client = embedded.client();
    table(&client).await;
    let mut puts = tokio::task::JoinSet::new();
    for number in 0..40 {
        let client = client.clone();
        puts.spawn(async move { put(&client, &format!("{}", number % 10)).await.is_ok() });
    }
    let done = puts.join_all().await.into_iter().filter(|done| *done).count();
    assert_eq!(done, 10, "ten keys, each put by one of four");
}

#[test]
fn a_file_is_served_by_one_at_a_time() {
    let path = path("lock");
    let first = sole_server(&path).unwrap();
    let second = sole_server(&path);
    assert!(matches!(&second, Err(EmbeddedError::Served(file)) if file.ends_with("dutykey.db")), "{second:?}");
    assert!(Embedded::open(&path).is_ok(), "other commands work beside a running serve");
    drop(first);
    sole_server(&path).expect("the right to serve was given back");
}

#[tokio::test]
async fn real_http_reaches_the_same_database() {
    let embedded = Embedded::memory().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = embedded.clone();
    let server = tokio::spawn(async move { serving.serve_on(listener).await });
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::v2026_01_12())
        .region(aws_sdk_dynamodb::config::Region::new("local"))
        .credentials_provider(aws_sdk_dynamodb::config::Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(url);
    let client = Client::from_conf(config.build());
    table(&client).await;
    assert_eq!(put(&client, "a").await, Ok(()));
    assert_eq!(count(&embedded.client()).await, 1);
    server.abort();
}
