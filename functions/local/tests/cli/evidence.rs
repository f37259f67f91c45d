//! Evidence leaves, is verified, and is broken.

use serde_json::json;

use super::bench::{Bench, CONFIG};

/// A company whose configuration was applied twice: two records in the chain `system`.
fn company(test: &str) -> Bench {
    let bench = Bench::company(test);
    bench.run("apply").exits(0);
    bench.run("audit export --out first.jsonl").exits(0);
    bench.write("dutykey.yaml", &CONFIG.replace("grace: 10m", "grace: 20m"));
    bench.run("apply --yes").exits(0);
    bench
}

#[test]
fn p9_evidence_is_exported_once_and_verified_offline() {
    let bench = company("export");
    bench.run("backup copy.db").exits(0);
    bench.run("backup copy.db").exits(2).says(&["exists already"]);
    bench.run("audit export --data copy.db --out all.jsonl").exits(0).says(&["2 records in 1 chains"]);
    bench.run("audit export --out all.jsonl").exits(2).says(&["never overwritten"]);
    bench.run("audit export --chain person/nobody --out none.jsonl").exits(2).says(&["person/nobody"]);
    bench.run("audit export --chain rotation/rota:other --out none.jsonl").exits(2);
    assert!(!bench.has("none.jsonl"), "an export that failed leaves no file");
    let verified = bench.run("audit verify all.jsonl --since first.jsonl --json").exits(0).json();
    assert_eq!(verified, json!({"ok": true, "chains": 1, "records": 2, "fault": null}));
    bench.run("audit verify first.jsonl --since all.jsonl").exits(1).says(&["system", "record 2"]);
    bench.run("audit verify nothing.jsonl").exits(2).says(&["nothing.jsonl"]);
}

#[test]
fn r18_an_export_is_compared_with_the_copy_of_the_evidence() {
    let bench = company("copy");
    bench.run("audit copy --copy kept").exits(0).says(&["2 records added"]);
    bench.run("audit copy --copy kept").exits(0).says(&["0 records added"]);
    bench.run("audit export --out all.jsonl").exits(0);
    let same = bench.run("audit verify all.jsonl --copy kept --json").exits(0).json();
    assert_eq!(same, json!({"ok": true, "chains": 1, "records": 2, "fault": null, "on_their_way": 0}));

    let fault = bench.run("audit verify first.jsonl --copy kept --json").exits(1).json();
    assert_eq!((&fault["fault"]["chain"], &fault["fault"]["seq"]), (&json!("system"), &json!(2)), "a tail: {fault:#}");
    let (first, second) = ("kept/system/00000000000000000001.jsonl", "kept/system/00000000000000000002.jsonl");
    let told = bench.read(second).replace("\"actor\":\"apply\"", "\"actor\":\"bpply\"");
    assert_ne!(told, bench.read(second), "the record names its actor");
    bench.write(second, &told);
    let fault = bench.run("audit verify all.jsonl --copy kept --json").exits(1).json();
    assert_eq!((&fault["fault"]["chain"], &fault["fault"]["seq"]), (&json!("system"), &json!(2)), "{fault:#}");
    bench.run("audit verify all.jsonl --copy kept").exits(1).says(&["BROKEN", "system", "record 2", "copy"]);
    bench.write(first, "");
    let fault = bench.run("audit verify all.jsonl --copy kept --json").exits(1).json();
    assert_eq!((&fault["fault"]["chain"], &fault["fault"]["seq"]), (&json!("system"), &json!(1)), "{fault:#}");
    bench.run("audit verify all.jsonl --copy nowhere").exits(2).says(&["nowhere"]);
}

#[test]
fn p9_any_flipped_byte_is_found_and_named_by_chain_and_record() {
    let bench = company("flip");
    bench.run("audit export --out all.jsonl").exits(0);
    let whole = bench.read("all.jsonl");
    let first = whole.lines().next().expect("a record").len();
    // Every part of the first record: its braces, keys, values, hash, and the line's own end.
    for at in (0..=first).step_by(first / 12) {
        let mut bytes = whole.clone().into_bytes();
        bytes[at] ^= 1;
        let broken = String::from_utf8(bytes).expect("one bit of ASCII is ASCII");
        bench.write("broken.jsonl", &broken);
        let fault = bench.run("audit verify broken.jsonl --json").exits(1).json();
        assert_eq!(fault["ok"], json!(false));
        assert!(fault["fault"]["problem"].is_string(), "byte {at}: {fault:#}");
    }
    let told = whole.replacen("\"actor\":\"apply\"", "\"actor\":\"bpply\"", 1);
    assert_ne!(told, whole, "the record names its actor");
    bench.write("broken.jsonl", &told);
    let fault = bench.run("audit verify broken.jsonl --json").exits(1).json();
    assert_eq!((&fault["fault"]["chain"], &fault["fault"]["seq"]), (&json!("system"), &json!(2)), "{fault:#}");
    bench.run("audit verify broken.jsonl").exits(1).says(&["BROKEN", "system", "record 2"]);
    bench.write("broken.jsonl", &whole.replacen("{\"act\":", "[\"act\":", 1));
    let fault = bench.run("audit verify broken.jsonl --json").exits(1).json();
    assert_eq!((&fault["fault"]["chain"], &fault["fault"]["seq"]), (&json!("system"), &json!(1)), "{fault:#}");
    let second = whole.lines().nth(1).expect("a record");
    bench.write("broken.jsonl", &whole.replace(second, &second[..second.len() - 9]));
    let fault = bench.run("audit verify broken.jsonl --json").exits(1).json();
    assert_eq!((&fault["fault"]["chain"], &fault["fault"]["seq"]), (&json!("system"), &json!(2)), "{fault:#}");
    bench.write("broken.jsonl", &whole[..whole.len() - 20]);
    bench.run("audit verify broken.jsonl").exits(1);
}
