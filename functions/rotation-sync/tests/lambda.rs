//! The function's own binary, started as Lambda starts it.

#[cfg(test)]
mod lambda {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use dutykey_engine::ports::clock::Clock;
    use dutykey_engine::ports::ledger::ReadLedger;
    use dutykey_engine::ports::queue::{About, Message};
    use dutykey_engine::ports::rota::ReadRota;
    use dutykey_engine::ports::rules::WriteRules;
    use dutykey_policy::installation::{CalendarLocation, IdentifyBy, PlatformSettings, Rotations, SecretRef, Source};
    use dutykey_policy::profile::Automatic;
    use dutykey_policy::time::{earlier, later};
    use dutykey_runtime::clock::SystemClock;
    use dutykey_tests::events;
    use dutykey_tests::pagerduty::FakePagerDuty;
    use dutykey_tests::runtime_api::Outcome;
    use dutykey_tests::surroundings::{Surroundings, failed};
    use dutykey_tests::{calendar, company};
    use jiff::Timestamp;
    use serde_json::{Value, json};

    async fn surroundings() -> Surroundings {
        let queues = ["sync", "provisioning", "revocation"];
        Surroundings::of(env!("CARGO_BIN_EXE_rotation-sync"), &queues).await
    }

    /// An installation with these sources; whoever is on call in `rota:primary` is enrolled.
    async fn configure(world: &Surroundings, sources: Vec<Source>) {
        let token = SecretRef::Secret("dutykey/scim".to_owned());
        let mut installation = company::installation("https://scim.invalid".to_owned(), token);
        installation.sources = sources;
        installation.profiles[0].enrollment = Some(Automatic {
            rotations: BTreeSet::from(["rota:primary".parse().unwrap()]),
            lead: Duration::ZERO,
            grace: Duration::ZERO,
            lease: Duration::from_secs(3_600),
        });
        world.table.store.configure(0, &installation, SystemClock.now()).await.unwrap();
    }

    fn source(id: &str, every: u64, settings: PlatformSettings) -> Source {
        let every = Duration::from_secs(every);
        Source { id: id.parse().unwrap(), settings, rotations: Rotations::All, every, retiring: false }
    }

    fn feed(file: &Path) -> PlatformSettings {
        PlatformSettings::Icalendar {
            location: CalendarLocation::Plain(file.display().to_string()),
            rotation: "primary".to_owned(),
            identify_by: IdentifyBy::Attendee,
            time_zone: None,
        }
    }

    /// A calendar in which Ann is on call from an hour ago until an hour from now.
    fn ann_s_shift(name: &str) -> PathBuf {
        let (now, hour) = (SystemClock.now(), Duration::from_secs(3_600));
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&file, calendar::ann_s_shift(earlier(now, hour), later(now, hour))).unwrap();
        file
    }

    fn batch(bodies: &[String]) -> Value {
        events::sqs("sync", bodies, SystemClock.now())
    }

    #[tokio::test]
    async fn a_run_of_the_schedule_sends_for_sources_and_their_messages_enroll_people() {
        let world = surroundings().await;
        let file = ann_s_shift("schedule.ics");
        configure(&world, vec![source("rota", 300, feed(&file)), source("slow", 3_600, feed(&file))]).await;
        let process = world.start();
        let five_past: Timestamp = "2026-11-23T09:05:00Z".parse().unwrap();
        let outcome = world.invoke(&events::schedule("sync", five_past, 1)).await;
        assert_eq!(outcome, Outcome::Answered(json!({"sources": 1})), "{}", process.output());
        let sent = world.aws.messages("sync");
        let message: Message = serde_json::from_str(&sent[0].body).unwrap();
        assert_eq!(message.about, About::Rota { source: "rota".parse().unwrap(), rotation: None });
        assert_eq!((sent.len(), sent[0].delay), (1, Duration::ZERO));

        // Twice, beside a body that is none: Ann is enrolled once, and her worker is told.
        let bodies = [sent[0].body.clone(), "not json".to_owned(), sent[0].body.clone()];
        assert_eq!(world.invoke(&batch(&bodies)).await, failed(&[2]), "{}", process.output());
        let user = "ann@example.com".parse().unwrap();
        let people = world.table.store.people(&"rota".parse().unwrap(), &[user]).await.unwrap();
        let ann = people.values().next().expect("Ann is known").clone();
        let live = world.table.store.load(&ann).await.unwrap().unwrap();
        assert_eq!(live.enrollments.len(), 1, "{}", process.output());
        assert_eq!(live.enrollments[0].periods.len(), 1, "{:?}", live.enrollments);
        let told = world.aws.messages("provisioning");
        assert!(told.iter().any(|sent| sent.body.contains(ann.as_str())), "{told:?} {}", process.output());
        assert!(!process.stdout().contains("PlatformCalls"), "a file is no request: {}", process.output());
        assert!(!process.output().contains("ann@example.com"), "R19: an address is in the log: {}", process.output());
    }

    #[tokio::test]
    async fn p6_a_platform_that_is_down_is_recorded_and_its_message_is_done() {
        let (world, pager) = (surroundings().await, FakePagerDuty::start().await);
        world.aws.put_secret("dutykey/pd", &pager.token());
        let settings = PlatformSettings::Pagerduty {
            base_url: pager.base_url(),
            token: SecretRef::Secret("dutykey/pd".to_owned()),
            webhook_secrets: Vec::new(),
        };
        let pd = Source { rotations: Rotations::Listed(vec!["PABC123".to_owned()]), ..source("pd", 300, settings) };
        configure(&world, vec![pd]).await;
        let process = world.start();
        let body = serde_json::to_string(&Message::rota("pd".parse().unwrap(), None, "test")).unwrap();
        assert_eq!(world.invoke(&batch(&[body])).await, failed(&[]), "{}", process.output());
        let asked = pager.requests().len();
        assert_ne!(asked, 0, "the platform was asked");
        let counted = format!("\"PlatformCalls\":{asked}");
        assert!(process.stdout().contains(&counted), "{asked} requests: {}", process.output());
        let heads = world.table.store.rotations(&"pd".parse().unwrap()).await.unwrap();
        assert!(heads[0].failed_at.is_some() && heads[0].fresh_at.is_none(), "{heads:?}");
        assert!(!process.output().contains(&pager.token()), "P13: the token is in the log");
    }

    #[tokio::test]
    async fn an_event_of_another_function_and_an_environment_without_queues_are_refused() {
        let world = surroundings().await;
        let process = world.start();
        let outcome = world.invoke(&events::schedule("handoff", SystemClock.now(), 1)).await;
        let Outcome::Failed(error) = outcome else { panic!("{outcome:?} {}", process.output()) };
        assert_eq!(error.error_type, "InputUnreadable");

        let mut world = surroundings().await;
        let queues = ["DUTYKEY_SYNC_QUEUE_URL", "DUTYKEY_PROVISIONING_QUEUE_URL", "DUTYKEY_REVOCATION_QUEUE_URL"];
        world.unset(&queues);
        let (error, _) = world.refused().await;
        for name in queues {
            assert!(error.error_message.contains(&format!("{name} is missing")), "{}", error.error_message);
        }
    }
}
