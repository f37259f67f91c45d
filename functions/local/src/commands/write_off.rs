//! Writing off a hold that cannot be ended any more (R14). Only through the API, as whoever the token says: the evidence
//! names the administrator, and nobody writes off what is their own (R20). Whoever may write the table has no name there.

use anyhow::Context as _;
use dutykey_policy::forecast::Shown;
use serde::Deserialize;
use serde_json::json;

use super::{called, plain};
use crate::cli::WriteOff;
use crate::remote::Remote;

/// What was written off.
#[derive(Debug, Deserialize)]
struct Over {
    person: Shown,
    app: String,
    kind: String,
    id: String,
    why: String,
}

/// Writes a hold off.
///
/// # Errors
/// There is no such hold, it may not be written off or not yet, or the API cannot be used.
pub(crate) async fn run(options: &WriteOff) -> anyhow::Result<bool> {
    let WriteOff { hold, reason, api } = options;
    let path = format!("/v1/holds/{hold}/write-off");
    let answer = Remote::new(api)?.post(&path, &json!({ "reason": reason })).await;
    let answer = answer.context(
        "if that came from the API, nothing is written off; if it is silent or at fault, look at `GET /v1/holds`",
    )?;
    let Over { person, app, kind, id, why } = serde_json::from_value(answer).context("the API's answer")?;
    out!("{}, {}: {}", called(&person), plain(&format!("{app}/{kind}/{id}")), plain(&why));
    Ok(true)
}
