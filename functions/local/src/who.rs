//! Who holds what: now, before, or to come.

use anyhow::Context as _;
use dutykey_engine::ports::clock::Clock as _;
use dutykey_policy::time::{rfc3339, to_millis};
use dutykey_runtime::clock::SystemClock;

use crate::cli;
use crate::commands::called;

/// Prints who holds what at an instant.
///
/// # Errors
/// The table cannot be read.
pub(crate) async fn run(options: &cli::Who) -> anyhow::Result<bool> {
    let store = crate::data::open(&options.data).await?;
    let now = SystemClock.now();
    let at = options.at.map_or(now, to_millis);
    let who = access_requests::who(&store, at, now).await.context("the table could not be read")?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&who)?);
        return Ok(true);
    }
    for key in &who.unreadable {
        tracing::warn!(
            record.key = key,
            "the record `{key}` cannot be read by this release, and what it says is missing"
        );
    }
    if who.holds.is_empty() {
        println!("nobody holds anything at {}", rfc3339(at));
        return Ok(true);
    }
    let mut table = crate::output::table(&["person", "app", "what", "state", "until", "why"]);
    for hold in &who.holds {
        let until = hold.until.map_or_else(|| "no end known".to_owned(), rfc3339);
        let row = [
            called(&hold.person),
            hold.app.to_string(),
            format!("{} {}", hold.kind, hold.id),
            hold.state.to_owned(),
            until,
            hold.why.clone(),
        ];
        table.add_row(row.map(|cell| crate::output::plain(&cell)));
    }
    println!("at {}\n{table}", rfc3339(at));
    Ok(true)
}
