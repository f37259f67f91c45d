//! The function's own binary, started as Lambda starts it.

#[cfg(test)]
mod lambda {
    use std::time::Duration;

    use dutykey_engine::ports::clock::Clock;
    use dutykey_engine::ports::ledger::Notice;
    use dutykey_engine::ports::rota::{RotationChange, RotationHead, WriteRota};
    use dutykey_engine::ports::rules::{ReadRules, WriteRules};
    use dutykey_policy::id::PersonId;
    use dutykey_policy::installation::{Installation, NotifyChannel, SecretRef, Topic};
    use dutykey_policy::time::{Span, earlier, later};
    use dutykey_runtime::clock::SystemClock;
    use dutykey_tests::aws::{Fault, Operation, Sent};
    use dutykey_tests::company::{self, Access, Dues};
    use dutykey_tests::events;
    use dutykey_tests::runtime_api::Outcome;
    use dutykey_tests::surroundings::Surroundings;
    use serde_json::json;
    use tokio::net::TcpListener;

    const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:notices";

    async fn surroundings() -> Surroundings {
        let queues = ["sync", "provisioning", "revocation"];
        let mut world = Surroundings::of(env!("CARGO_BIN_EXE_handoff"), &queues).await;
        world.set("DUTYKEY_NOTICE_TOPIC_ARN", TOPIC);
        world
    }

    /// Somebody for whom something begins in 90 seconds and something ends in 60, and who is told of it.
    async fn somebody(world: &Surroundings) -> PersonId {
        let (store, now) = (&world.table.store, SystemClock.now());
        let id = company::person(store, "ann", now).await.person.id;
        let due = |seconds| Some(later(now, Duration::from_secs(seconds)));
        let text = "Ann still has prod".to_owned();
        let notice = Notice::new("n-1".to_owned(), Topic::Overdue, text, now);
        company::due(store, &id, Dues { start: due(90), end: due(60), notices: vec![notice] }, now).await;
        id
    }

    async fn tick(world: &Surroundings, attempt: u32) -> Outcome {
        world.invoke(&events::schedule("handoff", SystemClock.now(), attempt)).await
    }

    /// The only message, whose delay is a second less than that many seconds, or a little shorter still.
    fn only(sent: &[Sent], person: &PersonId, seconds: u64) {
        let [message] = sent else { panic!("one message: {sent:?}") };
        let early = seconds - 30..=seconds - 1;
        assert!(early.contains(&message.delay.as_secs()), "a second before its time in {seconds} s: {message:?}");
        assert!(message.body.contains(person.as_str()) && message.body.contains("not_before"), "{message:?}");
    }

    #[tokio::test]
    async fn p12_what_is_due_is_sent_for_the_second_before_it_and_only_once() {
        let world = surroundings().await;
        let somebody = somebody(&world).await;
        let process = world.start();
        let ticked = |starts, ends, notices| {
            Outcome::Answered(json!({"starts": starts, "ends": ends, "rotations": 0, "sweeps": 0, "notices": notices}))
        };
        assert_eq!(tick(&world, 1).await, ticked(1, 1, 1), "{}", process.output());
        only(&world.aws.messages("provisioning"), &somebody, 90);
        only(&world.aws.messages("revocation"), &somebody, 60);
        let published = world.aws.published();
        let [told] = published.as_slice() else { panic!("one notice: {published:?}") };
        assert_eq!((told.topic.as_str(), told.message.as_str()), (TOPIC, "Ann still has prod"));
        assert!(process.stdout().contains(r#""HandoffRuns":1"#), "the alarm counts runs: {}", process.output());

        assert_eq!(tick(&world, 1).await, ticked(0, 0, 0), "the second run finds nothing new: {}", process.output());
        assert_eq!((world.aws.messages("provisioning"), world.aws.published()), (Vec::new(), Vec::new()));
    }

    #[tokio::test]
    async fn p1_p6_p8_how_dutykey_stands_is_measured_with_each_tick() {
        let world = surroundings().await;
        let (store, now) = (&world.table.store, SystemClock.now());
        let installation = json!({
            "verified_domains": ["example.com"], "apps": [], "profiles": [],
            "sources": [{
                "id": "pd", "settings": { "platform": "sandbox", "script": {} }, "every": "5m",
                "rotations": { "listed": ["P1"] },
            }],
        });
        store.configure(0, &serde_json::from_value(installation).unwrap(), now).await.unwrap();
        // A rotation that was never read, and access that should have ended five minutes ago.
        let gap = Span::new(later(now, Duration::from_secs(3_600)), later(now, Duration::from_secs(7_200))).unwrap();
        let never_read = RotationHead::new("pd:P1".parse().unwrap(), "Primary".to_owned());
        let head = RotationHead { unmatched: 2, gaps: vec![gap], ..never_read };
        let (evidence, notices) = (Vec::new(), Vec::new());
        let change = RotationChange { expected: 0, head, at: now, known: None, evidence, notices };
        store.change_rotation(&change).await.unwrap();
        company::approved(store, "ann", earlier(now, Duration::from_secs(300)), Access::Held, now).await;

        let process = world.start();
        let outcome = tick(&world, 1).await;
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
    async fn r18_a_table_that_was_restored_under_the_same_name_stands_still_from_the_next_tick_on() {
        let world = surroundings().await;
        let store = &world.table.store;
        let process = world.start();
        tick(&world, 1).await;
        assert_eq!(store.pulse().await.unwrap().standstill, None, "the first tick has only said which table it is");
        assert!(process.stdout().contains(r#""StandingStill":0"#), "{}", process.output());
        world.table.was_another().await;
        let outcome = tick(&world, 2).await;
        assert!(matches!(outcome, Outcome::Answered(_)), "{outcome:?} {}", process.output());
        let standstill = store.pulse().await.unwrap().standstill.expect("it is another table than it says");
        assert!(!standstill.rebuilt, "nothing may be recorded before it is rebuilt: {standstill}");
        assert!(process.stdout().contains(r#""StandingStill":1"#), "the alarm reads it: {}", process.output());
    }

    #[tokio::test]
    async fn p10_a_tick_whose_messages_no_queue_takes_fails_and_the_next_one_sends_them() {
        let world = surroundings().await;
        let somebody = somebody(&world).await;
        world.aws.fail(Operation::SendMessageBatch, Fault::Denied, 1);
        let process = world.start();
        let outcome = tick(&world, 1).await;
        let Outcome::Failed(error) = outcome else { panic!("{outcome:?} {}", process.output()) };
        assert_eq!(error.error_type, "QueueUnavailable", "{}", error.error_message);
        assert!(!process.stdout().contains("HandoffRuns"), "a failed run does not count: {}", process.output());
        assert_eq!(world.table.store.pulse().await.unwrap().ticked_at, None);
        let outcome = tick(&world, 2).await;
        assert!(matches!(outcome, Outcome::Answered(_)), "{outcome:?} {}", process.output());
        only(&world.aws.messages("revocation"), &somebody, 60);
    }

    #[tokio::test]
    async fn p10_a_notice_that_cannot_be_told_stays_due_and_stops_nothing() {
        let world = surroundings().await;
        somebody(&world).await;
        world.aws.fail(Operation::Publish, Fault::Denied, 1);
        let process = world.start();
        let outcome = tick(&world, 1).await;
        let answer = json!({"starts": 1, "ends": 1, "rotations": 0, "sweeps": 0, "notices": 0});
        assert_eq!(outcome, Outcome::Answered(answer), "{}", process.output());
        assert!(process.stdout().contains("Ann still has prod"), "the log is always told: {}", process.output());
    }

    #[tokio::test]
    async fn p1_a_broken_channel_is_named_in_the_log_and_has_nobody_told_again_and_again() {
        let world = surroundings().await;
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        world.aws.put_secret("dutykey/hook", &format!("http://{nobody}/hidden"));
        world.aws.put_secret("dutykey/hook-key", "a shared text");
        let nothing = json!({ "verified_domains": [], "sources": [], "apps": [], "profiles": [] });
        let mut installation: Installation = serde_json::from_value(nothing).unwrap();
        let secret = |name: &str| SecretRef::Secret(name.to_owned());
        let (url, secret) = (secret("dutykey/hook"), secret("dutykey/hook-key"));
        installation.notify = vec![NotifyChannel { id: "ops".to_owned(), url, secret, on: vec![Topic::Overdue] }];
        world.table.store.configure(0, &installation, SystemClock.now()).await.unwrap();
        somebody(&world).await;
        let process = world.start();
        // Tried again after some seconds.
        let mut tried = 0;
        while tried < 2 {
            let outcome = tick(&world, 1).await;
            let Outcome::Answered(answer) = outcome else { panic!("{outcome:?} {}", process.output()) };
            assert_eq!(answer["notices"], 0, "not everybody has taken it: {answer} {}", process.output());
            tried = process.output().matches("is tried again").count();
        }
        assert_eq!(world.aws.published().len(), 1, "the topic has taken it, and is told once: {}", process.output());
        assert!(process.output().contains("channel `ops`"), "{}", process.output());
        assert!(!process.output().contains("hidden"), "P13: the address is in the log: {}", process.output());
    }

    #[tokio::test]
    async fn an_event_of_another_function_is_refused() {
        let world = surroundings().await;
        let process = world.start();
        for event in [events::schedule("sync", SystemClock.now(), 1), events::sqs("sync", &["{}"], SystemClock.now())] {
            let outcome = world.invoke(&event).await;
            let Outcome::Failed(error) = outcome else { panic!("{outcome:?} {}", process.output()) };
            assert_eq!(error.error_type, "InputUnreadable");
        }
    }

    #[tokio::test]
    async fn an_environment_that_is_wrong_is_refused_with_every_name_and_no_value() {
        let mut world = surroundings().await;
        world.unset(&["DUTYKEY_SYNC_QUEUE_URL"]);
        world.set("DUTYKEY_NOTICE_TOPIC_ARN", "hunter2");
        let (error, process) = world.refused().await;
        assert_eq!(error.error_type, "ConfigurationInvalid");
        for name in ["DUTYKEY_SYNC_QUEUE_URL is missing", "DUTYKEY_NOTICE_TOPIC_ARN is not"] {
            assert!(error.error_message.contains(name), "{}", error.error_message);
        }
        assert!(!process.output().contains("hunter2"), "{}", process.output());
    }
}
