use serde_json::Value;

use super::*;

/// The status and the body of a call by a JSON protocol; the code of an error where there is one.
async fn ask(aws: &FakeAws, target: &str, body: Value) -> (u16, Value, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("http://{}/", aws.address())).header("x-amz-target", target);
    let response = request.body(body.to_string()).send().await.unwrap();
    let status = response.status().as_u16();
    let older = response.headers().get("x-amzn-query-error").map(|code| code.to_str().unwrap().to_owned());
    (status, response.json().await.unwrap(), older.unwrap_or_default())
}

fn entries(n: u32) -> Vec<Value> {
    (0..n).map(|n| json!({"Id": n.to_string(), "MessageBody": format!("m{n}"), "DelaySeconds": n})).collect()
}

#[tokio::test]
async fn a_batch_is_taken_entry_by_entry_with_its_delays_and_digests() {
    let aws = FakeAws::start().await.unwrap();
    let url = aws.queue_url("sync");
    aws.fail(Operation::SendMessageBatch, Fault::Entry(1), 1);
    let body = json!({"QueueUrl": url, "Entries": entries(3)});
    let (status, answer, _) = ask(&aws, "AmazonSQS.SendMessageBatch", body).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["Failed"][0]["Id"], json!("1"));
    assert_eq!(answer["Successful"][1]["Id"], json!("2"));
    assert_eq!(answer["Successful"][1]["MD5OfMessageBody"], json!("aaf2f89992379705dac844c0a2a1d45f"));
    let delays: Vec<_> = aws.messages("sync").into_iter().map(|sent| (sent.body, sent.delay.as_secs())).collect();
    assert_eq!(delays, [("m0".to_owned(), 0), ("m2".to_owned(), 2)]);
    assert_eq!(aws.messages("sync"), [], "messages are handed out once");
}

#[tokio::test]
async fn what_sqs_refuses_is_refused_with_its_codes() {
    let aws = FakeAws::start().await.unwrap();
    let url = aws.queue_url("sync");
    let twice = json!([{"Id": "a", "MessageBody": "1"}, {"Id": "a", "MessageBody": "2"}]);
    let cases = [
        (
            json!({"QueueUrl": url, "Entries": entries(11)}),
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest;Sender",
        ),
        (json!({"QueueUrl": url, "Entries": []}), "AWS.SimpleQueueService.EmptyBatchRequest;Sender"),
        (json!({"QueueUrl": url, "Entries": twice}), "AWS.SimpleQueueService.BatchEntryIdsNotDistinct;Sender"),
        (
            json!({"QueueUrl": "http://x/1/other", "Entries": entries(1)}),
            "AWS.SimpleQueueService.NonExistentQueue;Sender",
        ),
    ];
    for (body, code) in cases {
        let (status, _, older) = ask(&aws, "AmazonSQS.SendMessageBatch", body).await;
        assert_eq!((status, older.as_str()), (400, code));
    }
    let late = json!({"QueueUrl": url, "MessageBody": "m", "DelaySeconds": 901});
    assert_eq!(ask(&aws, "AmazonSQS.SendMessage", late).await.0, 400, "the longest delay is 15 minutes");
    assert_eq!((aws.messages("sync"), aws.calls(Operation::SendMessageBatch)), (vec![], 4));
}

#[tokio::test]
async fn secrets_are_found_by_name_and_by_arn_and_faults_pass() {
    let aws = FakeAws::start().await.unwrap();
    aws.put_secret("dutykey/pagerduty", "s3cret");
    aws.fail(Operation::GetSecretValue, Fault::Throttled, 1);
    aws.fail(Operation::GetSecretValue, Fault::Internal, 1);
    let get = |id: &str| ask(&aws, "secretsmanager.GetSecretValue", json!({ "SecretId": id }));
    assert_eq!(get("dutykey/pagerduty").await.1["__type"], json!("ThrottlingException"));
    assert_eq!(get("dutykey/pagerduty").await.0, 500);
    let (_, found, _) = get("dutykey/pagerduty").await;
    assert_eq!(found["SecretString"], json!("s3cret"));
    assert_eq!(get(found["ARN"].as_str().unwrap()).await.1, found);
    assert_eq!(get("other").await.1["__type"], json!("ResourceNotFoundException"));
    assert_eq!(aws.calls(Operation::GetSecretValue), 5);
}

#[tokio::test]
async fn a_topic_takes_messages_by_the_query_protocol() {
    let aws = FakeAws::start().await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let form = "Action=Publish&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns&Message=a+%26+b&Subject=S";
    let publish = || async {
        let response = client.post(format!("http://{}/", aws.address())).body(form).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let (status, answer) = publish().await;
    assert!(status == 200 && answer.contains("<PublishResult><MessageId>94f20ce6-"), "{status} {answer}");
    let sent = Published { topic: "arn:aws:sns".into(), subject: Some("S".into()), message: "a & b".into() };
    assert_eq!(aws.published(), [sent]);
    aws.fail(Operation::Publish, Fault::Denied, 1);
    let (status, answer) = publish().await;
    assert!(status == 400 && answer.contains("<Code>AuthorizationError</Code>"), "{status} {answer}");
}
