//! The protocols: what requests look like, and how answers are written.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// What a call gives: a document, or an error.
pub(super) type Answer = Result<Value, Refusal>;

/// An error of a service.
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) text: String,
}

impl Refusal {
    /// An error on the service's side.
    pub(super) fn ours(code: &'static str, text: &str) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code, text: text.to_owned() }
    }
}

/// An error on the caller's side.
pub(super) fn refuse<T>(code: &'static str, text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { status: StatusCode::BAD_REQUEST, code, text: text.into() })
}

pub(super) fn read<T: DeserializeOwned>(body: &str) -> Result<T, Refusal> {
    serde_json::from_str(body).or_else(|error| refuse("SerializationException", error.to_string()))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Message {
    pub(super) queue_url: String,
    pub(super) message_body: String,
    #[serde(default)]
    pub(super) delay_seconds: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch {
    pub(super) queue_url: String,
    pub(super) entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) message_body: String,
    #[serde(default)]
    pub(super) delay_seconds: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SecretId {
    pub(super) secret_id: String,
}

/// JSON 1.0 with what SQS adds for clients of its older protocol: the code in a header of its own.
pub(super) fn sqs(answer: Answer) -> Response {
    const JSON: (header::HeaderName, &str) = (header::CONTENT_TYPE, "application/x-amz-json-1.0");
    match answer {
        Ok(document) => ([JSON], document.to_string()).into_response(),
        Err(Refusal { status, code, text }) => {
            let (older, party) = match code {
                "QueueDoesNotExist" => ("AWS.SimpleQueueService.NonExistentQueue".to_owned(), "Sender"),
                "EmptyBatchRequest"
                | "TooManyEntriesInBatchRequest"
                | "BatchEntryIdsNotDistinct"
                | "BatchRequestTooLong" => (format!("AWS.SimpleQueueService.{code}"), "Sender"),
                "InternalFailure" => (code.to_owned(), "Receiver"),
                _ => (code.to_owned(), "Sender"),
            };
            let body = json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": text}).to_string();
            (status, [JSON], [("x-amzn-query-error", format!("{older};{party}"))], body).into_response()
        }
    }
}

pub(super) fn json_1_1(answer: Answer) -> Response {
    const JSON: (header::HeaderName, &str) = (header::CONTENT_TYPE, "application/x-amz-json-1.1");
    match answer {
        Ok(document) => ([JSON], document.to_string()).into_response(),
        Err(Refusal { status, code, text }) => {
            (status, [JSON], json!({"__type": code, "Message": text}).to_string()).into_response()
        }
    }
}

/// SNS's XML, in which every text here is safe as it is.
pub(super) fn query(answer: Answer) -> Response {
    const NAMESPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";
    const REQUEST: &str = "f187a3c1-376f-11df-8963-01868b7c937a";
    let (status, body) = match answer {
        Ok(id) => (
            StatusCode::OK,
            format!(
                "<PublishResponse xmlns=\"{NAMESPACE}\"><PublishResult><MessageId>{}</MessageId></PublishResult>\
                 <ResponseMetadata><RequestId>{REQUEST}</RequestId></ResponseMetadata></PublishResponse>",
                id.as_str().unwrap_or_default()
            ),
        ),
        Err(Refusal { status, code, text }) => {
            // The older protocol has older names for two of them.
            let code = match code {
                "ThrottlingException" => "Throttling",
                "AccessDeniedException" => "AuthorizationError",
                code => code,
            };
            let party = if status.is_server_error() { "Receiver" } else { "Sender" };
            let body = format!(
                "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{party}</Type><Code>{code}</Code>\
                 <Message>{text}</Message></Error><RequestId>{REQUEST}</RequestId></ErrorResponse>"
            );
            (status, body)
        }
    };
    (status, [(header::CONTENT_TYPE, "text/xml")], body).into_response()
}
