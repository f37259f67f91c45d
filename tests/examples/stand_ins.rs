//! An app and an issuer of tokens as a process of their own, for functions that run elsewhere on this machine: `stand_ins APP
//! ISSUER` with their addresses. The first line of standard output tells what else there is to know; they stop when standard
//! input ends.
//!
//! The app is a SCIM service with Ann's account `u-ann` and an empty group `g-ops`. Tokens are Ann's, and Cat's, who audits.

use std::io::Read as _;

use dutykey_engine::ports::clock::Clock as _;
use dutykey_runtime::clock::SystemClock;
use dutykey_tests::issuer::Issuer;
use dutykey_tests::scim::{Dialect, FakeScim};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut addresses = std::env::args().skip(1);
    let (Some(app), Some(issuer)) = (addresses.next(), addresses.next()) else {
        return Err("say where: stand_ins APP ISSUER, like 127.0.0.1:8001 127.0.0.1:8002".into());
    };
    let (app, issuer) = (FakeScim::start_at(Dialect::Rfc, &app).await, Issuer::start_at(&issuer).await);
    let secret = app.state(|world| {
        world.add_user("u-ann", "ann@example.com");
        world.add_group("g-ops", "Operators", &[]);
        world.token.clone()
    });
    let token = |who: &str, groups: &[&str]| issuer.token(&issuer.claims(who, groups, SystemClock.now()));
    let tokens = json!({ "ann": token("ann", &[]), "cat": token("cat", &["audit"]) });
    println!("{}", json!({ "app": app.base_url(), "secret": secret, "issuer": issuer.url, "tokens": tokens }));
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}
