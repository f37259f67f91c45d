//! The function's own binary, started as Lambda starts it.

#[cfg(test)]
mod lambda {
    use std::time::Duration;

    use dutykey_engine::ports::clock::Clock;
    use dutykey_engine::ports::ledger::{LivePerson, ReadLedger};
    use dutykey_engine::ports::queue::Message;
    use dutykey_engine::ports::rules::WriteRules;
    use dutykey_policy::catalog::Words;
    use dutykey_policy::hold::State;
    use dutykey_policy::id::PersonId;
    use dutykey_policy::installation::SecretRef;
    use dutykey_policy::time::later;
    use dutykey_runtime::clock::SystemClock;
    use dutykey_tests::company::{self, Access, GROUP};
    use dutykey_tests::events;
    use dutykey_tests::runtime_api::Outcome;
    use dutykey_tests::scim::{Effect, FakeScim, TOKEN};
    use dutykey_tests::surroundings::{Surroundings, failed, metrics};
    use jiff::Timestamp;
    use serde_json::{Value, json};
    use tokio::net::TcpListener;

    async fn surroundings() -> Surroundings {
        Surroundings::of(env!("CARGO_BIN_EXE_provisioning"), &["provisioning", "revocation"]).await
    }

    /// Ann, whose access through one approved request lasts until then.
    async fn ann(world: &Surroundings, scim: &FakeScim, until: Timestamp) -> PersonId {
        scim.state(|scim| {
            scim.add_user("u-ann", "ann@example.com");
            scim.add_group(GROUP, "prod-oncall", &[]);
        });
        world.aws.put_secret("dutykey/scim", TOKEN);
        let (now, token) = (SystemClock.now(), SecretRef::Secret("dutykey/scim".to_owned()));
        world.table.store.configure(0, &company::installation(scim.base_url(), token), now).await.unwrap();
        company::approved(&world.table.store, "ann", until, Access::NotYet, now).await
    }

    async fn live(world: &Surroundings, person: &PersonId) -> LivePerson {
        world.table.store.load(person).await.unwrap().expect("the person is there")
    }

    fn batch(bodies: &[String]) -> Value {
        events::sqs("provisioning", bodies, SystemClock.now())
    }

    fn look(person: &PersonId) -> String {
        serde_json::to_string(&Message::person(person.clone(), "test")).unwrap()
    }

    #[tokio::test]
    async fn p10_a_duplicate_grants_once_and_only_what_cannot_be_read_comes_again() {
        let (world, scim) = (surroundings().await, FakeScim::start().await);
        let until = later(SystemClock.now(), Duration::from_secs(100));
        let ann = ann(&world, &scim, until).await;
        let process = world.start();
        let event = batch(&[look(&ann), "not json".to_owned(), look(&ann), r#"{"v":1,"who":"ann"}"#.to_owned()]);
        assert_eq!(world.invoke(&event).await, failed(&[2, 4]), "{}", process.output());
        assert_eq!(scim.effect(GROUP, "u-ann"), Effect { adds: 1, removes: 0 }, "{:#?}", scim.requests());
        let live = live(&world, &ann).await;
        assert_eq!(live.holds.iter().map(|hold| hold.state).collect::<Vec<_>>(), [State::Held], "{}", process.output());

        // The end is near, so whoever committed it has sent its message, for the second before.
        let sent = world.aws.messages("revocation");
        let delays: Vec<_> = sent.iter().map(|sent| sent.delay.as_secs()).collect();
        assert!(matches!(delays[..], [60..=99]), "the end in 100 s is sent once, ahead of its time: {sent:?}");
        assert!(sent[0].body.contains(ann.as_str()) && sent[0].body.contains("not_before"), "{sent:?}");

        let lines = metrics(&process);
        let [line] = lines.as_slice() else { panic!("one line of metrics for one batch: {lines:?}") };
        assert_eq!((&line["Function"], &line["TargetCalls"]), (&json!("provisioning"), &json!(1)), "{line}");
        assert!(line["GrantLagMs"].is_number(), "{line}");
        assert!(!process.output().contains(TOKEN), "P13: the token is in the log");
        assert!(!process.output().contains("ann@example.com"), "R19: an address is in the log");
    }

    #[tokio::test]
    async fn r24_without_the_table_the_invocation_is_an_error_that_alarms_see_and_the_environment_lives_on() {
        let (mut world, scim) = (surroundings().await, FakeScim::start().await);
        let ann = ann(&world, &scim, later(SystemClock.now(), Duration::from_secs(3_600))).await;
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        world.set("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{nobody}"));
        let process = world.start();
        for _ in 0..2 {
            let outcome = world.invoke(&batch(&[look(&ann)])).await;
            let Outcome::Failed(error) = outcome else { panic!("{outcome:?} {}", process.output()) };
            assert_eq!(error.error_type, "TableUnavailable", "{}", error.error_message);
        }
        assert_eq!(scim.requests(), [], "nothing is done that cannot be recorded");
    }

    #[tokio::test]
    async fn r22_the_schedule_s_message_has_each_app_read_by_one_of_its_own() {
        let (world, scim) = (surroundings().await, FakeScim::start().await);
        scim.state(|scim| {
            scim.add_group(GROUP, "Prod operators", &[]);
            scim.add_group("g-logs", "Log readers", &[]);
        });
        world.aws.put_secret("dutykey/scim", TOKEN);
        let (now, token) = (SystemClock.now(), SecretRef::Secret("dutykey/scim".to_owned()));
        world.table.store.configure(0, &company::installation(scim.base_url(), token), now).await.unwrap();
        let process = world.start();
        let job = events::schedule("catalog", now, 1).to_string();
        assert_eq!(world.invoke(&batch(&[job])).await, failed(&[]), "{}", process.output());
        let sent = world.aws.messages("provisioning");
        assert_eq!(sent.len(), 1, "one for each app: {sent:?}");
        // Twice: the second finds what the first has read.
        let twice = [sent[0].body.clone(), sent[0].body.clone()];
        assert_eq!(world.invoke(&batch(&twice)).await, failed(&[]), "{}", process.output());
        let place = [(company::APP.parse().unwrap(), "group".to_owned())];
        let found = world.table.store.list_entitlements(&place, &Words::of("prod"), None, 50).await.unwrap().items;
        assert_eq!(found.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["Prod operators"]);
        assert!(!process.output().contains(TOKEN), "P13: the token is in the log");
    }

    #[tokio::test]
    async fn a_run_of_a_schedule_is_not_for_this_function() {
        let world = surroundings().await;
        let process = world.start();
        let outcome = world.invoke(&events::schedule("catalog", SystemClock.now(), 1)).await;
        let Outcome::Failed(error) = outcome else { panic!("{outcome:?} {}", process.output()) };
        assert_eq!(error.error_type, "InputUnreadable", "{}", process.output());
    }

    #[tokio::test]
    async fn an_environment_that_lacks_something_is_refused_with_every_name() {
        let mut world = surroundings().await;
        world.unset(&["DUTYKEY_TABLE", "DUTYKEY_REVOCATION_QUEUE_URL"]);
        let (error, _) = world.refused().await;
        assert_eq!(error.error_type, "ConfigurationInvalid");
        for name in ["DUTYKEY_TABLE is missing", "DUTYKEY_REVOCATION_QUEUE_URL is missing"] {
            assert!(error.error_message.contains(name), "{}", error.error_message);
        }
    }
}
