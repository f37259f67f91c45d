//! The function's own binary, started as Lambda starts it.

#[cfg(test)]
mod lambda {
    use std::path::Path;
    use std::time::Duration;

    use dutykey_embedded::Embedded;
    use dutykey_engine::ports::clock::Clock;
    use dutykey_engine::ports::ledger::{Notice, PersonChange, PersonHead, ReadLedger, WriteLedger};
    use dutykey_engine::ports::rota::{RotationChange, RotationHead, UserLink, WriteRota};
    use dutykey_engine::ports::rules::{ReadRules, WriteRules};
    use dutykey_policy::hold::{Hold, State};
    use dutykey_policy::id::{HoldKey, PersonId, Place};
    use dutykey_policy::installation::Topic;
    use dutykey_policy::look::Due;
    use dutykey_policy::time::{Span, earlier, later};
    use dutykey_policy::wants::{Shape, Want};
    use dutykey_runtime::clock::SystemClock;
    use dutykey_store::Store;
    use dutykey_tests::aws::{FakeAws, Fault, Operation, Sent};
    use dutykey_tests::events;
    use dutykey_tests::process::Process;
    use dutykey_tests::runtime_api::{Outcome, RuntimeApi};
    use jiff::Timestamp;
    use serde_json::json;
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
            set("DUTYKEY_NOTICE_TOPIC_ARN", TOPIC.to_owned());
            let table = tokio::spawn(async move { table.serve_on(listener).await.unwrap() });
            Self { api, aws, store, table, variables }
        }

        fn start(&self) -> Process {
            self.api.launch(Path::new(env!("CARGO_BIN_EXE_handoff")), "handoff", 256, &self.variables).unwrap()
        }

        /// Somebody for whom something begins in 90 seconds and something ends in 60, and who is told of it.
        async fn somebody(&self) -> PersonId {
            let now = SystemClock.now();
            let link = UserLink {
                source: "pd".parse().unwrap(),
                user: "U1".parse().unwrap(),
                address: "ann@example.com".to_owned(),
                name: None,
                fresh: "per_01JD0000000000000000000001".parse().unwrap(),
                said: false,
                at: now,
            };
            let id = self.store.link_user(&link).await.unwrap().unwrap();
            let head = self.store.load(&id).await.unwrap().unwrap().head;
            let due = |seconds| Some(Due { at: later(now, Duration::from_secs(seconds)), cause: "test".to_owned() });
            let text = "Ann still has prod".to_owned();
            let notice = Notice { id: "n-1".to_owned(), topic: Topic::Overdue, at: now, text, failures: 0, due: now };
            let (next_start, next_end, notices) = (due(90), due(60), vec![notice]);
            let change = PersonChange { head, next_start, next_end, notices, ..change_of(&id, now) };
            self.store.commit(&change).await.unwrap();
            id
        }

        /// A source whose rotation was never read, and access of somebody that should have ended five minutes ago.
        async fn trouble(&self) {
            let now = SystemClock.now();
            let installation = json!({
                "verified_domains": ["example.com"], "apps": [], "profiles": [],
                "sources": [{ "id": "pd", "settings": { "platform": "sandbox", "script": {} }, "every": "5m" }],
            });
            self.store.configure(0, &serde_json::from_value(installation).unwrap(), now).await.unwrap();
            let gap =
                Span::new(later(now, Duration::from_secs(3_600)), later(now, Duration::from_secs(7_200))).unwrap();
            let head = RotationHead {
                unmatched: 2,
                gaps: vec![gap],
                ..RotationHead::new("pd:P1".parse().unwrap(), "Primary".to_owned())
            };
            let change =
                RotationChange { expected: 0, head, at: now, known: None, evidence: Vec::new(), notices: Vec::new() };
            self.store.change_rotation(&change).await.unwrap();
            let ann = self.somebody().await;
            let key = HoldKey {
                app: "directory".parse().unwrap(),
                account: "acc-ann".parse().unwrap(),
                place: Place { kind: "group".to_owned(), id: "prod".to_owned() },
            };
            let want = Want { shape: Shape::Member, reasons: Vec::new(), frozen: false };
            let due = earlier(now, Duration::from_secs(300));
            let wanted = Hold::wanted(key, ann.clone(), &want, now);
            let hold = Hold { state: State::Ending, touched: true, told: true, due, ..wanted };
            let live = self.store.load(&ann).await.unwrap().unwrap();
            let change =
                PersonChange { holds: vec![hold], head: live.head, notices: Vec::new(), ..change_of(&ann, now) };
            self.store.commit(&change).await.unwrap();
        }

        async fn tick(&self, attempt: u32) -> Outcome {
            self.api.invoke(&events::schedule("handoff", SystemClock.now(), attempt), SOON).await
        }
    }

    /// A change that changes nothing yet.
    fn change_of(person: &PersonId, at: Timestamp) -> PersonChange {
        PersonChange {
            person: person.clone(),
            head: PersonHead::default(),
            at,
            next_start: None,
            next_end: None,
            identity: None,
            claims: Vec::new(),
            enrollments: Vec::new(),
            holds: Vec::new(),
            roll: None,
            evidence: Vec::new(),
            notices: Vec::new(),
        }
    }

    const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:notices";

    /// The only message, whose delay is a second less than that many seconds, or a little shorter still.
    fn only(sent: &[Sent], person: &PersonId, seconds: u64) {
        let [message] = sent else { panic!("one message: {sent:?}") };
        let early = seconds - 30..=seconds - 1;
        assert!(early.contains(&message.delay.as_secs()), "a second before its time in {seconds} s: {message:?}");
        assert!(message.body.contains(person.as_str()) && message.body.contains("not_before"), "{message:?}");
    }

    #[tokio::test]
    async fn p12_what_is_due_is_sent_for_the_second_before_it_and_only_once() {
        let world = World::new().await;
        let somebody = world.somebody().await;
        let process = world.start();
        let ticked = |starts, ends, notices| {
            Outcome::Answered(json!({"starts": starts, "ends": ends, "rotations": 0, "sweeps": 0, "notices": notices}))
        };
        assert_eq!(world.tick(1).await, ticked(1, 1, 1), "{}", process.output());
        only(&world.aws.messages("provisioning"), &somebody, 90);
        only(&world.aws.messages("revocation"), &somebody, 60);
        let published = world.aws.published();
        let [told] = published.as_slice() else { panic!("one notice: {published:?}") };
        assert_eq!((told.topic.as_str(), told.message.as_str()), (TOPIC, "Ann still has prod"));
        assert!(process.stdout().contains(r#""HandoffRuns":1"#), "the alarm counts runs: {}", process.output());

        assert_eq!(world.tick(1).await, ticked(0, 0, 0), "the second run finds nothing new: {}", process.output());
        assert_eq!((world.aws.messages("provisioning"), world.aws.published()), (Vec::new(), Vec::new()));
    }

    #[tokio::test]
    async fn p1_p6_p8_how_dutykey_stands_is_measured_with_each_tick() {
        let world = World::new().await;
        world.trouble().await;
        let process = world.start();
        let outcome = world.tick(1).await;
        assert!(matches!(outcome, Outcome::Answered(_)), "{outcome:?} {}", process.output());
        let stdout = process.stdout();
        let expected = [
            ("HandoffRuns", 1),
            ("OverdueRevocations", 1),
            ("OverdueMinutes", 5),
            ("StaleSources", 1),
            ("BrakesWaiting", 0),
            ("UnmatchedOnCall", 2),
            ("GapsAhead", 1),
        ];
        let measured = stdout.lines().find(|line| line.contains("CloudWatchMetrics")).unwrap_or_default();
        for (name, value) in expected {
            assert!(measured.contains(&format!("\"{name}\":{value}")), "{name} is {value}: {}", process.output());
        }
    }

    #[tokio::test]
    async fn p10_a_tick_whose_messages_no_queue_takes_fails_and_the_next_one_sends_them() {
        let world = World::new().await;
        let somebody = world.somebody().await;
        world.aws.fail(Operation::SendMessageBatch, Fault::Denied, 1);
        let process = world.start();
        let outcome = world.tick(1).await;
        let Outcome::Failed(error) = outcome else { panic!("{outcome:?} {}", process.output()) };
        assert_eq!(error.error_type, "QueueUnavailable", "{}", error.error_message);
        assert!(!process.stdout().contains("HandoffRuns"), "a failed run does not count: {}", process.output());
        assert_eq!(world.store.pulse().await.unwrap().ticked_at, None);
        let outcome = world.tick(2).await;
        assert!(matches!(outcome, Outcome::Answered(_)), "{outcome:?} {}", process.output());
        only(&world.aws.messages("revocation"), &somebody, 60);
    }

    #[tokio::test]
    async fn p10_a_notice_that_cannot_be_told_stays_due_and_stops_nothing() {
        let world = World::new().await;
        world.somebody().await;
        world.aws.fail(Operation::Publish, Fault::Denied, 1);
        let process = world.start();
        let outcome = world.tick(1).await;
        let answer = json!({"starts": 1, "ends": 1, "rotations": 0, "sweeps": 0, "notices": 0});
        assert_eq!(outcome, Outcome::Answered(answer), "{}", process.output());
        assert!(process.stdout().contains("Ann still has prod"), "the log is always told: {}", process.output());
    }

    #[tokio::test]
    async fn an_event_of_another_function_is_refused() {
        let world = World::new().await;
        let process = world.start();
        for event in [events::schedule("sync", SystemClock.now(), 1), events::sqs("sync", &["{}"], SystemClock.now())] {
            let outcome = world.api.invoke(&event, SOON).await;
            let Outcome::Failed(error) = outcome else { panic!("{outcome:?} {}", process.output()) };
            assert_eq!(error.error_type, "InputUnreadable");
        }
    }

    #[tokio::test]
    async fn an_environment_that_is_wrong_is_refused_with_every_name_and_no_value() {
        let mut world = World::new().await;
        world.variables.retain(|(name, _)| name != "DUTYKEY_SYNC_QUEUE_URL");
        world.variables.push(("DUTYKEY_NOTICE_TOPIC_ARN".to_owned(), "hunter2".to_owned()));
        let process = world.start();
        let Err(Outcome::NotStarted(error)) = world.api.ready().await else {
            panic!("the function starts: {}", process.output());
        };
        assert_eq!(error.error_type, "ConfigurationInvalid");
        for name in ["DUTYKEY_SYNC_QUEUE_URL is missing", "DUTYKEY_NOTICE_TOPIC_ARN is not"] {
            assert!(error.error_message.contains(name), "{}", error.error_message);
        }
        assert!(!process.output().contains("hunter2"), "{}", process.output());
    }
}
