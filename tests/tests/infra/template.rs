//! A template as JSON, the short forms of functions as the long ones: `!Ref A` is `{"Ref": "A"}`, `!Sub x` `{"Fn::Sub": "x"}`.

use std::path::{Path, PathBuf};

use granit_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value, json};

/// The templates that the entry nests, each of one subject.
pub(crate) const SUBJECTS: [&str; 6] = ["data", "roles", "schedules", "api", "alarms", "dashboard"];
/// The entry, which has the functions.
pub(crate) const ENTRY: &str = "template";

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra")
}

pub(crate) fn file(name: &str) -> String {
    let path = folder().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A template by its subject.
pub(crate) fn template(subject: &str) -> Value {
    let text = file(&format!("{subject}.yaml"));
    let events =
        Parser::new_from_str(&text).map(|event| event.unwrap_or_else(|error| panic!("{subject}.yaml: {error}")).0);
    let mut nodes = events.filter(|event| event.is_node() || matches!(event, Event::SequenceEnd | Event::MappingEnd));
    let first = nodes.next().unwrap_or_else(|| panic!("{subject}.yaml is empty"));
    node(first, &mut nodes)
}

/// The properties of a template's resources of a type, by name.
pub(crate) fn resources<'a>(template: &'a Value, kind: &str) -> Vec<(&'a str, &'a Value)> {
    let all = template["Resources"].as_object().expect("a template has resources");
    let of_kind = all.iter().filter(|(_, it)| it["Type"] == kind);
    of_kind.map(|(name, it)| (name.as_str(), &it["Properties"])).collect()
}

/// The resource that a value refers to, be it in this template, by a parameter or by an output: `!Ref SyncQueueArn`,
/// `!GetAtt SyncQueue.Arn` and `!GetAtt Data.Outputs.SyncQueueArn` are all `SyncQueue`.
pub(crate) fn referred(value: &Value) -> &str {
    let said = value["Ref"].as_str().or_else(|| value["Fn::GetAtt"].as_str());
    let said = said.unwrap_or_else(|| panic!("{value} refers to nothing"));
    let said = said.rsplit_once(".Outputs.").map_or(said, |(_, output)| output);
    let name = [".Arn", "Arn", "Url"].iter().find_map(|end| said.strip_suffix(end));
    name.unwrap_or(said)
}

/// A value that may be given by itself or in a list.
pub(crate) fn listed(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |values| values.iter().collect())
}

/// What a `!Sub` says with its only variable left out: `dutykey-${Environment}-sync` is `sync`.
pub(crate) fn named(value: &Value) -> &str {
    let name = value["Fn::Sub"].as_str().and_then(|text| text.strip_prefix("dutykey-${Environment}-"));
    name.unwrap_or_else(|| panic!("{value} is not named after the installation"))
}

fn node<'a>(event: Event<'a>, rest: &mut impl Iterator<Item = Event<'a>>) -> Value {
    match event {
        Event::Scalar(text, style, _, tag) => {
            let plain = style == ScalarStyle::Plain && tag.is_none();
            tagged(tag.as_deref(), if plain { scalar(&text) } else { json!(text) })
        }
        Event::SequenceStart(_, _, tag) => {
            let mut values = Vec::new();
            loop {
                match rest.next() {
                    Some(Event::SequenceEnd) | None => return tagged(tag.as_deref(), Value::Array(values)),
                    Some(event) => values.push(node(event, rest)),
                }
            }
        }
        Event::MappingStart(_, _, tag) => {
            let mut values = Map::new();
            loop {
                let key = match rest.next() {
                    Some(Event::MappingEnd) | None => return tagged(tag.as_deref(), Value::Object(values)),
                    Some(Event::Scalar(key, ..)) => key.into_owned(),
                    Some(other) => panic!("{other:?} is no key"),
                };
                let value = rest.next().map(|event| node(event, rest)).unwrap_or_default();
                assert_eq!(values.insert(key.clone(), value), None, "{key} is there twice");
            }
        }
        other => panic!("{other:?} is not used in templates"),
    }
}

fn scalar(text: &str) -> Value {
    match text {
        "true" => json!(true),
        "false" => json!(false),
        _ => text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number)),
    }
}

fn tagged(tag: Option<&Tag>, value: Value) -> Value {
    match tag.map(Tag::suffix) {
        None => value,
        Some("Ref") => json!({ "Ref": value }),
        Some(function) => json!({ format!("Fn::{function}"): value }),
    }
}
