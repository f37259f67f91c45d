//! The function's own binary, started as Lambda starts it.

#[cfg(test)]
mod lambda {
    use std::time::Duration;

    use dutykey_engine::ports::clock::Clock;
    use dutykey_engine::ports::ledger::{LivePerson, ReadLedger};
    use dutykey_engine::ports::queue::Message;
    use dutykey_engine::ports::rules::{ReadDue, WriteRules};
    use dutykey_policy::id::PersonId;
    use dutykey_policy::installation::SecretRef;
    use dutykey_policy::time::{earlier, later};
    use dutykey_runtime::clock::SystemClock;
    use dutykey_tests::company::{self, Access, GROUP};
    use dutykey_tests::events;
    use dutykey_tests::scim::{Effect, FakeScim, Fault, Moment, Reply, TOKEN};
    use dutykey_tests::surroundings::{Surroundings, failed, metrics};
    use jiff::Timestamp;
    use serde_json::{Value, json};

    async fn surroundings() -> Surroundings {
        Surroundings::of(env!("CARGO_BIN_EXE_revocation"), &["provisioning", "revocation"]).await
    }

    /// Ann, whose access through one approved request lasts until then, and her membership of the group.
    async fn ann(world: &Surroundings, scim: &FakeScim, until: Timestamp) -> PersonId {
        scim.state(|scim| {
            scim.add_user("u-ann", "ann@example.com");
            scim.add_group(GROUP, "prod-oncall", &["u-ann"]);
        });
        world.aws.put_secret("dutykey/scim", TOKEN);
        let (now, token) = (SystemClock.now(), SecretRef::Secret("dutykey/scim".to_owned()));
        world.table.store.configure(0, &company::installation(scim.base_url(), token), now).await.unwrap();
        company::approved(&world.table.store, "ann", until, Access::Held, now).await
    }

    async fn live(world: &Surroundings, person: &PersonId) -> LivePerson {
        world.table.store.load(person).await.unwrap().expect("the person is there")
    }

    fn batch(bodies: &[String]) -> Value {
        events::sqs("revocation", bodies, SystemClock.now())
    }

    fn look(person: &PersonId) -> String {
        serde_json::to_string(&Message::person(person.clone(), "test")).unwrap()
    }

    #[tokio::test]
    async fn p5_a_duplicate_takes_away_once_and_the_end_is_proven() {
        let (world, scim) = (surroundings().await, FakeScim::start().await);
        let ann = ann(&world, &scim, earlier(SystemClock.now(), Duration::from_secs(1))).await;
        let process = world.start();
        let event = batch(&[look(&ann), "not json".to_owned(), look(&ann)]);
        assert_eq!(world.invoke(&event).await, failed(&[2]), "{}", process.output());
        assert_eq!(scim.effect(GROUP, "u-ann"), Effect { adds: 0, removes: 1 }, "{:#?}", scim.requests());
        assert_eq!(live(&world, &ann).await.holds, [], "{}", process.output());
        let requests = scim.requests();
        let removed = requests.iter().rposition(|request| request.writes()).unwrap();
        assert!(removed + 1 < requests.len(), "nothing was read after the removal: {requests:#?}");

        let lines = metrics(&process);
        let [line] = lines.as_slice() else { panic!("one line of metrics for one batch: {lines:?}") };
        assert_eq!((&line["Function"], &line["TargetCalls"]), (&json!("revocation"), &json!(1)), "{line}");
        assert!(line["RevokeLagMs"].is_number(), "{line}");
    }

    #[tokio::test]
    async fn p1_access_with_a_live_reason_stays() {
        let (world, scim) = (surroundings().await, FakeScim::start().await);
        let ann = ann(&world, &scim, later(SystemClock.now(), Duration::from_secs(3_600))).await;
        let process = world.start();
        assert_eq!(world.invoke(&batch(&[look(&ann)])).await, failed(&[]), "{}", process.output());
        assert_eq!(scim.effect(GROUP, "u-ann"), Effect::default(), "{:#?}", scim.requests());
        assert_eq!(live(&world, &ann).await.holds.len(), 1);
    }

    #[tokio::test]
    async fn p1_an_app_that_is_down_is_state_and_no_failed_message() {
        let (world, scim) = (surroundings().await, FakeScim::start().await);
        let ann = ann(&world, &scim, earlier(SystemClock.now(), Duration::from_secs(60))).await;
        let down = Reply::status(503).with("retry-after", "40");
        scim.fault(100, |_| true, Moment::BeforeEffect, Fault::Answer(down));
        let process = world.start();
        assert_eq!(world.invoke(&batch(&[look(&ann)])).await, failed(&[]), "{}", process.output());
        let live = live(&world, &ann).await;
        let next = live.head.next_end.expect("the end stays due").at;
        assert!(next > later(SystemClock.now(), Duration::from_secs(5)), "Retry-After wins: {next}");
        let notices = world.table.store.due_notices(SystemClock.now()).await.unwrap();
        assert_eq!(notices.len(), 1, "somebody is told of the access that is overdue: {notices:?}");
        let sent = world.aws.messages("revocation");
        assert!(sent.iter().any(|sent| sent.delay.as_secs() > 5), "its message is sent for the next try: {sent:?}");
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
