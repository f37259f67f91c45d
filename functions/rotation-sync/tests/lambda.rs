//! The function's own binary, started as Lambda starts it.

#[cfg(test)]
mod lambda {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use dutykey_embedded::Embedded;
    use dutykey_engine::ports::clock::Clock;
    use dutykey_engine::ports::ledger::ReadLedger;
    use dutykey_engine::ports::queue::{About, Message};
    use dutykey_engine::ports::rota::ReadRota;
    use dutykey_engine::ports::rules::WriteRules;
    use dutykey_policy::id::EntitlementRef;
    use dutykey_policy::installation::{
        App, CalendarLocation, IdentifyBy, Installation, PlatformSettings, Rotations, SecretRef, Source, TargetSettings,
    };
    use dutykey_policy::profile::{Automatic, Profile};
    use dutykey_policy::time::{earlier, later};
    use dutykey_runtime::clock::SystemClock;
    use dutykey_store::Store;
    use dutykey_tests::aws::FakeAws;
    use dutykey_tests::events;
    use dutykey_tests::pagerduty::FakePagerDuty;
    use dutykey_tests::process::Process;
    use dutykey_tests::runtime_api::{Outcome, RuntimeApi};
    use jiff::Timestamp;
    use serde_json::{Value, json};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    const SOON: Duration = Duration::from_secs(30);

    struct World {
        api: RuntimeApi,
        aws: FakeAws,
        store: Store,
        table: JoinHandle<()>,
        variables: Vec<(String, String)>,
    }

    impl Drop for World {
        fn drop(&mut self) {
            self.table.abort();
        }
    }

    impl World {
        async fn new() -> Self {
            let (api, aws) = (RuntimeApi::start().await.unwrap(), FakeAws::start().await.unwrap());
            let table = Embedded::memory().unwrap();
            let store = Store::new(table.client(), "dutykey");
            store.create_table("table-1").await.unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut variables = aws.environment();
            let mut set = |name: &str, value: String| variables.push((name.to_owned(), value));
            set("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{}", listener.local_addr().unwrap()));
            set("DUTYKEY_TABLE", "dutykey".to_owned());
            set("DUTYKEY_SYNC_QUEUE_URL", aws.queue_url("sync"));
            set("DUTYKEY_PROVISIONING_QUEUE_URL", aws.queue_url("provisioning"));
            set("DUTYKEY_REVOCATION_QUEUE_URL", aws.queue_url("revocation"));
            let table = tokio::spawn(async move { table.serve_on(listener).await.unwrap() });
            Self { api, aws, store, table, variables }
        }

        fn start(&self) -> Process {
            self.api
                .launch(Path::new(env!("CARGO_BIN_EXE_rotation-sync")), "rotation-sync", 256, &self.variables)
                .unwrap()
        }

        /// An installation with these sources; whoever is on call in `rota:primary` is enrolled.
        async fn configure(&self, sources: Vec<Source>) {
            let entitlement =
                EntitlementRef { app: "directory".parse().unwrap(), kind: "group".to_owned(), id: "g".to_owned() };
            let enrollment = Automatic {
                rotations: BTreeSet::from(["rota:primary".parse().unwrap()]),
                lead: Duration::ZERO,
                grace: Duration::ZERO,
                lease: Duration::from_secs(3_600),
            };
            let profile = Profile {
                id: "on-call".parse().unwrap(),
                version: 1,
                name: "On-call".to_owned(),
                entitlements: vec![entitlement],
                mode: dutykey_policy::profile::Mode::Enforce,
                enrollment: Some(enrollment),
                self_service: None,
                self_override: dutykey_policy::profile::SelfOverride::Hold,
                override_lock: Duration::ZERO,
                break_glass: None,
            };
            let token = SecretRef::Secret("dutykey/scim".to_owned());
            let settings = TargetSettings::Scim { base_url: "https://scim.invalid".to_owned(), token };
            let installation = Installation {
                verified_domains: vec!["example.com".to_owned()],
                directory: None,
                api: Default::default(),
                sources,
                apps: vec![App { id: "directory".parse().unwrap(), settings, retiring: false }],
                links: Vec::new(),
                profiles: vec![profile],
                sync: Default::default(),
                brake: Default::default(),
                notify: Vec::new(),
            };
            self.store.configure(0, &installation, SystemClock.now()).await.unwrap();
        }

        async fn invoke(&self, event: &Value) -> Outcome {
            self.api.invoke(event, SOON).await
        }
    }

    fn source(id: &str, every: u64, settings: PlatformSettings) -> Source {
        let every = Duration::from_secs(every);
        Source { id: id.parse().unwrap(), settings, rotations: Rotations::All, every, retiring: false }
    }

    fn calendar(file: &Path) -> PlatformSettings {
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
        let time = |at: Timestamp| at.strftime("%Y%m%dT%H%M%SZ").to_string();
        let (start, end) = (time(earlier(now, hour)), time(later(now, hour)));
        let lines = [
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:-//test//EN",
            "BEGIN:VEVENT",
            "UID:shift-1",
            &format!("DTSTAMP:{start}"),
            &format!("DTSTART:{start}"),
            &format!("DTEND:{end}"),
            "SUMMARY:On call",
            "ATTENDEE:mailto:ann@example.com",
            "END:VEVENT",
            "END:VCALENDAR",
            "",
        ];
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&file, lines.join("\r\n")).unwrap();
        file
    }

    fn batch(bodies: &[String]) -> Value {
        events::sqs("sync", bodies, SystemClock.now())
    }

    fn failed(records: &[usize]) -> Outcome {
        let failed: Vec<_> = records.iter().map(|n| json!({"itemIdentifier": events::message_id(*n)})).collect();
        Outcome::Answered(json!({ "batchItemFailures": failed }))
    }

    #[tokio::test]
    async fn a_run_of_the_schedule_sends_for_sources_and_their_messages_enroll_people() {
        let world = World::new().await;
        let file = ann_s_shift("schedule.ics");
        world.configure(vec![source("rota", 300, calendar(&file)), source("slow", 3_600, calendar(&file))]).await;
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
        let people = world.store.people(&"rota".parse().unwrap(), &[user]).await.unwrap();
        let ann = people.values().next().expect("Ann is known").clone();
        let live = world.store.load(&ann).await.unwrap().unwrap();
        assert_eq!(live.enrollments.len(), 1, "{}", process.output());
        assert_eq!(live.enrollments[0].periods.len(), 1, "{:?}", live.enrollments);
        let told = world.aws.messages("provisioning");
        assert!(told.iter().any(|sent| sent.body.contains(ann.as_str())), "{told:?} {}", process.output());
        assert!(process.stdout().contains("PlatformCalls"), "{}", process.output());
        assert!(!process.output().contains("ann@example.com"), "R19: an address is in the log: {}", process.output());
    }

    #[tokio::test]
    async fn p6_a_platform_that_is_down_is_recorded_and_its_message_is_done() {
        let (world, pager) = (World::new().await, FakePagerDuty::start().await);
        world.aws.put_secret("dutykey/pd", &pager.token());
        let settings = PlatformSettings::Pagerduty {
            base_url: pager.base_url(),
            token: SecretRef::Secret("dutykey/pd".to_owned()),
            webhook_secrets: Vec::new(),
        };
        let pd = Source { rotations: Rotations::Listed(vec!["PABC123".to_owned()]), ..source("pd", 300, settings) };
        world.configure(vec![pd]).await;
        let process = world.start();
        let body = serde_json::to_string(&Message::rota("pd".parse().unwrap(), None, "test")).unwrap();
        assert_eq!(world.invoke(&batch(&[body])).await, failed(&[]), "{}", process.output());
        assert_ne!(pager.requests().len(), 0, "the platform was asked");
        let heads = world.store.rotations(&"pd".parse().unwrap()).await.unwrap();
        assert!(heads[0].failed_at.is_some() && heads[0].fresh_at.is_none(), "{heads:?}");
        assert!(!process.output().contains(&pager.token()), "P13: the token is in the log");
    }

    #[tokio::test]
    async fn an_event_of_another_function_and_an_environment_without_queues_are_refused() {
        let world = World::new().await;
        let process = world.start();
        let outcome = world.invoke(&events::schedule("handoff", SystemClock.now(), 1)).await;
        let Outcome::Failed(error) = outcome else { panic!("{outcome:?} {}", process.output()) };
        assert_eq!(error.error_type, "InputUnreadable");

        let mut world = World::new().await;
        world.variables.retain(|(name, _)| !name.ends_with("QUEUE_URL"));
        let process = world.start();
        let Err(Outcome::NotStarted(error)) = world.api.ready().await else {
            panic!("the function starts: {}", process.output());
        };
        for name in ["DUTYKEY_SYNC_QUEUE_URL", "DUTYKEY_PROVISIONING_QUEUE_URL", "DUTYKEY_REVOCATION_QUEUE_URL"] {
            assert!(error.error_message.contains(&format!("{name} is missing")), "{}", error.error_message);
        }
    }
}
