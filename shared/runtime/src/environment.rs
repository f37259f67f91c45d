//! What a function is told by its environment: which table, which queues. Everything else is in the table.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use dutykey_engine::ports::queue::Queue;
use dutykey_policy::time::parse_duration;

/// How long a secret is kept before it is read again, where `DUTYKEY_SECRET_TTL` does not say.
pub const SECRET_TTL: Duration = Duration::from_secs(300);

/// The environment of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The table (`DUTYKEY_TABLE`): its name or ARN.
    pub table: String,
    /// The addresses of the queues that the function sends to (`DUTYKEY_SYNC_QUEUE_URL`, `DUTYKEY_PROVISIONING_QUEUE_URL`,
    /// `DUTYKEY_REVOCATION_QUEUE_URL`).
    pub queues: BTreeMap<Queue, String>,
    /// The topic to which notices go (`DUTYKEY_NOTICE_TOPIC_ARN`), where there is one.
    pub notice_topic: Option<String>,
    /// The bucket in which evidence is copied (`DUTYKEY_EVIDENCE_BUCKET`), where there is one.
    pub evidence_bucket: Option<String>,
    /// The installation's name (`DUTYKEY_ENVIRONMENT`), by which its metrics are told apart; default `default`.
    pub name: String,
    /// How long a secret is kept before it is read again (`DUTYKEY_SECRET_TTL`); default 5 minutes.
    pub secret_ttl: Duration,
}

/// Something is wrong with a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its name.
    pub variable: &'static str,
    /// What is wrong. Never the value itself, which may be anything.
    pub message: &'static str,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.variable, self.message)
    }
}

/// A function cannot start with this environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment cannot be used: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct EnvironmentError(pub Vec<Problem>);

/// The variable that has a queue's address.
#[must_use]
pub fn queue_variable(queue: Queue) -> &'static str {
    match queue {
        Queue::Sync => "DUTYKEY_SYNC_QUEUE_URL",
        Queue::Provisioning => "DUTYKEY_PROVISIONING_QUEUE_URL",
        Queue::Revocation => "DUTYKEY_REVOCATION_QUEUE_URL",
    }
}

impl Environment {
    /// Reads the environment of a function that sends to these queues. An empty variable counts as absent.
    ///
    /// # Errors
    /// Every variable that is missing or wrong, not only the first.
    pub fn read(lookup: impl Fn(&str) -> Option<String>, queues: &[Queue]) -> Result<Self, EnvironmentError> {
        let mut problems = Vec::new();
        let mut read = |variable: &'static str, ok: fn(&str) -> bool, wrong: &'static str| {
            let value = lookup(variable).filter(|value| !value.is_empty())?;
            if !ok(&value) {
                problems.push(Problem { variable, message: wrong });
            }
            Some(value)
        };
        let table = read("DUTYKEY_TABLE", is_table, "is not the name or ARN of a DynamoDB table");
        let addresses: Vec<(Queue, Option<String>)> = queues
            .iter()
            .map(|queue| (*queue, read(queue_variable(*queue), is_address, "is not the URL of an SQS queue")))
            .collect();
        let notice_topic = read("DUTYKEY_NOTICE_TOPIC_ARN", is_topic, "is not the ARN of an SNS topic");
        let evidence_bucket = read("DUTYKEY_EVIDENCE_BUCKET", is_bucket, "is not the name of an S3 bucket");
        let name = read("DUTYKEY_ENVIRONMENT", is_name, "must be 1 to 64 letters, digits, _ and -");
        let ttl_ok = |text: &str| parse_duration(text).is_ok();
        let ttl = read("DUTYKEY_SECRET_TTL", ttl_ok, "must be a whole number and s, m, h or d, like 5m");

        if table.is_none() {
            problems.push(Problem { variable: "DUTYKEY_TABLE", message: "is missing" });
        }
        for (queue, _) in addresses.iter().filter(|(_, address)| address.is_none()) {
            problems.push(Problem { variable: queue_variable(*queue), message: "is missing" });
        }
        if !problems.is_empty() {
            return Err(EnvironmentError(problems));
        }
        Ok(Self {
            table: table.unwrap_or_default(),
            queues: addresses.into_iter().filter_map(|(queue, address)| Some((queue, address?))).collect(),
            notice_topic,
            evidence_bucket,
            name: name.unwrap_or_else(|| "default".to_owned()),
            secret_ttl: ttl.and_then(|text| parse_duration(&text).ok()).unwrap_or(SECRET_TTL),
        })
    }
}

/// DynamoDB's developer guide, "Naming rules": 3 to 255 letters, digits, `_`, `-` and `.`; or an ARN.
fn is_table(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    let named = (3..=255).contains(&text.len()) && text.bytes().all(plain);
    let arn = text.starts_with("arn:") && text.len() <= 1_024 && text.bytes().all(|b| plain(b) || b":/".contains(&b));
    named || arn
}

fn is_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
}

fn is_topic(text: &str) -> bool {
    let mut parts = text.split(':');
    parts.next() == Some("arn") && parts.nth(1) == Some("sns") && parts.count() == 3
}

/// S3's user guide, "General purpose bucket naming rules".
fn is_bucket(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    (3..=63).contains(&text.len()) && text.bytes().all(plain)
}

fn is_name(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup<'a>(variables: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn a_function_gets_what_it_asks_for() {
        let variables = [
            ("DUTYKEY_TABLE", "dutykey"),
            ("DUTYKEY_REVOCATION_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/123456789012/revocation"),
            ("DUTYKEY_SYNC_QUEUE_URL", "not looked at"),
            ("DUTYKEY_NOTICE_TOPIC_ARN", "arn:aws:sns:eu-central-1:123456789012:notices"),
            ("DUTYKEY_EVIDENCE_BUCKET", "dutykey-evidence-1f0c"),
            ("DUTYKEY_SECRET_TTL", "90s"),
            ("DUTYKEY_ENVIRONMENT", ""),
        ];
        let environment = Environment::read(lookup(&variables), &[Queue::Revocation]).expect("all there");
        assert_eq!(environment.queues.keys().collect::<Vec<_>>(), [&Queue::Revocation]);
        assert_eq!(environment.secret_ttl, Duration::from_secs(90));
        assert_eq!(environment.name, "default", "an empty variable is an absent one");
        let least = Environment::read(lookup(&[("DUTYKEY_TABLE", "dutykey")]), &[]).expect("all there");
        assert_eq!((least.secret_ttl, least.notice_topic, least.evidence_bucket), (SECRET_TTL, None, None));
    }

    #[test]
    fn every_missing_or_wrong_variable_is_named_and_no_value_repeated() {
        let variables = [
            ("DUTYKEY_SYNC_QUEUE_URL", "hunter2"),
            ("DUTYKEY_NOTICE_TOPIC_ARN", "arn:aws:sqs:eu-central-1:123456789012:notices"),
            ("DUTYKEY_EVIDENCE_BUCKET", "s3://bucket"),
            ("DUTYKEY_SECRET_TTL", "soon"),
            ("DUTYKEY_ENVIRONMENT", "pro d"),
        ];
        let error = Environment::read(lookup(&variables), &[Queue::Sync, Queue::Provisioning]).expect_err("refused");
        let text = error.to_string();
        for (variable, value) in variables {
            assert!(text.contains(variable) && !text.contains(value), "{text}");
        }
        assert!(text.contains("DUTYKEY_TABLE is missing; DUTYKEY_PROVISIONING_QUEUE_URL is missing"), "{text}");
        assert_eq!(error.0.len(), 7);
    }
}
