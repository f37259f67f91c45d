//! The whole life of a function under the Runtime API. The test binary starts itself as that function.

#[cfg(test)]
mod lambda {
    use std::num::NonZeroUsize;
    use std::process::ExitCode;
    use std::time::Duration;

    use dutykey_runtime::batch;
    use dutykey_runtime::lambda::{self, ErrorType, Event, Failure, Task};
    use dutykey_tests::aws::{FakeAws, Fault, Operation, Sent};
    use dutykey_tests::events;
    use dutykey_tests::process::Process;
    use dutykey_tests::runtime_api::{Outcome, RuntimeApi};
    use jiff::Timestamp;
    use serde_json::{Value, json};

    const AS_FUNCTION: &str = "START_AS_FUNCTION";
    const ARGUMENTS: &[&str] = &["--exact", "lambda::the_function", "--nocapture"];
    const SOON: Duration = Duration::from_secs(10);
    const AT: Timestamp = Timestamp::constant(1_795_418_100, 0);

    /// What the other tests start; a test that passes where nobody did.
    #[test]
    fn the_function() {
        if std::env::var_os(AS_FUNCTION).is_none() {
            return;
        }
        let code = lambda::main(async {
            let table = std::env::var("DUTYKEY_TABLE").map_err(|_| {
                Failure::new(ErrorType::Configuration, "DUTYKEY_TABLE is not set; name the table in it")
            })?;
            Ok(lambda_runtime::run(lambda::function(move |event| handle(table.clone(), event))))
        });
        let code = (0..=2).find(|n| ExitCode::from(*n) == code).unwrap_or(101);
        std::process::exit(code.into());
    }

    /// Records end as their bodies say; a schedule's run answers with the table's name.
    async fn handle(table: String, event: Event) -> Result<Value, Failure> {
        match event {
            Event::Schedule(job) if job.task == Task::Sync => uses_aws().await,
            Event::Schedule(job) => Ok(json!({"table": table, "attempt": job.attempt})),
            Event::Queue(event) => {
                let done = batch::each(event, NonZeroUsize::MIN, |how: String| async move {
                    match how.as_str() {
                        "done" => Ok(()),
                        "panic" => panic!("a bug"),
                        _ => Err(Failure::new(ErrorType::Table, "the table is away")),
                    }
                });
                let answer = |done| serde_json::to_value(done).map_err(|error| Failure::new(ErrorType::Panic, error));
                done.await.and_then(answer)
            }
            Event::Stream(_) => Err(Failure::new(ErrorType::Input, "it reads no stream")),
        }
    }

    /// Reads a secret, sends a batch of two and publishes, by the SDKs and the environment alone.
    async fn uses_aws() -> Result<Value, Failure> {
        let failed = |error: &dyn std::fmt::Debug| Failure::new(ErrorType::Queue, format!("{error:?}"));
        let config = aws_config::load_defaults(aws_config::BehaviorVersion::v2026_01_12()).await;
        let secrets = aws_sdk_secretsmanager::Client::new(&config);
        let secret = secrets.get_secret_value().secret_id("dutykey/pd").send().await.map_err(|error| failed(&error))?;
        let entry = |id: &str, delay: i32| {
            let entry = aws_sdk_sqs::types::SendMessageBatchRequestEntry::builder().id(id).message_body("m");
            entry.delay_seconds(delay).build().map_err(|error| failed(&error))
        };
        let batch = aws_sdk_sqs::Client::new(&config)
            .send_message_batch()
            .queue_url(std::env::var("DUTYKEY_SYNC_QUEUE_URL").unwrap_or_default())
            .entries(entry("a", 0)?)
            .entries(entry("b", 30)?);
        let sent = batch.send().await.map_err(|error| failed(&error))?;
        let topic =
            aws_sdk_sns::Client::new(&config).publish().topic_arn("arn:aws:sns:eu-central-1:123456789012:notices");
        let told = topic.message("<overdue>").send().await.map_err(|error| failed(&error))?;
        let failed: Vec<_> = sent.failed().iter().map(|failed| (failed.id(), failed.code())).collect();
        Ok(json!({"secret": secret.secret_string(), "failed": failed, "told": told.message_id().is_some()}))
    }

    fn start(mut variables: Vec<(String, String)>) -> Process {
        variables.push((AS_FUNCTION.to_owned(), "1".to_owned()));
        Process::start(&std::env::current_exe().unwrap(), ARGUMENTS, variables).unwrap()
    }

    #[tokio::test]
    async fn p10_an_environment_outlives_bad_events_and_panics() {
        let api = RuntimeApi::start().await.unwrap();
        let mut variables = api.environment("provisioning", 256);
        variables.push(("DUTYKEY_TABLE".to_owned(), "duty".to_owned()));
        let process = start(variables);
        api.watch(&process, tokio::time::Instant::now());
        if let Err(outcome) = api.ready().await {
            panic!("the function does not start ({outcome:?}): {}", process.output());
        }

        let bodies = [r#""done""#, r#""panic""#, "not json", r#""away""#, r#""done""#];
        let failed = [2, 3, 4].map(|n| json!({"itemIdentifier": events::message_id(n)}));
        let outcome = api.invoke(&events::sqs("provisioning", &bodies, AT), SOON).await;
        assert_eq!(outcome, Outcome::Answered(json!({ "batchItemFailures": failed })), "{}", process.output());

        let Outcome::Failed(error) = api.invoke(&events::sqs("provisioning", &bodies[1..4], AT), SOON).await else {
            panic!("what Lambda takes for a success is a batch of which nothing was done: {}", process.output());
        };
        assert_eq!(error.error_type, "Panicked", "{}", error.error_message);

        let Outcome::Failed(error) = api.invoke(&json!({"hello": "world"}), SOON).await else {
            panic!("an event that is nobody's was taken: {}", process.output());
        };
        assert_eq!(error.error_type, "InputUnreadable");

        let outcome = api.invoke(&events::schedule("catalog", AT, 2), SOON).await;
        assert_eq!(outcome, Outcome::Answered(json!({"table": "duty", "attempt": 2})), "{}", process.output());
    }

    #[tokio::test]
    async fn a_refused_configuration_is_told_to_lambda_and_ends_the_process() {
        let api = RuntimeApi::start().await.unwrap();
        let process = start(api.environment("provisioning", 256));
        api.watch(&process, tokio::time::Instant::now());
        let Err(Outcome::NotStarted(error)) = api.ready().await else {
            panic!("Lambda does not learn why: {}", process.output());
        };
        assert_eq!(error.error_type, "ConfigurationInvalid");
        assert_eq!(error.error_message, "DUTYKEY_TABLE is not set; name the table in it");
        assert_eq!(process.wait(SOON).await.unwrap().code(), Some(2));
        assert!(process.stderr().contains("DUTYKEY_TABLE is not set"), "the log says so too: {}", process.stderr());
    }

    #[tokio::test]
    async fn a_function_that_a_person_starts_says_what_to_run_instead() {
        let process = start(vec![]);
        assert_eq!(process.wait(SOON).await.unwrap().code(), Some(2));
        assert!(process.stderr().contains("run `dutykey`"), "{}", process.stderr());
    }

    #[tokio::test]
    async fn the_sdks_and_the_fake_services_understand_each_other() {
        let (api, aws) = (RuntimeApi::start().await.unwrap(), FakeAws::start().await.unwrap());
        aws.put_secret("dutykey/pd", "s3cret");
        aws.fail(Operation::GetSecretValue, Fault::Throttled, 1);
        aws.fail(Operation::SendMessageBatch, Fault::Internal, 1);
        aws.fail(Operation::SendMessageBatch, Fault::Entry(1), 1);
        aws.fail(Operation::Publish, Fault::Throttled, 1);
        let mut variables = api.environment("rotation-sync", 256);
        variables.extend(aws.environment());
        variables.push(("DUTYKEY_TABLE".to_owned(), "duty".to_owned()));
        variables.push(("DUTYKEY_SYNC_QUEUE_URL".to_owned(), aws.queue_url("sync")));
        let process = start(variables);
        api.watch(&process, tokio::time::Instant::now());

        let outcome = api.invoke(&events::schedule("sync", AT, 1), Duration::from_secs(30)).await;
        let answer = json!({"secret": "s3cret", "failed": [["b", "InternalError"]], "told": true});
        assert_eq!(outcome, Outcome::Answered(answer), "{}", process.output());
        let calls = [Operation::GetSecretValue, Operation::SendMessageBatch, Operation::Publish];
        assert_eq!(calls.map(|of| aws.calls(of)), [2; 3], "each SDK took the fault for one and tried again");
        assert_eq!(aws.messages("sync"), [Sent { body: "m".to_owned(), delay: Duration::ZERO }]);
        assert_eq!(aws.published()[0].message, "<overdue>");
    }
}
