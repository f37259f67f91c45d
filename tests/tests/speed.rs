//! What an answer of the HTTP API costs does not depend on how large the company is, except where the answer does. The
//! benchmark (`examples/speed.rs`) asks the same of a large company.

mod compare;
mod lines;
mod meter;

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use dutykey_embedded::Embedded;
use dutykey_store::Store;
use dutykey_tests::crowd::Size;

use compare::{Plan, compare, incomplete};
use lines::LINES;
use meter::Meter;

#[tokio::test(start_paused = true)]
async fn no_endpoint_scans_the_table_and_none_costs_more_in_a_larger_company_unless_it_answers_more() {
    let plan = Plan { size: Size { people: 100, rotations: 10, holds: 500 }, samples: 1 };
    let compared = compare(plan).await.unwrap();
    assert!(compared.complaints.is_empty(), "{compared}");
}

#[test]
fn an_endpoint_that_nobody_asks_is_named() {
    let mut described: BTreeSet<String> = LINES.iter().map(|line| line.endpoint.to_owned()).collect();
    assert_eq!(incomplete(&described), Vec::<String>::new());
    described.insert("GET /v1/news".to_owned());
    described.remove("GET /v1/holds");
    let said = incomplete(&described);
    assert!(said.len() == 2 && said[0].contains("GET /v1/news") && said[1].contains("GET /v1/holds"), "{said:?}");
}

#[tokio::test]
async fn read_units_are_counted_as_dynamodb_counts_them() {
    let (embedded, meter) = (Embedded::memory().unwrap(), Meter::default());
    let client = meter.client(&embedded);
    Store::new(embedded.client(), "units").create_table("units").await.unwrap();
    let text = |text: &str| AttributeValue::S(text.to_owned());
    for place in ["1", "2", "3"] {
        let put = client.put_item().table_name("units").item("pk", text("p")).item("sk", text(place));
        put.item("text", text(&"x".repeat(5_000))).send().await.unwrap();
    }
    meter.take();
    for (consistent, one, three, batch) in [(true, 2.0, 4.0, 6.0), (false, 1.0, 2.0, 3.0)] {
        let get = client.get_item().table_name("units").key("pk", text("p")).key("sk", text("1"));
        get.consistent_read(consistent).send().await.unwrap();
        assert_eq!(meter.take().read, one, "5,000 bytes are two times 4 KiB");
        let query = client.query().table_name("units").key_condition_expression("pk = :p");
        query.expression_attribute_values(":p", text("p")).consistent_read(consistent).send().await.unwrap();
        let spent = meter.take();
        assert_eq!((spent.read, spent.to_string()), (three, "1 Query".to_owned()), "15,000 bytes are four");
        let keys = ["1", "2", "3"].map(|place| [("pk".to_owned(), text("p")), ("sk".to_owned(), text(place))].into());
        let keys = KeysAndAttributes::builder().set_keys(Some(keys.into())).consistent_read(consistent).build();
        client.batch_get_item().request_items("units", keys.unwrap()).send().await.unwrap();
        assert_eq!(meter.take().read, batch, "each item of a batch by itself");
    }
    client.scan().table_name("units").send().await.unwrap();
    assert_eq!(meter.take().scans(), 1);
}
