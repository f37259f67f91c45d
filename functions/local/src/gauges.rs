//! Numbers as they are now, counted after each tick.

use std::sync::Arc;
use std::time::Duration;

use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::rota::RotationHead;
use dutykey_engine::ports::rules::ReadRules as _;
use dutykey_policy::installation::Installation;
use dutykey_policy::time::{Span, earlier, later};
use dutykey_runtime::metrics::{Counter, Gauge, Metrics};
use dutykey_store::{MAX_PAGE, Store};
use jiff::Timestamp;

use crate::commands::retire::open_holds;

/// How often the table is asked whether there was a tick.
const LOOK: Duration = Duration::from_secs(5);
/// A source is stale when a view of it has missed so many reads.
const MISSED: u32 = 3;
/// How far ahead gaps are counted.
const AHEAD: Duration = Duration::from_secs(24 * 3_600);

/// Counts after each tick, for ever.
pub(crate) async fn watch(store: Store, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) {
    let mut counted = None;
    loop {
        match store.pulse().await {
            Ok(pulse) if pulse.ticked_at != counted => {
                counted = pulse.ticked_at;
                metrics.add(Counter::HandoffRuns, 1);
                if let Err(error) = count(&store, clock.now(), &metrics).await {
                    tracing::warn!(error = %error, "the metrics are old, for the table cannot be read: {error}");
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(error = %error, "the table cannot be read: {error}"),
        }
        clock.sleep_until(later(clock.now(), LOOK)).await;
    }
}

async fn count(store: &Store, now: Timestamp, metrics: &Metrics) -> Result<(), StoreError> {
    let Some(configured) = store.installation().await? else { return Ok(()) };
    let installation = configured.installation;
    let overdue: Vec<Duration> = open_holds(store).await?.0.iter().filter_map(|hold| hold.overdue(now)).collect();
    metrics.set(Gauge::OverdueRevocations, overdue.len() as u64);
    metrics.set(Gauge::OverdueMinutes, overdue.iter().max().map_or(0, |oldest| oldest.as_secs() / 60));
    let heads = rotations(store).await?;
    let watched = |head: &&RotationHead| {
        installation.sources.iter().any(|source| source.id == head.id.source && !source.retiring)
    };
    let heads: Vec<&RotationHead> = heads.iter().filter(watched).collect();
    metrics.set(Gauge::StaleSources, stale(&installation, &heads, now));
    metrics.set(Gauge::BrakesWaiting, heads.iter().filter(|head| head.held.is_some()).count() as u64);
    metrics.set(Gauge::UnmatchedOnCall, heads.iter().map(|head| u64::from(head.unmatched)).sum());
    if let Some(window) = Span::new(now, later(now, AHEAD)) {
        metrics.set(Gauge::GapsAhead, access_requests::forecast(store, window).await?.gaps.len() as u64);
    }
    Ok(())
}

/// Sources of which some view has not been fresh for a while.
fn stale(installation: &Installation, heads: &[&RotationHead], now: Timestamp) -> u64 {
    let stale = installation.sources.iter().filter(|source| {
        let since = earlier(now, source.every * MISSED);
        heads.iter().any(|head| head.id.source == source.id && head.fresh_at.is_none_or(|fresh| fresh < since))
    });
    stale.count() as u64
}

async fn rotations(store: &Store) -> Result<Vec<RotationHead>, StoreError> {
    let (mut heads, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.list_rotations(cursor.as_ref(), MAX_PAGE).await?;
        heads.extend(page.items);
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(heads),
        }
    }
}
