//! The table that the template makes is the one that the code makes where no deployment does.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{KeySchemaElement, Projection};
use dutykey_embedded::Embedded;
use dutykey_store::Store;
use serde_json::Value;

use super::template::{file, resources, template};

/// What makes a table what it is.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    keys: Vec<(String, String)>,
    attributes: BTreeSet<(String, String)>,
    indexes: BTreeMap<String, (Vec<(String, String)>, String)>,
    billing: String,
    expires_by: String,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn written() -> Shape {
    let data = template("data");
    let [(_, table)] = resources(&data, "AWS::DynamoDB::Table")[..] else { panic!("data.yaml has one table") };
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let keys = |it: &Value| -> Vec<_> {
        list(&it["KeySchema"]).iter().map(|key| (text(&key["AttributeName"]), text(&key["KeyType"]))).collect()
    };
    let attribute = |it: &Value| (text(&it["AttributeName"]), text(&it["AttributeType"]));
    let index = |it: &Value| (text(&it["IndexName"]), (keys(it), text(&it["Projection"]["ProjectionType"])));
    assert_eq!(table["TimeToLiveSpecification"]["Enabled"], true, "data.yaml: garbage is removed by its time");
    Shape {
        keys: keys(table),
        attributes: list(&table["AttributeDefinitions"]).iter().map(attribute).collect(),
        indexes: list(&table["GlobalSecondaryIndexes"]).iter().map(index).collect(),
        billing: text(&table["BillingMode"]),
        expires_by: text(&table["TimeToLiveSpecification"]["AttributeName"]),
    }
}

async fn made() -> Shape {
    let client = Embedded::memory().unwrap().client();
    Store::new(client.clone(), "dutykey").create_table("test").await.unwrap();
    let table = client.describe_table().table_name("dutykey").send().await.unwrap().table.unwrap();
    let ttl = client.describe_time_to_live().table_name("dutykey").send().await.unwrap();
    let keys = |schema: &[KeySchemaElement]| -> Vec<_> {
        schema.iter().map(|key| (key.attribute_name.clone(), key.key_type.as_str().to_owned())).collect()
    };
    let projected = |it: Option<&Projection>| it.unwrap().projection_type().unwrap().as_str().to_owned();
    let attributes = table.attribute_definitions().iter();
    let indexes = table.global_secondary_indexes().iter();
    Shape {
        keys: keys(table.key_schema()),
        attributes: attributes.map(|it| (it.attribute_name.clone(), it.attribute_type.as_str().to_owned())).collect(),
        indexes: indexes
            .map(|it| (it.index_name().unwrap().to_owned(), (keys(it.key_schema()), projected(it.projection()))))
            .collect(),
        billing: table.billing_mode_summary().unwrap().billing_mode().unwrap().as_str().to_owned(),
        expires_by: ttl.time_to_live_description.unwrap().attribute_name.unwrap(),
    }
}

#[tokio::test]
async fn the_table_is_the_one_that_the_code_makes() {
    assert_eq!(written(), made().await, "left: infra/data.yaml; right: shared/store/src/table.rs");
}

#[test]
fn r18_the_copy_of_the_evidence_is_locked_and_outlives_its_stack() {
    let data = template("data");
    let bucket = &data["Resources"]["EvidenceBucket"];
    let policies = (&bucket["DeletionPolicy"], &bucket["UpdateReplacePolicy"]);
    assert_eq!(policies, (&"Retain".into(), &"Retain".into()));
    let bucket = &bucket["Properties"];
    let lock = &bucket["ObjectLockConfiguration"];
    assert_eq!((&bucket["ObjectLockEnabled"], &lock["ObjectLockEnabled"]), (&true.into(), &"Enabled".into()));
    let kept = &lock["Rule"]["DefaultRetention"];
    assert_eq!((&kept["Mode"]["Ref"], &kept["Days"]["Ref"]), (&"EvidenceLockMode".into(), &"EvidenceLockDays".into()));
    assert_eq!(bucket["VersioningConfiguration"]["Status"], "Enabled", "what is there stays");
    let open = bucket["PublicAccessBlockConfiguration"].as_object().unwrap();
    assert!(open.len() == 4 && open.values().all(|blocked| *blocked == true), "nobody from outside: {open:?}");
    let said = &data["Resources"]["EvidenceBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"][0];
    assert_eq!((&said["Effect"], &said["Condition"]["Bool"]["aws:SecureTransport"]), (&"Deny".into(), &"false".into()));
    let said = &data["Resources"]["EvidenceBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"][1];
    let over = (&said["Effect"], &said["Action"], &said["Condition"]["Null"]["s3:if-none-match"]);
    assert_eq!(over, (&"Deny".into(), &"s3:PutObject".into(), &"true".into()), "nothing newer stands before it");
}

#[test]
fn the_table_outlives_its_stack() {
    let data = template("data");
    let table = &data["Resources"]["Table"];
    let policies = (&table["DeletionPolicy"], &table["UpdateReplacePolicy"]);
    assert_eq!(policies, (&"Retain".into(), &"Retain".into()), "data.yaml: holds and evidence are in it alone");
    let kept = &table["Properties"];
    assert_eq!(kept["DeletionProtectionEnabled"], true, "data.yaml: nobody deletes the table by mistake");
    let recovery = &kept["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"];
    assert_eq!(recovery, true, "data.yaml: the table can be had as it was");
}

#[test]
fn r18_after_a_restore_a_parameter_changes_the_table_so_that_its_new_stream_is_seen() {
    let (data, readme) = (template("data"), file("README.md"));
    let tags = data["Resources"]["Table"]["Properties"]["Tags"].to_string();
    assert!(tags.contains(r#"{"Ref":"TableRestored"}"#), "data.yaml: the parameter is a tag of the table: {tags}");
    let (_, restore) = readme.split_once("## After a restore").expect("infra/README.md says what to do then");
    let (restore, _) = restore.split_once("\n## ").expect("it is not the last section");
    assert!(restore.contains("TableRestored="), "infra/README.md says when the parameter is set");
}
