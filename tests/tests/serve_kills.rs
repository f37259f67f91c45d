//! P10: `serve`, whose table is inside it, killed at any of its requests to a platform or an app, or at any other moment,
//! costs time and nothing else. The binary, its data file and the clock are real. A shift that is long enough for what a
//! killed grant may still do to be waited out (R1: 40 seconds) lets every case end as the run that nobody kills; all
//! cases wait side by side.

mod world;

use std::collections::HashMap;
use std::time::Duration;

use dutykey_tests::proxy::Point;
use tokio::task::JoinSet;

use world::{EVERY, Kill, START, System, World};

/// Longer than a killed grant has to be waited out, with time to spare.
const SHIFT: Duration = Duration::from_secs(54);
/// Enough where nobody is killed: the app is asked the same.
const SHORT: Duration = Duration::from_secs(6);
/// Where the random moments come from.
const SEED: u64 = 0x5eed_0f0c;

#[tokio::test]
async fn p10_a_shift_comes_and_goes_once_wherever_serve_is_killed() {
    let mut whole = World::new(SHORT).await;
    let [platform, target] = whole.run(None).await;
    let truth = whole.story().await;
    assert_eq!((truth.effect.adds, truth.effect.removes), (1, 1), "without a kill: {truth:?} {target:#?}");
    assert!(!platform.is_empty(), "platform and app are both behind the proxies: {target:#?}");
    assert_eq!(truth.members, ["u-bob"], "without a kill: {truth:?} {target:#?}");

    let reads = usize::try_from((START + SHIFT).as_secs() / EVERY.as_secs()).unwrap();
    let platform = platform.iter().cycle().take(reads);
    let requests = platform.map(|request| (System::Platform, request));
    let requests = requests.chain(target.iter().map(|request| (System::Target, request)));
    let mut counts = HashMap::new();
    let mut kills = Vec::new();
    for (system, request) in requests {
        let n = counts.entry(request).or_insert(0);
        *n += 1;
        for point in [Point::Before, Point::After] {
            kills.push(Kill::At { system, request: request.clone(), n: *n, point });
        }
    }
    kills.extend(moments().map(Kill::After));

    let mut cases = JoinSet::new();
    for kill in kills {
        cases.spawn(async move {
            let mut world = World::new(SHIFT).await;
            world.run(Some(&kill)).await;
            (world.story().await, world)
        });
    }
    let mut wrong = Vec::new();
    while let Some(case) = cases.join_next().await {
        let (story, world) = case.unwrap();
        if story != truth {
            wrong.push(format!("{story:?}; {}", world.output()));
        }
    }
    wrong.sort();
    assert!(wrong.is_empty(), "without a kill: {truth:?}\nbut {}", wrong.join("\nbut "));
}

/// Twenty moments, from the start of the process: ten around the start of the shift, ten around its end.
fn moments() -> impl Iterator<Item = Duration> {
    let mut state = SEED;
    (0..20).map(move |n| {
        // Knuth's linear congruential generator (MMIX); its high bits are the good ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let within = Duration::from_millis((state >> 33) % 6_000);
        let around = if n % 2 == 0 { START } else { START + SHIFT };
        around - Duration::from_secs(3) + within
    })
}
