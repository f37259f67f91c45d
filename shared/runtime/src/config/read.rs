//! Shapes read from the tree. A fault is noted and reading goes on, so that one run names every fault of a file.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use dutykey_policy::id::{AppId, ProfileId, RotationId, SourceId};
use dutykey_policy::time::parse_duration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::node::{Entry, Node, Value};
use super::problem::{Problems, bounded};

/// The longest text of the file, in characters.
const MAX_TEXT: usize = 2_000;

/// Where in the document a value is, as a chain from the root, written only when somebody asks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trail<'a> {
    Root,
    Key(&'a Trail<'a>, &'a str),
    Index(&'a Trail<'a>, usize),
}

impl fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Self::Root, key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Something that the file says at a place. What could not be read has been noted as a problem and is `None` here.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) line: u64,
    pub(super) key: String,
    pub(super) value: Option<T>,
}

impl<T> At<T> {
    /// Notes a problem with it.
    pub(super) fn problem(&self, problems: &mut Problems, message: impl fmt::Display) {
        problems.add(self.line, &self.key, message);
    }

    /// What was read.
    pub(super) fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }
}

/// The schema says what may be written, not where it was.
impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// Whatever can be read from a node.
pub(super) trait Read: Sized {
    /// The value, or `None` after the problems with it were noted.
    fn read(node: &Node, trail: &Trail<'_>, problems: &mut Problems) -> Option<Self>;
}

impl<T: Read> Read for At<T> {
    fn read(node: &Node, trail: &Trail<'_>, problems: &mut Problems) -> Option<Self> {
        Some(Self { line: node.line, key: trail.to_string(), value: T::read(node, trail, problems) })
    }
}

/// A field of a mapping: `At<T>` must be there, `Option<At<T>>` may be.
pub(super) trait Field: Sized {
    fn field(owner: &Node, name: &str, trail: &Trail<'_>, problems: &mut Problems) -> Self;
}

impl<T: Read> Field for At<T> {
    fn field(owner: &Node, name: &str, trail: &Trail<'_>, problems: &mut Problems) -> Self {
        Option::<Self>::field(owner, name, trail, problems).unwrap_or_else(|| {
            let missing = Self { line: owner.line, key: Trail::Key(trail, name).to_string(), value: None };
            missing.problem(problems, "is missing");
            missing
        })
    }
}

impl<T: Read> Field for Option<At<T>> {
    fn field(owner: &Node, name: &str, trail: &Trail<'_>, problems: &mut Problems) -> Self {
        let Value::Map(entries) = &owner.value else { return None };
        let entry = entries.iter().find(|entry| entry.key == name)?;
        let trail = Trail::Key(trail, name);
        // An empty value has no place of its own worth showing: its key's line is where the reader looks.
        let value = match entry.node.value {
            Value::Null => {
                problems.add(entry.line, trail, "has no value; give it one or remove the key");
                None
            }
            _ => T::read(&entry.node, &trail, problems),
        };
        Some(At { line: entry.line, key: trail.to_string(), value })
    }
}

/// Notes each key of a mapping that is none of the known ones. `None` where it is no mapping.
pub(super) fn known_keys(node: &Node, known: &[&str], trail: &Trail<'_>, problems: &mut Problems) -> Option<()> {
    let Value::Map(entries) = &node.value else {
        problems.add(node.line, trail, format!("must be a mapping with the keys {}", known.join(", ")));
        return None;
    };
    for Entry { line, key, .. } in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
        let key = bounded(key);
        problems.add(*line, Trail::Key(trail, &key), format!("is not a key here; there are {}", known.join(", ")));
    }
    Some(())
}

/// Mappings of the file: each is a struct whose fields are the keys, with its schema and its reader.
macro_rules! mappings {
    ($(
        $(#[$meta:meta])*
        struct $name:ident { $( $(#[$field_meta:meta])* $field:ident: $type:ty, )* }
    )*) => {$(
        #[derive(Debug, Clone, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        $(#[$meta])*
        pub(in crate::config) struct $name { $( $(#[$field_meta])* pub(in crate::config) $field: $type, )* }

        impl $crate::config::read::Read for $name {
            fn read(
                node: &$crate::config::node::Node,
                trail: &$crate::config::read::Trail<'_>,
                problems: &mut $crate::config::problem::Problems,
            ) -> Option<Self> {
                $crate::config::read::known_keys(node, &[$(stringify!($field)),*], trail, problems)?;
                Some(Self {
                    $( $field: $crate::config::read::Field::field(node, stringify!($field), trail, problems), )*
                })
            }
        }
    )*};
}

/// Choices of the file: each is an enum whose variants are words.
macro_rules! words {
    ($(
        $(#[$meta:meta])*
        enum $name:ident { $( $(#[$variant_meta:meta])* $variant:ident = $word:literal, )* }
    )*) => {$(
        #[derive(Debug, Clone, Copy, PartialEq, Eq, schemars::JsonSchema)]
        $(#[$meta])*
        pub(in crate::config) enum $name { $( $(#[$variant_meta])* #[schemars(rename = $word)] $variant, )* }

        impl $crate::config::read::Read for $name {
            fn read(
                node: &$crate::config::node::Node,
                trail: &$crate::config::read::Trail<'_>,
                problems: &mut $crate::config::problem::Problems,
            ) -> Option<Self> {
                if let $crate::config::node::Value::Text(text) = &node.value {
                    match text.as_str() {
                        $( $word => return Some(Self::$variant), )*
                        _ => {}
                    }
                }
                problems.add(node.line, trail, concat!("must be one of:" $(, " ", $word)*));
                None
            }
        }
    )*};
}

pub(super) use {mappings, words};

impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, trail: &Trail<'_>, problems: &mut Problems) -> Option<Self> {
        let Value::List(items) = &node.value else {
            problems.add(node.line, trail, "must be a list");
            return None;
        };
        let read = |(index, item)| T::read(item, &Trail::Index(trail, index), problems);
        Some(items.iter().enumerate().filter_map(read).collect())
    }
}

/// One, or a list of several.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub(super) enum OneOrMore<T> {
    /// One.
    One(At<T>),
    /// Several.
    More(Vec<At<T>>),
}

impl<T> OneOrMore<T> {
    pub(super) fn as_slice(&self) -> &[At<T>] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(more) => more,
        }
    }
}

impl<T: Read> Read for OneOrMore<T> {
    fn read(node: &Node, trail: &Trail<'_>, problems: &mut Problems) -> Option<Self> {
        match node.value {
            Value::List(_) => Read::read(node, trail, problems).map(Self::More),
            _ => Read::read(node, trail, problems).map(Self::One),
        }
    }
}

/// A mapping with free keys, whose values are texts.
#[derive(Debug, Clone)]
pub(super) struct Pairs(pub(super) Vec<(String, At<String>)>);

impl JsonSchema for Pairs {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pairs".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": { "type": "string" } })
    }
}

impl Read for Pairs {
    fn read(node: &Node, trail: &Trail<'_>, problems: &mut Problems) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            problems.add(node.line, trail, "must be a mapping of names to texts");
            return None;
        };
        let read = |entry: &Entry| {
            let key = bounded(&entry.key);
            let at = At::read(&entry.node, &Trail::Key(trail, &key), problems)?;
            Some((entry.key.clone(), at))
        };
        Some(Self(entries.iter().filter_map(read).collect()))
    }
}

impl Read for String {
    fn read(node: &Node, trail: &Trail<'_>, problems: &mut Problems) -> Option<Self> {
        let wrong = match &node.value {
            Value::Text(text) if text.trim().is_empty() => "must not be empty",
            Value::Text(text) if text.chars().count() > MAX_TEXT => "is longer than 2000 characters",
            Value::Text(text) if text.chars().any(char::is_control) => "must not have control characters",
            Value::Text(text) => return Some(text.clone()),
            Value::Null => "has no value",
            Value::Number(_) | Value::Bool(_) => "must be a text; put it in quotes",
            Value::List(_) | Value::Map(_) => "must be a text",
        };
        problems.add(node.line, trail, wrong);
        None
    }
}

impl Read for u64 {
    fn read(node: &Node, trail: &Trail<'_>, problems: &mut Problems) -> Option<Self> {
        let number = match &node.value {
            Value::Number(number) => number.as_u64(),
            _ => None,
        };
        if number.is_none() {
            problems.add(node.line, trail, "must be a whole number");
        }
        number
    }
}

/// A text that is read by its type's own rules.
fn parsed<T: FromStr<Err: fmt::Display>>(node: &Node, trail: &Trail<'_>, problems: &mut Problems) -> Option<T> {
    let text = String::read(node, trail, problems)?;
    text.parse().map_err(|error| problems.add(node.line, trail, error)).ok()
}

macro_rules! read_parsed {
    ($($type:ty),*) => {$(
        impl Read for $type {
            fn read(node: &Node, trail: &Trail<'_>, problems: &mut Problems) -> Option<Self> {
                parsed(node, trail, problems)
            }
        }
    )*};
}

read_parsed!(SourceId, AppId, ProfileId, RotationId);

/// A duration: a whole number and s, m, h or d; or 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lasting(pub(super) Duration);

impl JsonSchema for Lasting {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string", "pattern": "^(0|[0-9]+[smhd])$" }, { "const": 0 }] })
    }
}

impl Read for Lasting {
    fn read(node: &Node, trail: &Trail<'_>, problems: &mut Problems) -> Option<Self> {
        let parsed = match &node.value {
            Value::Text(text) => parse_duration(text),
            Value::Number(number) if number.as_u64() == Some(0) => Ok(Duration::ZERO),
            Value::Number(number) => Err(format!("{number} has no unit: write it with s, m, h or d, like 5m")),
            _ => Err("must be a duration: a whole number and s, m, h or d, like 5m".to_owned()),
        };
        parsed.map(Self).map_err(|message| problems.add(node.line, trail, bounded(&message))).ok()
    }
}

/// A share in percent: `1%` to `100%`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Percent(pub(super) u8);

impl JsonSchema for Percent {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Percent".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^([1-9][0-9]?|100)%$" })
    }
}

impl Read for Percent {
    fn read(node: &Node, trail: &Trail<'_>, problems: &mut Problems) -> Option<Self> {
        let share = match &node.value {
            Value::Text(text) => text.strip_suffix('%').filter(|number| number.bytes().all(|b| b.is_ascii_digit())),
            _ => None,
        };
        let percent = share.and_then(|number| number.parse().ok()).filter(|percent| (1..=100).contains(percent));
        if percent.is_none() {
            problems.add(node.line, trail, "must be a share from 1% to 100%");
        }
        percent.map(Self)
    }
}

impl Read for serde_json::Value {
    fn read(node: &Node, _: &Trail<'_>, _: &mut Problems) -> Option<Self> {
        Some(json(node))
    }
}

fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => number.clone().into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), json(&entry.node))).collect(),
    }
}
