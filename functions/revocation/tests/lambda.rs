//! The function's own binary, started as Lambda starts it.

#[cfg(test)]
mod lambda {
    use std::path::Path;
    use std::time::Duration;

    use dutykey_embedded::Embedded;
    use dutykey_engine::ports::clock::Clock;
    use dutykey_engine::ports::ledger::{LivePerson, PersonChange, ReadLedger, WriteLedger};
    use dutykey_engine::ports::queue::Message;
    use dutykey_engine::ports::rota::{UserLink, WriteRota};
    use dutykey_engine::ports::rules::{ReadDue, WriteRules};
    use dutykey_policy::enrollment::{Enrollment, Origin, Period};
    use dutykey_policy::hold::{Hold, State};
    use dutykey_policy::id::{EntitlementRef, HoldKey, PersonId, Place};
    use dutykey_policy::identity::Account;
    use dutykey_policy::installation::{App, Installation, SecretRef, TargetSettings};
    use dutykey_policy::profile::Profile;
    use dutykey_policy::rota::End;
    use dutykey_policy::time::{earlier, later};
    use dutykey_policy::wants::{Reason, Shape, Want};
    use dutykey_runtime::clock::SystemClock;
    use dutykey_store::Store;
    use dutykey_tests::aws::FakeAws;
    use dutykey_tests::events;
    use dutykey_tests::process::Process;
    use dutykey_tests::runtime_api::{Outcome, RuntimeApi};
    use dutykey_tests::scim::{Effect, FakeScim, Fault, Moment, Reply, TOKEN};
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
            set("DUTYKEY_PROVISIONING_QUEUE_URL", aws.queue_url("provisioning"));
            set("DUTYKEY_REVOCATION_QUEUE_URL", aws.queue_url("revocation"));
            let table = tokio::spawn(async move { table.serve_on(listener).await.unwrap() });
            Self { api, aws, store, table, variables }
        }

        fn start(&self) -> Process {
            self.api.launch(Path::new(env!("CARGO_BIN_EXE_revocation")), "revocation", 256, &self.variables).unwrap()
        }

        /// Ann, whose access through one approved request lasts until then, and her membership of the group.
        async fn ann(&self, scim: &FakeScim, until: Timestamp) -> PersonId {
            scim.state(|world| {
                world.add_user("u-ann", "ann@example.com");
                world.add_group("g-prod", "prod-oncall", &["u-ann"]);
            });
            self.aws.put_secret("dutykey/scim", TOKEN);
            let now = SystemClock.now();
            self.store.configure(0, &installation(scim), now).await.unwrap();
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
            let LivePerson { head, mut person, .. } = self.live(&id).await;
            let (app, account) = ("directory".parse().unwrap(), "u-ann".parse().unwrap());
            person.accounts.insert(app, Account::Linked(account));
            let from = earlier(now, Duration::from_secs(600));
            let periods = vec![Period { from, until: End::At(until), from_known: from, until_known: from }];
            let origin = Origin::Request("req_1".to_owned());
            let enrollment = Enrollment { person: id.clone(), profile: "on-call".parse().unwrap(), origin, periods };
            let hold = held(&id, &enrollment, until, from);
            let change = PersonChange {
                person: id.clone(),
                head,
                at: now,
                next_start: None,
                next_end: None,
                identity: Some(person),
                claims: Vec::new(),
                enrollments: vec![enrollment],
                holds: vec![hold],
                roll: None,
                evidence: Vec::new(),
                notices: Vec::new(),
            };
            self.store.commit(&change).await.unwrap();
            id
        }

        async fn live(&self, person: &PersonId) -> LivePerson {
            self.store.load(person).await.unwrap().expect("the person is there")
        }
    }

    fn installation(scim: &FakeScim) -> Installation {
        let settings =
            TargetSettings::Scim { base_url: scim.base_url(), token: SecretRef::Secret("dutykey/scim".to_owned()) };
        let (kind, id) = ("group".to_owned(), "g-prod".to_owned());
        let profile = Profile {
            id: "on-call".parse().unwrap(),
            version: 1,
            name: "On-call".to_owned(),
            entitlements: vec![EntitlementRef { app: "directory".parse().unwrap(), kind, id }],
            mode: dutykey_policy::profile::Mode::Enforce,
            enrollment: None,
            self_service: None,
            self_override: dutykey_policy::profile::SelfOverride::Hold,
            override_lock: Duration::ZERO,
            break_glass: None,
        };
        Installation {
            verified_domains: vec!["example.com".to_owned()],
            directory: None,
            api: Default::default(),
            sources: Vec::new(),
            apps: vec![App { id: "directory".parse().unwrap(), settings, retiring: false }],
            links: Vec::new(),
            profiles: vec![profile],
            sync: Default::default(),
            brake: Default::default(),
            notify: Vec::new(),
        }
    }

    /// A membership that Dutykey has given and nobody has taken back.
    fn held(id: &PersonId, enrollment: &Enrollment, until: Timestamp, from: Timestamp) -> Hold {
        let place = Place { kind: "group".to_owned(), id: "g-prod".to_owned() };
        let key = HoldKey { app: "directory".parse().unwrap(), account: "u-ann".parse().unwrap(), place };
        let reason = Reason {
            profile: enrollment.profile.clone(),
            version: 1,
            origin: enrollment.origin.clone(),
            from,
            until,
            rolling: false,
            from_known: from,
            until_known: from,
        };
        let want = Want { shape: Shape::Member, reasons: vec![reason], frozen: false };
        Hold { state: State::Held, touched: true, ..Hold::wanted(key, id.clone(), &want, from) }
    }

    fn batch(bodies: &[String]) -> Value {
        events::sqs("revocation", bodies, SystemClock.now())
    }

    fn look(person: &PersonId) -> String {
        serde_json::to_string(&Message::person(person.clone(), "test")).unwrap()
    }

    fn failed(records: &[usize]) -> Outcome {
        let failed: Vec<_> = records.iter().map(|n| json!({"itemIdentifier": events::message_id(*n)})).collect();
        Outcome::Answered(json!({ "batchItemFailures": failed }))
    }

    /// The lines of stdout that CloudWatch takes metrics from.
    fn metrics(process: &Process) -> Vec<Value> {
        let lines = process.stdout();
        let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line.get("_aws").is_some()).collect()
    }

    #[tokio::test]
    async fn p5_a_duplicate_takes_away_once_and_the_end_is_proven() {
        let (world, scim) = (World::new().await, FakeScim::start().await);
        let ann = world.ann(&scim, earlier(SystemClock.now(), Duration::from_secs(1))).await;
        let process = world.start();
        let event = batch(&[look(&ann), "not json".to_owned(), look(&ann)]);
        assert_eq!(world.api.invoke(&event, SOON).await, failed(&[2]), "{}", process.output());
        assert_eq!(scim.effect("g-prod", "u-ann"), Effect { adds: 0, removes: 1 }, "{:#?}", scim.requests());
        assert_eq!(world.live(&ann).await.holds, [], "{}", process.output());
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
        let (world, scim) = (World::new().await, FakeScim::start().await);
        let ann = world.ann(&scim, later(SystemClock.now(), Duration::from_secs(3_600))).await;
        let process = world.start();
        assert_eq!(world.api.invoke(&batch(&[look(&ann)]), SOON).await, failed(&[]), "{}", process.output());
        assert_eq!(scim.effect("g-prod", "u-ann"), Effect::default(), "{:#?}", scim.requests());
        assert_eq!(world.live(&ann).await.holds.len(), 1);
    }

    #[tokio::test]
    async fn p1_an_app_that_is_down_is_state_and_no_failed_message() {
        let (world, scim) = (World::new().await, FakeScim::start().await);
        let ann = world.ann(&scim, earlier(SystemClock.now(), Duration::from_secs(60))).await;
        let down = Reply::status(503).with("retry-after", "40");
        scim.fault(100, |_| true, Moment::BeforeEffect, Fault::Answer(down));
        let process = world.start();
        assert_eq!(world.api.invoke(&batch(&[look(&ann)]), SOON).await, failed(&[]), "{}", process.output());
        let live = world.live(&ann).await;
        let next = live.head.next_end.expect("the end stays due").at;
        assert!(next > later(SystemClock.now(), Duration::from_secs(5)), "Retry-After wins: {next}");
        let notices = world.store.due_notices(SystemClock.now()).await.unwrap();
        assert_eq!(notices.len(), 1, "somebody is told of the access that is overdue: {notices:?}");
        let sent = world.aws.messages("revocation");
        assert!(sent.iter().any(|sent| sent.delay.as_secs() > 5), "its message is sent for the next try: {sent:?}");
    }

    #[tokio::test]
    async fn an_environment_that_lacks_something_is_refused_with_every_name() {
        let mut world = World::new().await;
        world.variables.retain(|(name, _)| name != "DUTYKEY_TABLE" && name != "DUTYKEY_REVOCATION_QUEUE_URL");
        let process = world.start();
        let Err(Outcome::NotStarted(error)) = world.api.ready().await else {
            panic!("the function starts: {}", process.output());
        };
        assert_eq!(error.error_type, "ConfigurationInvalid");
        for name in ["DUTYKEY_TABLE is missing", "DUTYKEY_REVOCATION_QUEUE_URL is missing"] {
            assert!(error.error_message.contains(name), "{}", error.error_message);
        }
        assert_eq!(process.wait(SOON).await.unwrap().code(), Some(2));
    }
}
