//! A SCIM server's answers, through the real adapter.
//!
//! An input is that of `crate::answers`; it asks for `check`, `resolve`, `active`, `catalog`, `observe`, `grant` or
//! `revoke`.

use std::collections::BTreeSet;

use dutykey_engine::ports::secrets::Secret;
use dutykey_engine::ports::target::{GrantOrder, RevokeOrder, Target as _, TargetError};
use dutykey_policy::hold::{Held, Observation, Owner};
use dutykey_policy::id::{AccountId, Place};
use dutykey_policy::wants::Shape;
use dutykey_targets::scim::Scim;
use serde_json::Value;

use crate::answers::{Server, server};
use crate::{assert_fit_to_show, lot};

const TOKEN: &str = "key-of-the-server";

/// Takes one input.
pub(crate) fn take(data: &[u8]) {
    let Ok(input) = serde_json::from_slice::<Value>(data) else { return };
    let Some(answers) = input["answers"].as_array() else { return };
    let ask = input["ask"].as_str().unwrap_or_default();
    let server = server();
    let (done, asked) = asked(&server, ask, answers, None);
    let only = |allowed: &str| asked.iter().all(|asked| asked.starts_with(allowed));
    match ask {
        "grant" | "revoke" => {
            let first = asked.first().map(String::as_str);
            assert_eq!(first, Some("PATCH /Groups/g-ops"), "what is asked for is a change of one group: {asked:?}");
            let writes = asked.iter().filter(|asked| !asked.starts_with("GET ")).count();
            assert!(writes <= 2, "nothing is tried again in here: {asked:?}");
        }
        _ => assert!(only("GET "), "who reads changes nothing: {asked:?}"),
    }
    match done {
        Err(error) => assert_fit_to_show(&error.to_string(), &[TOKEN]),
        Ok(()) if matches!(ask, "resolve" | "active" | "catalog" | "observe") && !asked.is_empty() => {
            let refused = lot(data) % asked.len();
            let (done, _) = self::asked(&server, ask, answers, Some(refused));
            assert!(done.is_err(), "answered although request {refused} of {asked:?} was refused");
        }
        Ok(()) => {}
    }
}

/// Asks, with the request of that number refused, and looks at what comes.
fn asked(
    server: &Server,
    ask: &str,
    answers: &[Value],
    refuse: Option<usize>,
) -> (Result<(), TargetError>, Vec<String>) {
    let scim = Scim::new("directory".parse().unwrap(), &server.base_url(), Secret::new(TOKEN.to_owned())).unwrap();
    let account: AccountId = "u-ann".parse().unwrap();
    let place = Place { kind: "group".to_owned(), id: "g-ops".to_owned() };
    server.run(answers, refuse, async {
        match ask {
            "check" => assert_fit_to_show(&scim.check().await?, &[TOKEN]),
            "resolve" => {
                scim.resolve("ann@example.com").await?;
            }
            "active" => {
                scim.is_active(&account).await?;
            }
            "catalog" => {
                let (mut page, mut seen) = (None, BTreeSet::new());
                for _ in 0..8 {
                    let found = scim.catalog(page.as_deref()).await?;
                    assert!(found.entitlements.iter().all(|one| one.name.chars().count() <= 500), "a long name");
                    page = found.next;
                    match &page {
                        Some(next) => assert!(seen.insert(next.clone()), "the catalog goes in circles: {next}"),
                        None => break,
                    }
                }
            }
            "observe" => {
                let seen = scim.observe(&account, &place).await?;
                assert!(matches!(seen.held, Held::No | Held::Direct), "SCIM tells of direct members only: {seen:?}");
            }
            "grant" => {
                let before = Observation { held: Held::No, value: None, owner: Owner::Unknown, native_end: None };
                let token = "attempt-1".to_owned();
                let order = GrantOrder { account, place, shape: Shape::Member, native_end: None, before, token };
                scim.grant(&order).await?;
            }
            "revoke" => {
                let token = "attempt-1".to_owned();
                let order = RevokeOrder { account, place, shape: Shape::Member, restore: None, receipt: None, token };
                scim.revoke(&order).await?;
            }
            _ => {}
        }
        Ok(())
    })
}
