//! Requests to the API, over a table in memory with what a released version wrote: never a fault of ours.
//!
//! An input is the method, a space, path and query, a line feed and the body.
#![no_main]

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Uri};
use axum::{Router, middleware};
use dutykey_fuzz::table::Table;
use dutykey_runtime::clock::VirtualClock;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tower::ServiceExt as _;

struct World {
    table: Table,
    router: Router,
}

impl World {
    fn new() -> Self {
        let table = Table::new();
        let clock = Arc::new(VirtualClock::starting_at("2026-11-23T12:00:00Z".parse().unwrap()));
        let router = access_requests::router(table.store(), clock);
        let router =
            router.fallback(access_requests::nowhere).layer(middleware::map_response(access_requests::guarded));
        Self { table, router }
    }
}

thread_local!(static WORLD: World = World::new());

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let line = std::str::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
    let Some((method, address)) = line.split_once(' ') else { return };
    let (Ok(method), Ok(uri)) = (method.parse::<Method>(), address.parse::<Uri>()) else { return };
    let body = parts.next().unwrap_or_default().to_vec();
    let request = Request::builder().method(&method).uri(&uri).body(Body::from(body)).unwrap();
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
});
