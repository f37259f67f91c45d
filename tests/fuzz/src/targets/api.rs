//! Requests to the API, over a table in memory with what a released version wrote: never a fault of ours.
//!
//! An input is the method, a space, path and query, a line feed and the body.

use std::sync::Arc;

use access_requests::{DEVELOPER, Ports, PublishedKeys, Unconfigured};
use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Uri};
use axum::{Router, middleware};
use dutykey_engine::ports::queue::{Enqueue, Message, Queue, SendError};
use dutykey_runtime::clock::{SeededChance, VirtualClock};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::table::Table;

/// Nobody takes messages.
struct NoQueues;

#[async_trait]
impl Enqueue for NoQueues {
    async fn send(&self, _: Queue, _: Vec<Message>) -> Result<(), SendError> {
        Ok(())
    }
}

struct World {
    table: Table,
    router: Router,
}

impl World {
    fn new() -> Self {
        let table = Table::new();
        let clock = Arc::new(VirtualClock::starting_at("2026-11-23T12:00:00Z".parse().unwrap()));
        let ports = Ports {
            store: table.store(),
            queues: Arc::new(NoQueues),
            keys: Arc::new(PublishedKeys::new(clock.clone()).unwrap()),
            unconfigured: Unconfigured::Believed,
            clock,
            chance: Arc::new(SeededChance::new(5)),
        };
        let router = access_requests::router(ports);
        let router =
            router.fallback(access_requests::nowhere).layer(middleware::map_response(access_requests::guarded));
        Self { table, router }
    }
}

thread_local!(static WORLD: World = World::new());

/// Takes one input.
pub(crate) fn take(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let line = std::str::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
    let Some((method, address)) = line.split_once(' ') else { return };
    let (Ok(method), Ok(uri)) = (method.parse::<Method>(), address.parse::<Uri>()) else { return };
    let body = parts.next().unwrap_or_default().to_vec();
    let request = Request::builder().method(&method).uri(&uri);
    let request = request.header(DEVELOPER, "ann@example.com").header("content-type", "application/json");
    let request = request.body(Body::from(body)).unwrap();
    WORLD.with(|world| {
        let (status, bytes) = world.table.runtime.block_on(async {
            let response = world.router.clone().oneshot(request).await.unwrap();
            (response.status().as_u16(), to_bytes(response.into_body(), 1 << 24).await.unwrap())
        });
        let shown = String::from_utf8_lossy(&bytes);
        assert!((200..500).contains(&status), "{method} {uri} is answered with {status}: {shown}");
        if method == Method::HEAD || bytes.is_empty() {
            return;
        }
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{method} {uri}: {e}: {shown}"));
        if status >= 400 {
            let kind = answer["type"].as_str().unwrap_or_default();
            assert!(kind.starts_with("urn:dutykey:problem:"), "{method} {uri} is answered with {shown}");
            assert_eq!(answer["status"], status, "{shown}");
            assert!(bytes.len() < 2_000, "a problem of {} bytes: {shown}", bytes.len());
        }
        if let Some(next) = answer["next"].as_str() {
            assert!(!next.is_empty() && next.bytes().all(|byte| byte.is_ascii_hexdigit()), "a cursor: {next}");
        }
    });
}
