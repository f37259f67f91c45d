//! The function's own binary, started as Lambda starts it, and a stand-in for S3.

#[cfg(test)]
mod lambda {
    mod s3;

    use std::collections::BTreeMap;

    use dutykey_engine::ports::clock::Clock;
    use dutykey_policy::evidence::{Chain, ChainHead, Draft, append, copies};
    use dutykey_runtime::clock::SystemClock;
    use dutykey_store::keys;
    use dutykey_tests::events::{self, Change, sequence_number};
    use dutykey_tests::runtime_api::Outcome;
    use dutykey_tests::surroundings::{Surroundings, metrics};
    use serde_json::{Value, json};

    use s3::{BUCKET, FakeS3};

    async fn surroundings(s3: &FakeS3) -> Surroundings {
        let mut world = Surroundings::of(env!("CARGO_BIN_EXE_evidence-copy"), &[]).await;
        world.set("AWS_ENDPOINT_URL_S3", s3.url());
        world.set("DUTYKEY_EVIDENCE_BUCKET", BUCKET);
        world
    }

    fn ann() -> Chain {
        Chain::Person("per_01JD0000000000000000000001".parse().unwrap())
    }

    /// So many records of a chain.
    fn records(chain: &Chain, many: usize) -> Vec<String> {
        let draft = Draft {
            act: "hold.held".to_owned(),
            actor: "provisioning".to_owned(),
            subject: json!({"place": "g-ü"}),
            before: Value::Null,
            after: json!({"state": "held"}),
            why: json!([]),
        };
        let records = append(chain, &ChainHead::default(), SystemClock.now(), &vec![draft; many]).unwrap();
        records.into_iter().map(|record| record.line).collect()
    }

    fn key(chain: &Chain, last: usize) -> Value {
        let key = keys::evidence(chain, last as u64);
        json!({"pk": {"S": key.pk}, "sk": {"S": key.sk}})
    }

    /// That the records from this number on were added as one item.
    fn inserted(chain: &Chain, records: &[String], first: usize) -> Change {
        let last = first + records.len() - 1;
        let lines: Vec<Value> = records.iter().map(|line| json!({ "S": line })).collect();
        let mut image = key(chain, last);
        image["v"] = json!({"N": "1"});
        image["first"] = json!({"N": first.to_string()});
        image["last"] = json!({"N": last.to_string()});
        image["lines"] = json!({ "L": lines });
        image["at"] = json!({"S": "2026-11-23T07:15:00.000Z"});
        Change { what: "INSERT", keys: key(chain, last), image: Some(image) }
    }

    fn object(chain: &Chain, last: u64) -> String {
        format!("evidence/{}", copies::place(chain, last))
    }

    fn body(records: &[String]) -> String {
        records.iter().map(|line| format!("{line}\n")).collect()
    }

    async fn take(world: &Surroundings, changes: &[Change]) -> Outcome {
        world.invoke(&events::stream(changes, SystemClock.now())).await
    }

    /// The answer with which Lambda goes on, or comes again from the n-th change.
    fn from(failed: Option<usize>) -> Outcome {
        let failures: Vec<Value> = failed.iter().map(|n| json!({"itemIdentifier": sequence_number(*n)})).collect();
        Outcome::Answered(json!({ "batchItemFailures": failures }))
    }

    fn touched(process: &dutykey_tests::process::Process) -> u64 {
        metrics(process).iter().filter_map(|line| line["EvidenceTouched"].as_u64()).sum()
    }

    #[tokio::test]
    async fn r18_each_item_of_evidence_becomes_an_object_and_is_never_written_twice() {
        let s3 = FakeS3::start().await;
        let world = surroundings(&s3).await;
        let process = world.start();
        // A name in which almost everything has to be escaped, twice on its way.
        let rota = Chain::Rotation("pd:P 1/ü#%@2".parse().unwrap());
        let (of_ann, of_rota) = (records(&ann(), 3), records(&rota, 1));
        let changes = [
            inserted(&ann(), &of_ann[..2], 1),
            inserted(&rota, &of_rota, 1),
            inserted(&ann(), &of_ann[2..], 3),
            Change {
                what: "MODIFY",
                keys: json!({"pk": {"S": "PULSE"}, "sk": {"S": "PULSE"}}),
                image: Some(json!({})),
            },
        ];
        assert_eq!(take(&world, &changes).await, from(None), "{}", process.output());
        let kept = [
            (object(&ann(), 2), body(&of_ann[..2])),
            (object(&ann(), 3), body(&of_ann[2..])),
            (object(&rota, 1), body(&of_rota)),
        ];
        assert_eq!(s3.objects(), BTreeMap::from(kept.clone()), "{}", process.output());

        assert_eq!(take(&world, &changes).await, from(None), "what comes twice is there already: {}", process.output());
        assert_eq!(s3.objects(), BTreeMap::from(kept));
        assert_eq!(touched(&process), 0, "what is no evidence may change: {}", process.output());
    }

    #[tokio::test]
    async fn p10_what_s3_does_not_take_comes_again_with_all_behind_it() {
        let s3 = FakeS3::start().await;
        let world = surroundings(&s3).await;
        let process = world.start();
        let records = records(&ann(), 3);
        let changes: Vec<Change> = (1..=3).map(|n| inserted(&ann(), &records[n - 1..n], n)).collect();
        for (status, refused) in [(503, object(&ann(), 2)), (403, object(&ann(), 2)), (409, object(&ann(), 2))] {
            s3.refuse(&refused, status);
            assert_eq!(take(&world, &changes).await, from(Some(2)), "{status}: {}", process.output());
        }
        assert_eq!(s3.objects().len(), 2, "the others are there");
        assert_eq!(take(&world, &changes[1..]).await, from(None), "{}", process.output());
        assert_eq!(s3.objects().len(), 3);
    }

    #[tokio::test]
    async fn r18_evidence_that_is_changed_removed_or_made_up_is_told_of_and_holds_up_nothing() {
        let s3 = FakeS3::start().await;
        let world = surroundings(&s3).await;
        let process = world.start();
        let records = records(&ann(), 2);
        let whole = inserted(&ann(), &records[..1], 1);
        let elsewhere = inserted(&Chain::System, &records[..1], 1);
        let renumbered = inserted(&ann(), &records[..1], 2);
        let no_records = inserted(&ann(), &["{}".to_owned()], 1);
        let changes = [
            Change { what: "MODIFY", ..whole.clone() },
            Change { what: "REMOVE", image: None, ..whole },
            elsewhere,
            renumbered,
            no_records,
            inserted(&ann(), &records[1..], 2),
        ];
        assert_eq!(take(&world, &changes).await, from(None), "{}", process.output());
        assert_eq!(s3.objects(), BTreeMap::from([(object(&ann(), 2), body(&records[1..]))]), "{}", process.output());
        assert_eq!(touched(&process), 5, "{}", process.output());
        assert!(process.stdout().contains("was removed"), "{}", process.output());
    }

    #[tokio::test]
    async fn an_event_of_another_function_is_refused() {
        let s3 = FakeS3::start().await;
        let world = surroundings(&s3).await;
        let process = world.start();
        for event in [events::schedule("sync", SystemClock.now(), 1), events::sqs("sync", &["{}"], SystemClock.now())] {
            let outcome = world.invoke(&event).await;
            let Outcome::Failed(error) = outcome else { panic!("{outcome:?} {}", process.output()) };
            assert_eq!(error.error_type, "InputUnreadable");
        }
    }

    #[tokio::test]
    async fn without_a_bucket_it_does_not_start() {
        let s3 = FakeS3::start().await;
        let mut world = surroundings(&s3).await;
        world.unset(&["DUTYKEY_EVIDENCE_BUCKET"]);
        let (error, _) = world.refused().await;
        assert_eq!(error.error_type, "ConfigurationInvalid");
        assert!(error.error_message.contains("DUTYKEY_EVIDENCE_BUCKET is missing"), "{}", error.error_message);
    }
}
