//! The function's own binary, started as Lambda starts it.

#[cfg(test)]
mod lambda {
    use std::path::Path;
    use std::time::Duration;

    use dutykey_embedded::Embedded;
    use dutykey_engine::ports::clock::Clock;
    use dutykey_engine::ports::rules::{Pulse, WritePulse};
    use dutykey_runtime::clock::SystemClock;
    use dutykey_store::Store;
    use dutykey_tests::events::HttpRequest;
    use dutykey_tests::process::Process;
    use dutykey_tests::runtime_api::{Outcome, RuntimeApi};
    use serde_json::Value;
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    const SOON: Duration = Duration::from_secs(30);

    struct World {
        api: RuntimeApi,
        process: Process,
        store: Store,
        table: JoinHandle<()>,
    }

    impl Drop for World {
        fn drop(&mut self) {
            self.table.abort();
        }
    }

    fn start(api: &RuntimeApi, variables: &[(String, String)]) -> Process {
        api.launch(Path::new(env!("CARGO_BIN_EXE_access-requests")), "access-requests", 256, variables).unwrap()
    }

    impl World {
        async fn new() -> Self {
            let table = Embedded::memory().unwrap();
            let store = Store::new(table.client(), "dutykey");
            store.create_table("table-1").await.unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = format!("http://{}", listener.local_addr().unwrap());
            let variables = [("AWS_ENDPOINT_URL_DYNAMODB", address), ("DUTYKEY_TABLE", "dutykey".to_owned())];
            let table = tokio::spawn(async move { table.serve_on(listener).await.unwrap() });
            let api = RuntimeApi::start().await.unwrap();
            let process = start(&api, &variables.map(|(name, value)| (name.to_owned(), value)));
            Self { api, process, store, table }
        }

        /// The answer as API Gateway gets it.
        async fn get(&self, path: &str) -> Value {
            let request = HttpRequest::new("GET", path).header("host", "api.example.com").event(SystemClock.now());
            match self.api.invoke(&request, SOON).await {
                Outcome::Answered(answer) => answer,
                outcome => panic!("{outcome:?} {}", self.process.output()),
            }
        }
    }

    #[tokio::test]
    async fn health_is_that_something_looks_for_what_is_due() {
        let world = World::new().await;
        let answer = world.get("/healthz").await;
        assert_eq!(answer["statusCode"], 503, "no tick ran: {answer}");
        world.store.keep_pulse(&Pulse { ticked_at: Some(SystemClock.now()), ..Pulse::default() }).await.unwrap();
        let answer = world.get("/healthz").await;
        assert_eq!((&answer["statusCode"], &answer["body"]), (&200.into(), &r#"{"status":"ok"}"#.into()), "{answer}");
        assert_eq!(answer["headers"]["x-content-type-options"], "nosniff", "{answer}");
    }

    #[tokio::test]
    async fn r21_nothing_is_told_to_a_caller_whom_nobody_knows() {
        let world = World::new().await;
        for path in ["/v1/who", "/v1/holds", "/v1/evidence", "/v1/forecast", "/v1/rotations", "/"] {
            let answer = world.get(path).await;
            assert_eq!(answer["statusCode"], 404, "{path}: {answer}");
        }
    }

    #[tokio::test]
    async fn an_environment_without_a_table_is_refused() {
        let api = RuntimeApi::start().await.unwrap();
        let process = start(&api, &[]);
        let Err(Outcome::NotStarted(error)) = api.ready().await else {
            panic!("the function starts: {}", process.output());
        };
        assert!(error.error_message.contains("DUTYKEY_TABLE is missing"), "{}", error.error_message);
    }
}
