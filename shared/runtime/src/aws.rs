//! AWS clients, built once, each with deadlines, and only those that a function asks for.

mod bucket;
mod queues;

use std::future::Future;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

pub use bucket::{Bucket, BucketError};
pub use queues::SqsQueues;

use crate::clock::WatchedClock;

/// The longest that one try of a call may take.
pub const ATTEMPT: Duration = Duration::from_secs(2);
/// The longest that a call may take with all its tries.
pub const OPERATION: Duration = Duration::from_secs(5);
/// How often a call is tried.
pub const ATTEMPTS: u32 = 3;

/// Where clients come from. Region, credentials and endpoints are those of the environment, as in every SDK.
#[derive(Debug, Clone)]
pub struct Aws(SdkConfig);

impl Aws {
    /// Reads the environment's settings once.
    pub async fn from_environment() -> Self {
        let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .timeout_config(timeouts())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
        Self(loader.load().await)
    }

    /// DynamoDB.
    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.0)
    }

    /// DynamoDB, each of whose answers tells the clock what time it is there.
    #[must_use]
    pub fn dynamodb_watched(&self, clock: &WatchedClock) -> aws_sdk_dynamodb::Client {
        let config = aws_sdk_dynamodb::config::Builder::from(&self.0).interceptor(clock.watcher());
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    /// SQS.
    #[must_use]
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.0)
    }

    /// SNS.
    #[must_use]
    pub fn sns(&self) -> aws_sdk_sns::Client {
        aws_sdk_sns::Client::new(&self.0)
    }

    /// Secrets Manager.
    #[must_use]
    pub fn secrets(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::new(&self.0)
    }
}

/// The deadlines of every call.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().operation_timeout(OPERATION).operation_attempt_timeout(ATTEMPT).build()
}

/// Makes a cheap call while a function starts, so that names are resolved and connections and keys are there before the
/// first event. Whether it succeeds does not matter: what is wrong will be seen where it does.
pub async fn warm<T, E: std::fmt::Display>(call: impl Future<Output = Result<T, E>>) {
    if let Err(error) = call.await {
        tracing::debug!(%error, "a call to warm a connection failed");
    }
}

/// What went wrong with a call, in at most 500 characters. The SDK's own texts for this show the answer's body, which
/// may be a secret; this one shows only what a service says of an error.
pub(crate) fn fault<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    let text = match error {
        SdkError::ServiceError(context) => {
            let meta = context.err().meta();
            format!("{}: {}", meta.code().unwrap_or("an error without a code"), meta.message().unwrap_or_default())
        }
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "no connection in time".to_owned(),
        SdkError::DispatchFailure(failure) if failure.is_io() => "no connection".to_owned(),
        SdkError::DispatchFailure(_) => "the request could not be sent; are there credentials?".to_owned(),
        SdkError::ResponseError(_) => "the answer could not be read".to_owned(),
        _ => "the request could not be made; are region and credentials set?".to_owned(),
    };
    text.chars().take(500).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn warming_ignores_what_goes_wrong() {
        warm(async { Err::<(), _>("not there") }).await;
        warm(async { Ok::<_, String>(()) }).await;
    }

    #[test]
    fn every_call_has_deadlines_within_which_all_its_tries_can_begin() {
        let timeouts = timeouts();
        assert_eq!(timeouts.operation_timeout(), Some(OPERATION));
        assert_eq!(timeouts.operation_attempt_timeout(), Some(ATTEMPT));
        assert!(OPERATION > ATTEMPT * (ATTEMPTS - 1), "the last try could not begin");
    }

    #[test]
    fn the_build_leaves_out_the_entropy_that_costs_a_cold_start() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cargo/config.toml");
        let text = std::fs::read_to_string(path).expect("the workspace has .cargo/config.toml");
        let set = text.lines().map(str::trim).any(|line| line == "AWS_LC_SYS_NO_JITTER_ENTROPY = \"1\"");
        let env = text.lines().any(|line| line.trim() == "[env]");
        assert!(env && set, ".cargo/config.toml must set AWS_LC_SYS_NO_JITTER_ENTROPY = \"1\" under [env]:\n{text}");
    }
}
