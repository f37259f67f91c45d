//! A table in memory, served as DynamoDB is, and what a test asks of a table.

use std::net::{Ipv4Addr, SocketAddr};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use dutykey_embedded::Embedded;
use dutykey_policy::evidence::{Chain, Verifier};
use dutykey_policy::hold::Hold;
use dutykey_policy::time::Span;
use dutykey_store::keys::{self, Key};
use dutykey_store::{MAX_PAGE, Range, Store};
use jiff::Timestamp;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The table's name.
pub const NAME: &str = "dutykey";

/// The table. It goes away when this is dropped.
#[derive(Debug)]
pub struct Table {
    /// What the test itself reads and writes it with.
    pub store: Store,
    client: Client,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Table {
    /// Makes an empty table and serves it on a free port of loopback.
    ///
    /// # Panics
    /// Where it cannot be made or no port can be had.
    #[expect(clippy::expect_used, reason = "a test without its table cannot go on")]
    pub async fn start() -> Self {
        let embedded = Embedded::memory().expect("a table in memory");
        let client = embedded.client();
        let store = Store::new(client.clone(), NAME);
        store.create_table("table-1").await.expect("a new table");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port on loopback");
        let address = listener.local_addr().expect("an address of a bound port");
        let serving = tokio::spawn(async move {
            let _ = embedded.serve_on(listener).await;
        });
        Self { store, client, address, serving }
    }

    /// Says of itself that it is another table, as one does that was restored from the backup of another.
    ///
    /// # Panics
    /// Where it cannot be written.
    #[expect(clippy::expect_used, reason = "a test without its table cannot go on")]
    pub async fn was_another(&self) {
        let Key { pk, sk } = keys::installation();
        let request = self.client.update_item().table_name(NAME).key("pk", AttributeValue::S(pk));
        let request = request.key("sk", AttributeValue::S(sk)).update_expression("SET #table = :another");
        let request = request.expression_attribute_names("#table", "table");
        let another = AttributeValue::S("another".to_owned());
        request.expression_attribute_values(":another", another).send().await.expect("the table is written");
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The records of one chain of evidence, or of all, in their order; verified offline.
///
/// # Panics
/// Where they cannot be read or do not verify.
#[expect(clippy::expect_used, clippy::panic, reason = "a test of evidence that does not verify has failed")]
pub async fn evidence(store: &Store, chain: Option<&Chain>) -> Vec<Value> {
    let mut export = Vec::new();
    store.export(chain, Range::default(), &mut export).await.expect("the evidence is exported");
    let export = String::from_utf8(export).expect("an export is text");
    let mut verifier = Verifier::default();
    let checked = export.lines().try_for_each(|line| verifier.line(line)).and_then(|()| verifier.finish());
    checked.unwrap_or_else(|fault| panic!("P9: {fault}\n{export}"));
    let lines = export.lines().map(|line| serde_json::from_str(line).expect("a line of an export is JSON"));
    // The last line has the heads of the chains.
    lines.filter(|line: &Value| line.get("act").is_some()).collect()
}

/// Every hold, those that are over included.
///
/// # Panics
/// Where they cannot be read.
#[expect(clippy::expect_used, reason = "a test without the ledger cannot go on")]
pub async fn every_hold(store: &Store) -> Vec<Hold> {
    let mut holds = Vec::new();
    let mut cursor = None;
    loop {
        let page = store.list_open_holds(cursor.as_ref(), MAX_PAGE).await.expect("open holds");
        holds.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let ever = Span { start: Timestamp::UNIX_EPOCH, end: Timestamp::MAX };
    for chain in store.list_chains().await.expect("the chains") {
        if let Chain::Person(person) = chain {
            holds.extend(store.list_ended_holds(&person, ever, None, MAX_PAGE).await.expect("ended holds").items);
        }
    }
    holds
}
