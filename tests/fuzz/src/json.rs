//! Changes to JSON that leave it JSON: most changes of single bytes only make a text that no parser takes, and what comes
//! behind the parser is never reached.

use serde_json::{Map, Number, Value};

use crate::ChangeBytes;

/// Text that something may take for something else.
const TEXTS: [&str; 22] = [
    "",
    " ",
    "0",
    "-1",
    "1",
    "18446744073709551615",
    "1e400",
    "true",
    "null",
    "open",
    "\u{0}",
    "\u{202e}é",
    "../x",
    "a#b",
    "%2e",
    "2026-11-23T09:00:00Z",
    "2026-11-23T09:00:00+01:00",
    "-009999-01-02T01:59:59Z",
    "9999-12-30T22:00:00.999999999Z",
    "2026-02-30T00:00:00Z",
    "per_01JD0000000000000000000002",
    "pd:PABC123@65535",
];

/// Changes the JSON in `data[..size]` in a few places; what is no JSON, and now and then what is, byte by byte. Answers the
/// new size.
pub(crate) fn change(data: &mut [u8], size: usize, most: usize, seed: u32, bytes: ChangeBytes) -> usize {
    let mut chance = Chance { state: u64::from(seed) << 1 | 1, bytes };
    let parsed = serde_json::from_slice::<Value>(&data[..size]);
    if let (Ok(mut value), true) = (parsed, chance.below(16) > 0) {
        for _ in 0..=chance.below(3) {
            change_node(&mut value, &mut chance);
        }
        let text = value.to_string();
        if text.len() <= most.min(data.len()) {
            data[..text.len()].copy_from_slice(text.as_bytes());
            return text.len();
        }
    }
    bytes(data, size, most)
}

/// A xorshift: the seed is the caller's, so that a run can be repeated.
struct Chance {
    state: u64,
    bytes: ChangeBytes,
}

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state >> 16).unwrap_or_default() % bound.max(1)
    }

    /// The text changed byte by byte, by whoever looks for changes: a fuzzer has learnt from comparisons and dictionaries.
    fn text(&self, text: &str) -> String {
        let mut room = text.as_bytes().to_vec();
        let size = room.len();
        room.resize(size + 32, 0);
        let size = (self.bytes)(&mut room, size, size + 32);
        String::from_utf8_lossy(&room[..size]).into_owned()
    }
}

fn change_node(root: &mut Value, chance: &mut Chance) {
    let nodes = count(root);
    let other = nth(root, &mut chance.below(nodes)).cloned().unwrap_or_default();
    let Some(node) = nth(root, &mut chance.below(nodes)) else { return };
    match (chance.below(4), &mut *node) {
        (0, node) => *node = other,
        (1, node) => *node = scalar(chance),
        (_, Value::Object(fields)) => change_fields(fields, other, chance),
        (_, Value::Array(list)) => change_list(list, other, chance),
        (_, Value::String(text)) => *text = chance.text(text),
        (_, Value::Number(number)) => {
            let near = [-1, 0, 1, 1_000][chance.below(4)];
            *number = Number::from(number.as_i64().unwrap_or_default().wrapping_add(near));
        }
        (_, node) => *node = scalar(chance),
    }
}

fn change_fields(fields: &mut Map<String, Value>, other: Value, chance: &mut Chance) {
    let names: Vec<String> = fields.keys().cloned().collect();
    let name = names.get(chance.below(names.len())).cloned().unwrap_or_default();
    match chance.below(4) {
        0 => {
            fields.remove(&name);
        }
        1 => {
            fields.insert(format!("x{}", chance.below(100)), other);
        }
        2 => {
            fields.insert(name, other);
        }
        _ => {
            let value = fields.remove(&name).unwrap_or_default();
            fields.insert(chance.text(&name), value);
        }
    }
}

fn change_list(list: &mut Vec<Value>, other: Value, chance: &mut Chance) {
    let place = chance.below(list.len());
    match (chance.below(4), list.is_empty()) {
        (0, false) => {
            list.remove(place);
        }
        (1, false) => list.insert(place, list[place].clone()),
        (2, false) => list.swap(place, 0),
        _ => list.push(other),
    }
}

fn scalar(chance: &mut Chance) -> Value {
    match chance.below(10) {
        0 => Value::Null,
        1 => Value::Bool(true),
        2 => Value::Bool(false),
        3 => Value::from(0),
        4 => Value::from(-1),
        5 => Value::from(u64::MAX),
        6 => Value::from(1.5),
        7 => Value::from("x".repeat([63, 64, 65, 200, 256, 600][chance.below(6)])),
        _ => Value::from(TEXTS[chance.below(TEXTS.len())]),
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// The node after so many others, parents first.
fn nth<'a>(value: &'a mut Value, after: &mut usize) -> Option<&'a mut Value> {
    if *after == 0 {
        return Some(value);
    }
    *after -= 1;
    match value {
        Value::Array(list) => list.iter_mut().find_map(|inner| nth(inner, after)),
        Value::Object(fields) => fields.values_mut().find_map(|inner| nth(inner, after)),
        _ => None,
    }
}
