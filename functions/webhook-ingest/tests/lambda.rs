//! The function's own binary, started as Lambda starts it.

#[cfg(test)]
mod lambda {
    use std::path::Path;

    use dutykey_engine::ports::clock::Clock;
    use dutykey_engine::ports::queue::Message;
    use dutykey_engine::ports::rules::WriteRules;
    use dutykey_policy::time::rfc3339;
    use dutykey_runtime::clock::SystemClock;
    use dutykey_tests::events::HttpRequest;
    use dutykey_tests::process::Process;
    use dutykey_tests::runtime_api::Outcome;
    use dutykey_tests::surroundings::Surroundings;
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::Sha256;

    const SECRET: &str = "shared-between-two";
    const CONFIG: &str = r#"
version: 1
verified_domains: [example.com]
sources:
  - { id: pd, platform: pagerduty, token: { secret: dutykey/pd }, webhook_secret: { secret: dutykey/pd-hook } }
apps:
  - { id: toys, target: sandbox, script: {} }
profiles:
  - id: on-call
    name: On-call
    entitlements: [{ app: toys, kind: group, id: ops }]
    enrollment: { rotations: ["pd:PPOL001@1"], lease: 4h }
"#;

    async fn surroundings() -> Surroundings {
        let world = Surroundings::of(env!("CARGO_BIN_EXE_webhook-ingest"), &["sync"]).await;
        world.aws.put_secret("dutykey/pd-hook", SECRET);
        let document = dutykey_runtime::config::parse(CONFIG.as_bytes(), Path::new("/")).unwrap();
        let installation = document.pin(|_| Err("it has no names".to_owned())).unwrap();
        world.table.store.configure(0, &installation, SystemClock.now()).await.unwrap();
        world
    }

    /// The status that the platform gets for this body, signed with that secret.
    async fn post(world: &Surroundings, process: &Process, body: &str, secret: &str) -> u64 {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let signature = format!("v1={}", dutykey_policy::rota::hex(&mac.finalize().into_bytes()));
        let request = HttpRequest::new("POST", "/webhooks/pd")
            .header("host", "api.example.com")
            .header("content-type", "application/json")
            .header("x-pagerduty-signature", &signature)
            .body(body);
        match world.invoke(&request.event(SystemClock.now())).await {
            Outcome::Answered(answer) => answer["statusCode"].as_u64().expect("a status"),
            outcome => panic!("{outcome:?} {}", process.output()),
        }
    }

    fn incident() -> String {
        let at = rfc3339(SystemClock.now());
        format!(
            r#"{{"event":{{"id":"e1","event_type":"incident.triggered","occurred_at":"{at}","data":{{"escalation_policy":{{"id":"PPOL001"}}}}}}}}"#
        )
    }

    #[tokio::test]
    async fn r15_a_signed_hint_asks_for_one_read_and_a_forged_one_for_none() {
        let world = surroundings().await;
        let process = world.start();
        let incident = incident();
        assert_eq!(post(&world, &process, &incident, "forged").await, 403, "{}", process.output());
        assert!(world.aws.messages("sync").is_empty());
        assert_eq!(post(&world, &process, &incident, SECRET).await, 202, "{}", process.output());
        assert_eq!(post(&world, &process, &incident, SECRET).await, 202, "a duplicate: {}", process.output());
        let sent = world.aws.messages("sync");
        let [read] = sent.as_slice() else { panic!("one read: {sent:?} {}", process.output()) };
        let expected = Message::rota("pd".parse().unwrap(), Some("PPOL001@1".to_owned()), "webhook");
        assert_eq!(serde_json::from_str::<Message>(&read.body).unwrap().about, expected.about);
        assert!(!process.output().contains(SECRET), "P13: the secret is in the log");
    }

    #[tokio::test]
    async fn an_environment_without_the_queue_of_reads_is_refused() {
        let mut world = surroundings().await;
        world.unset(&["DUTYKEY_SYNC_QUEUE_URL"]);
        let (error, _) = world.refused().await;
        assert!(error.error_message.contains("DUTYKEY_SYNC_QUEUE_URL is missing"), "{}", error.error_message);
    }
}
