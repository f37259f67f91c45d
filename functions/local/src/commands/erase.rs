//! Erasing a person (R19). Only through the API, as whoever the token says: the evidence names the administrator, and
//! nobody erases themselves. Whoever may write the table has no name there.

use anyhow::Context as _;
use dutykey_policy::forecast::Shown;
use serde_json::json;

use super::called;
use crate::cli::Erase;
use crate::remote::Remote;

/// Erases a person.
///
/// # Errors
/// Their ID was not repeated, something comes first, or the API cannot be used.
pub(crate) async fn run(options: &Erase) -> anyhow::Result<bool> {
    let Erase { person, confirm, api } = options;
    let path = format!("/v1/people/{person}/erase");
    let answer = Remote::new(api)?.post(&path, &json!({ "confirm": confirm })).await;
    let answer = answer.context(
        "if that came from the API, they are not erased; if it is silent or at fault, the same again goes on",
    )?;
    let erased: Shown = serde_json::from_value(answer).context("the API's answer")?;
    out!("{}; what they did stays under this ID", called(&erased));
    Ok(true)
}
