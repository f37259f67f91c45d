//! The function's own binary, started as Lambda starts it.

#[cfg(test)]
mod lambda {
    use access_requests::{Ports, PublishedKeys, Unconfigured, guarded, nowhere, router};
    use dutykey_engine::ports::clock::Clock;
    use dutykey_engine::ports::queue::{Enqueue, Message, Queue, SendError};
    use dutykey_engine::ports::rules::{Pulse, WritePulse, WriteRules as _};
    use dutykey_runtime::clock::{SystemChance, SystemClock};
    use dutykey_tests::events::HttpRequest;
    use dutykey_tests::issuer::Issuer;
    use dutykey_tests::process::Process;
    use dutykey_tests::runtime_api::Outcome;
    use dutykey_tests::surroundings::Surroundings;
    use serde_json::Value;
    use tower::ServiceExt as _;

    const BINARY: &str = env!("CARGO_BIN_EXE_access-requests");

    const QUEUES: [&str; 3] = ["sync", "provisioning", "revocation"];

    async fn started() -> (Surroundings, Process) {
        let world = Surroundings::of(BINARY, &QUEUES).await;
        let process = world.start();
        (world, process)
    }

    /// The answer as API Gateway gets it.
    async fn get(world: &Surroundings, process: &Process, path: &str) -> Value {
        let request = HttpRequest::new("GET", path).header("host", "api.example.com").event(SystemClock.now());
        match world.invoke(&request).await {
            Outcome::Answered(answer) => answer,
            outcome => panic!("{outcome:?} {}", process.output()),
        }
    }

    #[tokio::test]
    async fn health_is_that_something_looks_for_what_is_due() {
        let (world, process) = started().await;
        let answer = get(&world, &process, "/healthz").await;
        assert_eq!(answer["statusCode"], 503, "no tick ran: {answer}");
        world.table.store.keep_pulse(&Pulse { ticked_at: Some(SystemClock.now()), ..Pulse::default() }).await.unwrap();
        let answer = get(&world, &process, "/healthz").await;
        assert_eq!((&answer["statusCode"], &answer["body"]), (&200.into(), &r#"{"status":"ok"}"#.into()), "{answer}");
        assert_eq!(answer["headers"]["x-content-type-options"], "nosniff", "{answer}");
    }

    #[tokio::test]
    async fn r21_nothing_is_told_to_a_caller_whom_nobody_knows() {
        let (world, process) = started().await;
        for path in ["/v1/who", "/v1/holds", "/v1/evidence", "/v1/forecast", "/v1/rotations", "/"] {
            let answer = get(&world, &process, path).await;
            let expected = if path == "/" { 404 } else { 403 };
            assert_eq!(answer["statusCode"], expected, "{path}: {answer}");
        }
    }

    const CONFIG: &str = r#"
version: 1
verified_domains: [example.com]
api: { oidc: { issuer: "ISSUER", audience: dutykey }, auditors: { groups: [audit] } }
sources: [{ id: rota, platform: icalendar, url: ./rota.ics, rotation: primary }]
apps: [{ id: toys, target: sandbox, script: {} }]
profiles:
  - id: prod
    name: Production
    entitlements: [{ app: toys, kind: group, id: ops }]
    self_service: { rotations: ["rota:primary"], max_duration: 1h, policy: auto_approve }
"#;

    /// Nobody takes messages.
    struct NoQueues;

    #[async_trait::async_trait]
    impl Enqueue for NoQueues {
        async fn send(&self, _: Queue, _: Vec<Message>) -> Result<(), SendError> {
            Ok(())
        }
    }

    /// A call: method, path, query, who with which group, body.
    type Call<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], Option<(&'a str, &'a str)>, String);

    #[tokio::test]
    async fn what_api_gateway_gets_is_what_http_gets() {
        let issuer = Issuer::start().await;
        let (world, process) = started().await;
        let store = world.table.store.clone();
        let text = CONFIG.replace("ISSUER", &issuer.url);
        let document = dutykey_runtime::config::parse(text.as_bytes(), std::path::Path::new("/")).unwrap();
        let installation = document.pin(|_| Err("it has no names".to_owned())).unwrap();
        store.configure(0, &installation, SystemClock.now()).await.unwrap();
        let clock = std::sync::Arc::new(SystemClock);
        let served = router(Ports {
            store,
            queues: std::sync::Arc::new(NoQueues),
            keys: std::sync::Arc::new(PublishedKeys::new(clock.clone()).unwrap()),
            unconfigured: Unconfigured::Believed,
            clock,
            chance: std::sync::Arc::new(SystemChance),
        });
        let served = served.fallback(nowhere).layer(axum::middleware::map_response(guarded));
        let (ann, cat) = (Some(("ann", "everybody")), Some(("cat", "audit")));
        let ask = r#"{"profile":"prod","duration":"1h","justification":"disk full"}"#;
        let none = String::new;
        let request = "/v1/requests/req_01JD0000000000000000000000";
        let decision = format!("{request}/decision");
        let calls: [Call<'_>; 17] = [
            ("GET", "/v1/me", &[], ann, none()),
            ("GET", "/v1/me", &[], None, none()),
            ("GET", "/v1/openapi.json", &[], None, none()),
            ("GET", "/v1/who", &[("at", "2030-01-01T00:00:00Z")], ann, none()),
            ("GET", "/v1/who", &[("at", "noon & night")], ann, none()),
            ("GET", "/v1/holds", &[("limit", "3"), ("cursor", "abcd")], ann, none()),
            ("GET", "/v1/rotations", &[], ann, none()),
            ("GET", "/v1/evidence", &[], ann, none()),
            ("GET", "/v1/evidence", &[("chain", "system")], cat, none()),
            ("GET", "/v1/requests", &[("waiting", "true")], ann, none()),
            ("GET", request, &[], ann, none()),
            ("POST", "/v1/requests", &[], ann, ask.to_owned()),
            ("POST", "/v1/requests", &[], ann, "{".to_owned()),
            ("POST", "/v1/requests", &[], ann, format!("{{\"profile\":\"{}\"}}", "x".repeat(70_000))),
            ("POST", &decision, &[], cat, r#"{"decision":"approve"}"#.to_owned()),
            ("PATCH", "/v1/me", &[], ann, none()),
            ("GET", "/v1/a%20b/ü", &[], ann, none()),
        ];
        for (method, path, query, who, body) in calls {
            let token = who.map(|(who, group)| issuer.token(&issuer.claims(who, &[group], SystemClock.now())));
            let bearer = token.map(|token| format!("Bearer {token}"));
            let mut event = HttpRequest::new(method, path).header("host", "api.example.com");
            for (name, value) in query {
                event = event.query(name, value);
            }
            event = event.header("content-type", "application/json").body(body.clone());
            if let Some(bearer) = &bearer {
                event = event.header("authorization", bearer);
            }
            let answer = match world.invoke(&event.event(SystemClock.now())).await {
                Outcome::Answered(answer) => answer,
                outcome => panic!("{method} {path}: {outcome:?} {}", process.output()),
            };
            let mut address = reqwest::Url::parse("http://localhost").unwrap().join(path).unwrap();
            if !query.is_empty() {
                address.query_pairs_mut().extend_pairs(query);
            }
            let address = address.as_str().trim_start_matches("http://localhost").to_owned();
            let mut sent = axum::http::Request::builder().method(method).uri(address);
            sent = sent.header("content-type", "application/json");
            if let Some(bearer) = &bearer {
                sent = sent.header("authorization", bearer);
            }
            let sent = sent.body(axum::body::Body::from(body)).unwrap();
            let response = served.clone().oneshot(sent).await.unwrap();
            let status = response.status().as_u16();
            let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
            let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
            let expected: Value = serde_json::from_slice(&bytes).unwrap();
            let got: Value = serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or(Value::Null);
            assert_eq!(
                (&answer["statusCode"], &answer["headers"]["content-type"], &got),
                (&status.into(), &kind.into(), &expected),
                "{method} {path} {query:?}: {answer}"
            );
        }
    }

    #[tokio::test]
    async fn an_environment_without_a_table_is_refused() {
        let mut world = Surroundings::of(BINARY, &QUEUES).await;
        world.unset(&["DUTYKEY_TABLE"]);
        let (error, _) = world.refused().await;
        assert!(error.error_message.contains("DUTYKEY_TABLE is missing"), "{}", error.error_message);
    }
}
