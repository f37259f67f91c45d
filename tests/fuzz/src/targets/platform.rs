//! PagerDuty's answers, through the real adapter: a whole view or an error, never half of one.
//!
//! An input is that of `crate::answers`; it asks for `check`, `users`, `teams`, `rotations` or the shifts of what it
//! names else.

use std::collections::BTreeSet;

use dutykey_engine::ports::platform::{Platform as _, PlatformError};
use dutykey_engine::ports::secrets::Secret;
use dutykey_platforms::pagerduty::PagerDuty;
use dutykey_policy::id::RotationId;
use dutykey_policy::time::Span;
use serde_json::Value;

use crate::answers::{Server, server};
use crate::{assert_fit_to_show, lot};

const TOKEN: &str = "key-of-the-account";

/// Takes one input.
pub(crate) fn take(data: &[u8]) {
    let Ok(input) = serde_json::from_slice::<Value>(data) else { return };
    let Some(answers) = input["answers"].as_array() else { return };
    let answers: Vec<Value> = answers.iter().filter(|answer| !is_waited_for(answer)).cloned().collect();
    let ask = input["ask"].as_str().unwrap_or_default();
    let server = server();
    let (read, asked) = asked(&server, ask, &answers, None);
    match read {
        Err(error) => assert_fit_to_show(&error.to_string(), &[TOKEN]),
        Ok(()) => {
            let counts = |asked: &str| !asked.ends_with("/overrides") && !asked.ends_with("/audit/records");
            let needed: Vec<usize> = (0..asked.len()).filter(|number| counts(&asked[*number])).collect();
            let Some(refused) = needed.get(lot(data) % needed.len().max(1)) else { return };
            let (read, asked) = self::asked(&server, ask, &answers, Some(*refused));
            assert!(read.is_err(), "read as a whole although request {refused} of {asked:?} was refused");
        }
    }
}

/// The adapter waits and asks again, and real time passes.
fn is_waited_for(answer: &Value) -> bool {
    matches!(answer["status"].as_u64(), Some(408 | 429 | 500..))
}

/// Asks, with the request of that number refused, and looks at what comes.
fn asked(
    server: &Server,
    ask: &str,
    answers: &[Value],
    refuse: Option<usize>,
) -> (Result<(), PlatformError>, Vec<String>) {
    let pd = PagerDuty::new("pd".parse().unwrap(), &server.base_url(), Secret::new(TOKEN.to_owned())).unwrap();
    server.run(answers, refuse, async {
        match ask {
            "check" => assert_fit_to_show(&pd.check().await?, &[TOKEN]),
            "users" => {
                let users = pd.users().await?;
                assert!(!users.is_empty(), "an account without users");
                let ids: BTreeSet<_> = users.iter().map(|user| &user.id).collect();
                assert_eq!(ids.len(), users.len(), "a user twice");
            }
            "teams" => {
                pd.teams().await?;
            }
            "rotations" => {
                let rotations = pd.rotations().await?;
                let ids: BTreeSet<_> = rotations.iter().map(|rotation| rotation.id.to_string()).collect();
                assert_eq!(ids.len(), rotations.len(), "a rotation twice");
                for rotation in rotations {
                    assert_eq!(rotation.id.to_string().parse(), Ok(rotation.id), "an ID that nothing can name");
                }
            }
            rotation => {
                let Ok(rotation) = rotation.parse::<RotationId>() else { return Ok(()) };
                let at = |text: &str| text.parse().unwrap();
                let window = Span::new(at("2026-06-01T00:00:00Z"), at("2026-09-15T00:00:00Z")).unwrap();
                let shifts = pd.shifts(&rotation, window).await?;
                assert!(shifts.is_sorted(), "not sorted: {shifts:?}");
                for shift in shifts {
                    assert!(shift.start < shift.end.or_max() && shift.touches(&window), "no shift of it: {shift:?}");
                }
            }
        }
        Ok(())
    })
}
