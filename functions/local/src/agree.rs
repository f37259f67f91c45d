//! A clock that is in doubt, and how it comes to be trusted again: while nothing is decided, every source and every app is
//! asked for a word, and the time of its answer says the rest. The embedded table has no time of its own to tell.

use std::time::Duration;

use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::platform::Platforms;
use dutykey_engine::ports::rules::ReadRules as _;
use dutykey_engine::ports::target::Targets;
use dutykey_policy::time::later;
use dutykey_store::Store;
use futures_util::future::{join, join_all};

/// How often the clock is looked at where nobody waits for it: a sleep of the machine is seen this soon after it.
const LOOK: Duration = Duration::from_secs(5);
/// How often it is looked at by who waits for it.
const NOD: Duration = Duration::from_secs(1);
/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first pause between two questions, and half of each further one: a doubt may last until a person comes.
const PAUSE: Duration = Duration::from_secs(5);

/// Waits until the clock is trusted.
pub(crate) async fn agreed(clock: &dyn Clock) {
    while clock.doubt().is_some() {
        pause(clock, NOD).await;
    }
}

/// Waits for so long by either clock: the one on the wall may be set back meanwhile, and the steady one stands still
/// while the machine sleeps.
pub(crate) async fn pause(clock: &dyn Clock, pause: Duration) {
    tokio::select! {
        () = clock.sleep_until(later(clock.now(), pause)) => {}
        () = tokio::time::sleep(pause) => {}
    }
}

/// Asks whenever the clock is in doubt, for ever.
pub(crate) async fn asks(clock: &dyn Clock, store: &Store, platforms: &dyn Platforms, targets: &dyn Targets) {
    let mut wait = PAUSE;
    loop {
        if clock.doubt().is_none() {
            wait = PAUSE;
            pause(clock, LOOK).await;
            continue;
        }
        // Nobody's answer is waited for longer than another's takes to settle it.
        tokio::select! {
            _ = tokio::time::timeout(PATIENCE, ask(store, platforms, targets)) => {}
            () = agreed(clock) => continue,
        }
        tokio::select! {
            () = pause(clock, wait) => {}
            () = agreed(clock) => {}
        }
        wait = PAUSE * 2;
    }
}

/// Has every source and every app answer something. What they answer does not matter here.
async fn ask(store: &Store, platforms: &dyn Platforms, targets: &dyn Targets) {
    let Ok(Some(configured)) = store.installation().await else { return };
    let installation = configured.installation;
    let sources = join_all(installation.sources.iter().map(async |source| {
        if let Ok(platform) = platforms.platform(source).await {
            let _ = platform.check().await;
        }
    }));
    let apps = join_all(installation.apps.iter().map(async |app| {
        if let Ok(target) = targets.target(app).await {
            let _ = target.check().await;
        }
    }));
    join(sources, apps).await;
}
