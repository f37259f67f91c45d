//! The function's own binary, started as Lambda starts it.

#[cfg(test)]
mod lambda {
    use dutykey_engine::ports::clock::Clock;
    use dutykey_engine::ports::rules::{Pulse, WritePulse};
    use dutykey_runtime::clock::SystemClock;
    use dutykey_tests::events::HttpRequest;
    use dutykey_tests::process::Process;
    use dutykey_tests::runtime_api::Outcome;
    use dutykey_tests::surroundings::Surroundings;
    use serde_json::Value;

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

    #[tokio::test]
    async fn an_environment_without_a_table_is_refused() {
        let mut world = Surroundings::of(BINARY, &QUEUES).await;
        world.unset(&["DUTYKEY_TABLE"]);
        let (error, _) = world.refused().await;
        assert!(error.error_message.contains("DUTYKEY_TABLE is missing"), "{}", error.error_message);
    }
}
