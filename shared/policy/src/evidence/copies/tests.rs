use proptest::prelude::*;

use super::super::{Draft, NoChain, append, sha256};
use super::*;
use crate::testing::{cases, id, minute, person};

fn records(chain: &Chain, minutes: &[i64]) -> Vec<String> {
    let mut head = ChainHead::default();
    let mut lines = Vec::new();
    for at in minutes {
        let draft = Draft {
            act: "test.act".to_owned(),
            actor: "handoff".to_owned(),
            subject: serde_json::Value::Null,
            before: serde_json::Value::Null,
            after: serde_json::json!(at),
            why: serde_json::Value::Null,
        };
        for record in append(chain, &head, minute(*at), &[draft]).unwrap() {
            head = record.head;
            lines.push(record.line);
        }
    }
    lines
}

fn ann() -> Chain {
    Chain::Person(person(1))
}

/// Ann's records at these minutes, and two of the installation.
fn export(minutes: &[i64]) -> Vec<String> {
    [records(&ann(), minutes), records(&Chain::System, &[0, 1])].concat()
}

fn copied(lines: &[String]) -> Result<Copies, Fault> {
    let mut copies = Copies::default();
    lines.iter().try_for_each(|line| copies.line(line))?;
    Ok(copies)
}

/// The comparison long after everything was written.
fn compared(export: &[String], copy: &[String]) -> Result<u64, Fault> {
    compared_at(1_000, export, copy)
}

fn compared_at(now: i64, export: &[String], copy: &[String]) -> Result<u64, Fault> {
    let mut comparison = Comparison::with(copied(copy)?);
    export.iter().for_each(|line| comparison.line(line));
    comparison.finish(minute(now))
}

fn named(fault: &Fault) -> (String, u64) {
    (fault.chain.clone(), fault.seq)
}

#[test]
fn r18_records_lie_where_files_and_objects_may() {
    assert_eq!(place(&Chain::System, 7), "system/00000000000000000007.jsonl");
    assert_eq!(folder(&ann()), format!("person/{}", person(1)));
    assert_eq!(folder(&Chain::Rotation(id("pd:../a b@2"))), "rotation/pd%3A..%2Fa%20b%402");
    let long = folder(&Chain::Rotation(id(&format!("pd:{}", "ü".repeat(200)))));
    assert!(long.starts_with("rotation/%h") && long.len() < 100, "{long}");
}

#[test]
fn r18_a_chain_is_read_by_its_name() {
    for chain in [ann(), Chain::System, Chain::Profile(id("on-call")), Chain::Rotation(id("pd:P1/x@2"))] {
        assert_eq!(chain.to_string().parse(), Ok(chain));
    }
    for name in ["", "person/ann", "systems", "profile", "team/x"] {
        assert_eq!(name.parse::<Chain>(), Err(NoChain), "{name}");
    }
}

#[test]
fn r18_a_copy_tells_where_its_chains_end_and_what_stood_in_them() {
    let (theirs, system) = (records(&ann(), &[0, 10]), records(&Chain::System, &[0]));
    let copies = copied(&[theirs.clone(), system.clone()].concat()).unwrap();
    let heads: Vec<(String, ChainHead)> = copies.heads().map(|(chain, head)| (chain.to_owned(), head)).collect();
    let head = |lines: &[String]| ChainHead { seq: lines.len() as u64, hash: sha256(&lines[lines.len() - 1]) };
    assert_eq!(heads, [(ann().to_string(), head(&theirs)), ("system".to_owned(), head(&system))]);
    assert_eq!(copies.records(), 3);
    let hashes = [0, 1, 2, 3].map(|seq| copies.hash(&ann(), seq));
    assert_eq!(hashes, [None, Some(sha256(&theirs[0])), Some(sha256(&theirs[1])), None]);
    assert_eq!(copies.hash(&Chain::Profile(id("on-call")), 1), None, "it has nothing of this chain");
}

#[test]
fn r18_an_export_that_is_its_copy_compares() {
    let lines = export(&[0, 10, 20]);
    assert_eq!(compared(&lines, &lines), Ok(0));
    let twice = [lines.clone(), records(&ann(), &[0, 10])].concat();
    assert_eq!(compared(&lines, &twice), Ok(0), "what the copy holds twice counts once");
}

#[test]
fn r18_a_chain_that_was_written_anew_is_found_although_it_verifies() {
    let fault = compared(&export(&[0, 11, 20]), &export(&[0, 10, 20])).unwrap_err();
    assert_eq!(named(&fault), (ann().to_string(), 2), "the first record that differs: {fault}");
}

#[test]
fn r18_missing_tails_and_chains_are_named_on_either_side() {
    let (short, long) = (export(&[0, 10]), export(&[0, 10, 20, 60]));
    let fault = compared(&short, &long).unwrap_err();
    assert_eq!(named(&fault), (ann().to_string(), 3), "a tail that was cut off from the table: {fault}");
    let fault = compared(&long, &short).unwrap_err();
    assert_eq!(named(&fault), (ann().to_string(), 3), "one that was cut off from the copy: {fault}");
    let alone = records(&ann(), &[0, 10, 20, 60]);
    let fault = compared(&alone, &long).unwrap_err();
    assert_eq!((named(&fault), fault.problem.contains("the chain")), (("system".to_owned(), 1), true), "{fault}");
    let fault = compared(&long, &alone).unwrap_err();
    assert_eq!((named(&fault), fault.problem.contains("the chain")), (("system".to_owned(), 1), true), "{fault}");
}

#[test]
fn r18_of_several_faults_the_first_by_chain_is_named_in_whatever_order_the_chains_stand() {
    let turned = [records(&Chain::System, &[0, 2]), records(&ann(), &[0, 11])].concat();
    let fault = compared(&turned, &export(&[0, 10])).unwrap_err();
    assert_eq!(named(&fault), (ann().to_string(), 2), "{fault}");
}

#[test]
fn r18_what_was_on_its_way_to_the_copy_is_no_fault() {
    let before = export(&[0, 10]);
    assert_eq!(compared_at(40, &export(&[0, 10, 26, 40]), &before), Ok(2), "the last quarter of an hour");
    let fault = compared_at(40, &export(&[0, 10, 24, 40]), &before).unwrap_err();
    assert_eq!(named(&fault), (ann().to_string(), 3), "one that is older is missing: {fault}");
    let fault = compared(&export(&[0, 10, 26, 40]), &before).unwrap_err();
    assert_eq!(named(&fault), (ann().to_string(), 3), "and after a quiet weekend nothing is on its way: {fault}");
}

#[test]
fn r18_of_a_part_of_the_time_is_compared_what_it_has() {
    let lines = records(&ann(), &[0, 10, 20]);
    let closing = |partial| format!(r#"{{"heads":{{}},"partial":{partial}}}"#);
    let part = |partial| [&lines[1..2], &[closing(partial)][..]].concat();
    assert_eq!(compared(&part(true), &lines), Ok(0));
    assert!(compared(&part(false), &lines).is_err());
    assert!(compared(&part(true), &records(&ann(), &[0, 11, 20])).is_err());
    for partial in [true, false] {
        let mut comparison = Comparison::with(Copies::default());
        part(partial).iter().for_each(|line| comparison.line(line));
        assert_eq!(comparison.is_partial(), partial, "whoever reads the result is told");
    }
}

#[test]
fn r18_a_copy_that_is_not_whole_is_at_fault_itself() {
    let lines = records(&ann(), &[0, 10, 20]);
    let without = |missing: usize| -> Vec<String> {
        lines.iter().enumerate().filter(|(place, _)| *place != missing).map(|(_, line)| line.clone()).collect()
    };
    let hole = without(1);
    assert_eq!(named(&copied(&hole).unwrap_err()), (ann().to_string(), 2), "a hole");
    let headless = without(0);
    assert_eq!(named(&copied(&headless).unwrap_err()), (ann().to_string(), 1), "no beginning");
    let second = [lines.clone(), records(&ann(), &[0, 11])].concat();
    assert_eq!(named(&copied(&second).unwrap_err()), (ann().to_string(), 2), "a second one beside the first");
    let other = [&lines[..1], &records(&ann(), &[1, 10])[1..]].concat();
    assert_eq!(named(&copied(&other).unwrap_err()), (ann().to_string(), 2), "one that does not follow");
    assert!(copied(&["{}".to_owned()]).is_err());
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn r18_whatever_the_table_was_made_to_say_the_copy_shows_it(
        copy in prop::collection::vec(0_i64..3, 0..6), export in prop::collection::vec(0_i64..3, 0..6)
    ) {
        let lines = |minutes: &[i64]| records(&ann(), minutes);
        prop_assert_eq!(compared(&lines(&export), &lines(&copy)).is_ok(), export == copy);
    }
}
