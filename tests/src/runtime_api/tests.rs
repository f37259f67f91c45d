use std::os::unix::process::ExitStatusExt;

use super::*;

const SOON: Duration = Duration::from_secs(10);

/// A function's side of the API, in the test's own process.
struct Function {
    api: String,
    client: reqwest::Client,
}

impl Function {
    fn of(api: &RuntimeApi) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { api: format!("http://{}/2018-06-01/runtime", api.address), client }
    }

    /// The next event with its request ID and deadline, in milliseconds.
    async fn next(&self) -> (String, u128, Value) {
        let response = self.client.get(format!("{}/invocation/next", self.api)).send().await.unwrap();
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        let (id, deadline) = (header("lambda-runtime-aws-request-id"), header("lambda-runtime-deadline-ms"));
        assert!(header("lambda-runtime-trace-id").starts_with("Root=1-"));
        assert!(header("lambda-runtime-invoked-function-arn").ends_with(":function:handoff"));
        (id, deadline.parse().unwrap(), response.json().await.unwrap())
    }

    async fn post(&self, path: &str, body: &str) -> u16 {
        let request = self.client.post(format!("{}/{path}", self.api)).body(body.to_owned());
        request.header("lambda-runtime-function-error-type", "T").send().await.unwrap().status().as_u16()
    }
}

async fn api() -> (RuntimeApi, Function) {
    let api = RuntimeApi::start().await.unwrap();
    assert!(api.environment("handoff", 256).contains(&("AWS_LAMBDA_FUNCTION_MEMORY_SIZE".into(), "256".into())));
    let function = Function::of(&api);
    (api, function)
}

#[tokio::test]
async fn events_go_out_one_at_a_time_and_each_ends_as_the_function_says() {
    let (api, function) = api().await;
    #[expect(clippy::disallowed_methods, reason = "the deadline is an instant of the machine's clock")]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let (one, two) = (json!({"n": 1}), json!({"n": 2}));
    let invocations = async { tokio::join!(api.invoke(&one, SOON), api.invoke(&two, SOON)) };
    let work = async {
        let (id, deadline, event) = function.next().await;
        assert_eq!(event, json!({"n": 1}));
        assert!((now + 10_000..now + 20_000).contains(&deadline), "the deadline {deadline} is 10 s after {now}");
        assert_eq!(function.post("invocation/another/response", "{}").await, 400, "an ID that nobody gave");
        assert_eq!(function.post(&format!("invocation/{id}/response"), r#"{"batchItemFailures":[]}"#).await, 202);
        assert_eq!(function.post(&format!("invocation/{id}/response"), "{}").await, 400, "a second answer");
        let (id, _, event) = function.next().await;
        assert_eq!(event, json!({"n": 2}));
        let error = r#"{"errorType":"TableUnavailable","errorMessage":"away"}"#;
        assert_eq!(function.post(&format!("invocation/{id}/error"), error).await, 202);
    };
    let ((first, second), ()) = tokio::join!(invocations, work);
    assert_eq!(first, Outcome::Answered(json!({"batchItemFailures": []})));
    let error = FunctionError { error_type: "TableUnavailable".into(), error_message: "away".into() };
    assert_eq!(second, Outcome::Failed(error));
}

#[tokio::test]
async fn a_start_that_is_refused_says_why() {
    let (api, function) = api().await;
    let error = r#"{"errorType":"ConfigurationInvalid","errorMessage":"DUTYKEY_TABLE is not set"}"#;
    assert_eq!(function.post("init/error", error).await, 202);
    let Outcome::NotStarted(error) = api.invoke(&json!({}), SOON).await else { panic!("the error is not shown") };
    assert_eq!(error.error_message, "DUTYKEY_TABLE is not set");
}

#[tokio::test]
async fn a_process_that_dies_or_oversleeps_ends_its_invocation() {
    let shell = |script: &str| Process::start(FilePath::new("/bin/sh"), &["-c", script], []).unwrap();
    let (api, function) = api().await;
    let process = shell("exec 2>&1; while :; do :; done");
    api.watch(&process, Instant::now());
    let (event, short) = (json!({}), Duration::from_millis(50));
    let (outcome, _) = tokio::join!(api.invoke(&event, short), function.next());
    assert_eq!(outcome, Outcome::TimedOut);
    assert_eq!(process.wait(SOON).await.unwrap().signal(), Some(9), "the process is killed at the deadline");

    let api = RuntimeApi::start().await.unwrap();
    let process = shell("exit 7");
    api.watch(&process, Instant::now());
    let Outcome::Died(status) = api.invoke(&event, SOON).await else { panic!("the death is not seen") };
    assert_eq!(status.code(), Some(7));
}
