//! The published JSON Schema of the configuration file, for editors and for checks before a commit.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use serde_json::Value;

use super::raw::{RawDocument, RawProfile};

/// The JSON Schema (draft 2020-12) of the configuration file. It says what the file's shape may be; references between
/// its parts and values that hang together are checked only when it is read.
#[must_use]
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<RawDocument>();
    RecursiveTransform(|schema: &mut schemars::Schema| {
        if let Some(object) = schema.as_object_mut() {
            without_null(object);
        }
    })
    .transform(&mut schema);
    schema.insert("title".to_owned(), "Dutykey configuration".into());
    schema.to_value()
}

/// The JSON Schema of one profile, whole in itself and without the ID, which is said apart.
#[must_use]
pub fn profile_schema() -> Value {
    let mut schema = whole_in_itself::<RawProfile>();
    if let Some(object) = schema.as_object_mut() {
        if let Some(Value::Object(properties)) = object.get_mut("properties") {
            properties.remove("id");
        }
        if let Some(Value::Array(required)) = object.get_mut("required") {
            required.retain(|name| name != "id");
        }
    }
    schema
}

/// The JSON Schema of the configuration file, whole in itself.
#[must_use]
pub fn configuration_schema() -> Value {
    whole_in_itself::<RawDocument>()
}

/// A schema that refers to no other.
fn whole_in_itself<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    RecursiveTransform(|schema: &mut schemars::Schema| {
        if let Some(object) = schema.as_object_mut() {
            without_null(object);
        }
    })
    .transform(&mut schema);
    let mut schema = schema.to_value();
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
    }
    schema
}

/// A key may be absent, but it cannot be there without a value.
fn without_null(schema: &mut serde_json::Map<String, Value>) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            for (key, value) in only {
                schema.entry(key).or_insert(value);
            }
        }
    }
}
