//! The forecast, from what the platforms say now.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use dutykey_policy::forecast::{Forecast, Forecasted};
use dutykey_policy::time::{Span, later, rfc3339};
use jiff::Timestamp;

use super::reads::{Breadth, faults, foreseen, read, widened};
use super::{World, called, plain, print_json};
use crate::cli;
use crate::output::table;

const DAY: u64 = 86_400;

/// Shows who will hold what, when and why, and when nobody is on call.
///
/// # Errors
/// The configuration cannot be used. A platform that cannot be read makes the answer bad: what it does not say is not
/// shown as nobody on call (P6).
pub(crate) async fn run(options: &cli::Forecast) -> anyhow::Result<bool> {
    let world = World::new();
    let (installation, warnings) = world.installation_to_show(&options.config).await?;
    for warning in warnings {
        eprintln!("warning: {}", plain(&warning));
    }
    let from = options.from.unwrap_or_else(|| world.clock.now());
    let span = Duration::from_secs(u64::from(options.days) * DAY);
    let window = Span::new(from, later(from, span)).context("there is no time after --from")?;
    let wide = widened(window, &installation.profiles);
    let platforms = world.adapters.platforms.as_ref();
    let reads = read(platforms, &installation.sources, &installation.profiles, wide, Breadth::Everything).await;
    let faults = faults(&reads);
    if !faults.is_empty() {
        eprintln!("no forecast, because not every rota can be read:\n{}", faults.join("\n"));
        return Ok(false);
    }
    let forecast = foreseen(&installation, &reads, window);
    if options.json {
        print_json(&forecast)?
    } else {
        print(&forecast)
    }
    Ok(true)
}

/// The reasons of a hold in short; the JSON has them in full.
fn why(hold: &Forecasted) -> String {
    let rotations: BTreeSet<&str> = hold.reasons.iter().map(|reason| reason.reference.as_str()).collect();
    let rotations = plain(&Vec::from_iter(rotations).join(", "));
    let only = if hold.observed { "; only observed, nothing is granted" } else { "" };
    format!("{}: on call in {rotations}{only}", hold.profile)
}

fn until(end: Option<Timestamp>) -> String {
    end.map_or_else(|| "open".to_owned(), rfc3339)
}

fn print(forecast: &Forecast) {
    out!("{} to {}, in UTC\n", rfc3339(forecast.from), rfc3339(forecast.to));
    if forecast.holds.is_empty() {
        out!("nobody will hold anything");
    } else {
        let mut holds = table(&["who", "what", "from", "until", "why"]);
        for hold in &forecast.holds {
            let what = plain(&format!("{}/{}/{}", hold.app, hold.kind, hold.id));
            holds.add_row([called(&hold.person), what, rfc3339(hold.start), until(hold.end), why(hold)]);
        }
        out!("{holds}");
    }
    if !forecast.gaps.is_empty() {
        let mut gaps = table(&["nobody on call in", "from", "until"]);
        for gap in &forecast.gaps {
            gaps.add_row([plain(&gap.rotation.to_string()), rfc3339(gap.start), rfc3339(gap.end)]);
        }
        out!("\n{gaps}");
    }
    if !forecast.unmatched.is_empty() {
        let mut unmatched = table(&["on call and gets nothing", "in", "from", "because"]);
        for doubt in &forecast.unmatched {
            let (user, rotation) = (plain(doubt.user.as_str()), plain(&doubt.rotation.to_string()));
            unmatched.add_row([user, rotation, rfc3339(doubt.start), doubt.problem.to_string()]);
        }
        out!("\n{unmatched}");
    }
    let mut shifts = table(&["rotation", "who", "from", "until"]);
    for shift in &forecast.shifts {
        let user = || shift.user.as_ref().map_or_else(|| "nobody".to_owned(), |user| plain(user.as_str()));
        let who = shift.person.as_ref().map_or_else(user, called);
        shifts.add_row([plain(&shift.rotation.to_string()), who, rfc3339(shift.start), until(shift.end)]);
    }
    out!("\n{shifts}");
}
