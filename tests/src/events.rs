//! Event documents as AWS sends them to functions: SQS batches, changes of a table, EventBridge Scheduler inputs, HTTP API
//! requests. Shapes: the Lambda developer guide (*Using Lambda with Amazon SQS*, *with Amazon DynamoDB*) and the API Gateway developer guide (*Working with
//! AWS Lambda proxy integrations for HTTP APIs*, payload format 2.0).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::aws::{ACCOUNT, REGION};

/// The event of a batch that Lambda read from a queue: one record for each body, first delivery.
#[must_use]
pub fn sqs<B: AsRef<str>>(queue: &str, bodies: &[B], at: Timestamp) -> Value {
    let millisecond = at.as_millisecond().to_string();
    let record = |(n, body): (usize, &B)| {
        let body = body.as_ref();
        json!({
            "messageId": message_id(n + 1),
            "receiptHandle": format!("receipt-{}", n + 1),
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": millisecond,
                "SenderId": "AROAEXAMPLEID:dutykey",
                "ApproximateFirstReceiveTimestamp": millisecond,
            },
            "messageAttributes": {},
            "md5OfBody": format!("{:x}", md5::compute(body)),
            "eventSource": "aws:sqs",
            "eventSourceARN": format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"),
            "awsRegion": REGION,
        })
    };
    json!({ "Records": bodies.iter().enumerate().map(record).collect::<Vec<_>>() })
}

/// The ID of the n-th record of [`sqs`], from 1; batch item failures name it.
#[must_use]
pub fn message_id(n: usize) -> String {
    format!("059f36b4-87a3-44ab-83d2-{n:012x}")
}

/// A change of a table: what happened to an item, its key, and the item as it is then, in DynamoDB's own JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// `INSERT`, `MODIFY` or `REMOVE`.
    pub what: &'static str,
    /// The item's key.
    pub keys: Value,
    /// The item, where there still is one.
    pub image: Option<Value>,
}

/// The event of changes that Lambda read from a table's stream.
#[must_use]
pub fn stream(changes: &[Change], at: Timestamp) -> Value {
    let record = |(n, change): (usize, &Change)| {
        json!({
            "eventID": format!("c81e728d9d4c2f636f067f89cc14{:04x}", n + 1),
            "eventName": change.what,
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": REGION,
            "eventSourceARN": format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/dutykey/stream/2026-11-23T07:00:00.000"),
            "dynamodb": present(json!({
                "ApproximateCreationDateTime": at.as_second(),
                "Keys": change.keys,
                "NewImage": change.image,
                "SequenceNumber": sequence_number(n + 1),
                "SizeBytes": 26,
                "StreamViewType": "NEW_IMAGE",
            })),
        })
    };
    json!({ "Records": changes.iter().enumerate().map(record).collect::<Vec<_>>() })
}

/// The sequence number of the n-th change of [`stream`], from 1; batch item failures name it.
#[must_use]
pub fn sequence_number(n: usize) -> String {
    (4_421_584_500_000_000_017_450_439_000 + n as u128).to_string()
}

/// The input of one of Dutykey's schedules (`handoff`, `sync`, `catalog`), its context attributes filled in.
#[must_use]
pub fn schedule(job: &str, scheduled_time: Timestamp, attempt: u32) -> Value {
    json!({
        "v": 1,
        "job": job,
        "scheduled_time": format!("{scheduled_time:.0}"),
        "execution_id": format!("d32c5kddcf5bb8{attempt:02}"),
        "attempt": attempt.to_string(),
    })
}

/// A request to an HTTP API, as a function gets it in payload format 2.0.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    claims: Option<Map<String, Value>>,
}

impl HttpRequest {
    /// A request without query, headers and body.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        let (method, path) = (method.to_owned(), path.to_owned());
        Self { method, path, query: Vec::new(), headers: Vec::new(), body: None, claims: None }
    }

    /// Adds a parameter, not yet encoded.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a header. API Gateway hands names on in lower case and joins repeated ones with commas.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// The body. API Gateway encodes what is not text in Base64; it goes by the content type, and here by the bytes.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// What the JWT authorizer found in the caller's token. It hands every claim on as a string, an array as `[a b c]`.
    #[must_use]
    pub fn claims<'a>(mut self, claims: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        self.claims = Some(claims.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect());
        self
    }

    /// The event document; the request came in at that time.
    #[must_use]
    pub fn event(&self, at: Timestamp) -> Value {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.query).finish();
        let header = |name: &str| self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let authorizer = self.claims.as_ref().map(|claims| json!({"jwt": {"claims": claims, "scopes": null}}));
        let text = self.body.as_deref().map(|body| std::str::from_utf8(body).map_err(|_| STANDARD.encode(body)));
        present(json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": self.path,
            "rawQueryString": query,
            "queryStringParameters": (!self.query.is_empty()).then(|| joined(&self.query)),
            "headers": joined(&self.headers),
            "requestContext": present(json!({
                "accountId": ACCOUNT,
                "apiId": "dk1api",
                "authorizer": authorizer,
                "domainName": format!("dk1api.execute-api.{REGION}.amazonaws.com"),
                "domainPrefix": "dk1api",
                "http": {
                    "method": self.method,
                    "path": self.path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "192.0.2.1",
                    "userAgent": header("user-agent").unwrap_or_default(),
                },
                "requestId": "JKJaXmPLvHcESHA=",
                "routeKey": "$default",
                "stage": "$default",
                "time": at.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
                "timeEpoch": at.as_millisecond(),
            })),
            "isBase64Encoded": matches!(text, Some(Err(_))),
            "body": text.map(|text| text.map_or_else(Value::String, |text| json!(text))),
        }))
    }
}

/// An object without the members that are null: API Gateway leaves out what is not there.
fn present(mut object: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    object
}

/// The pairs as one object; the values of a repeated name are joined by commas.
fn joined(pairs: &[(String, String)]) -> Value {
    let mut object = Map::new();
    for (name, value) in pairs {
        let whole = match object.get(name).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value.clone(),
        };
        object.insert(name.clone(), json!(whole));
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::constant(1_795_418_100, 250_000_000);

    #[test]
    fn an_sqs_event_names_its_records_and_digests_their_bodies() {
        let event = sqs("sync", &["hello world"], AT);
        let record = &event["Records"][0];
        assert_eq!(record["messageId"], json!(message_id(1)));
        assert_eq!(record["md5OfBody"], json!("5eb63bbbe01eeed093cb22bb8f5acdc3"));
        assert_eq!(record["attributes"]["SentTimestamp"], json!("1795418100250"));
        assert_eq!(record["eventSourceARN"], json!("arn:aws:sqs:eu-central-1:123456789012:sync"));
    }

    #[test]
    fn a_schedule_s_input_has_strings_where_the_scheduler_substitutes() {
        let input = schedule("handoff", AT, 2);
        assert_eq!(input["scheduled_time"], json!("2026-11-23T07:15:00Z"));
        assert_eq!(input["attempt"], json!("2"));
    }

    #[test]
    fn an_http_event_joins_headers_and_encodes_what_is_not_text() {
        let request = HttpRequest::new("POST", "/webhooks/pd")
            .query("q", "a b")
            .header("X-PagerDuty-Signature", "v1=one")
            .header("x-pagerduty-signature", "v1=two")
            .claims([("groups", "[a b]")]);
        let event = request.clone().body("{}").event(AT);
        assert_eq!(event["headers"]["x-pagerduty-signature"], json!("v1=one,v1=two"));
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("{}"), &json!(false)));
        assert_eq!((&event["rawQueryString"], &event["queryStringParameters"]["q"]), (&json!("q=a+b"), &json!("a b")));
        assert_eq!(event["requestContext"]["time"], json!("23/Nov/2026:07:15:00 +0000"));
        assert_eq!(event["requestContext"]["authorizer"]["jwt"]["claims"]["groups"], json!("[a b]"));
        let event = HttpRequest::new("GET", "/healthz").event(AT);
        for absent in ["/body", "/queryStringParameters", "/requestContext/authorizer"] {
            assert_eq!(event.pointer(absent), None, "{absent} is left out where it is not");
        }
        let event = request.body([0xff, 0x00]).event(AT);
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("/wA="), &json!(true)));
    }
}
