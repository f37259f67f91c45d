//! The published schema says the same as the reader.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

#[test]
fn the_schema_accepts_what_is_sound_and_documents_every_key() {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).expect("the schema is a schema");
    for text in [WHOLE, template()] {
        let document: Value = serde_saphyr::from_str(text).expect("YAML");
        let faults: Vec<_> =
            validator.iter_errors(&document).map(|fault| format!("{}: {fault}", fault.instance_path)).collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
    for (from, to) in [
        ("lead: 5m", "leed: 5m"),
        ("lead: 5m", "lead: 5"),
        ("audience: dutykey, ", ""),
        ("mode: observe", "mode:"),
        ("platform: sandbox", "platform: toy"),
        ("token: { env: SCIM_TOKEN }", "token: hunter2"),
        ("kind: role, id: viewer", "kind: role"),
        ("rotation: 40%", "rotation: 0%"),
        ("id: watch", "id: Watch"),
        ("people: [lead@example.com, contractor@partner.test], any: 2", "any: 1"),
    ] {
        broken(from, to);
        let document: Value = serde_saphyr::from_str(&WHOLE.replacen(from, to, 1)).expect("YAML");
        assert!(!validator.is_valid(&document), "the schema lets `{to}` pass, which the reader refuses");
    }
    let mut undocumented = BTreeSet::new();
    keys_without_description("", &schema, &mut undocumented);
    assert!(undocumented.is_empty(), "keys without a description: {undocumented:?}");
}

#[test]
fn the_schema_of_one_profile_accepts_its_words() {
    let schema = profile_schema();
    let validator = jsonschema::validator_for(&schema).expect("the schema is a schema");
    assert!(!schema.to_string().contains("$ref"), "it is whole in itself: {schema}");
    let installation = sound(WHOLE).pin(|named| Ok(named.name.clone())).expect("pinned");
    for profile in &installation.profiles {
        let said = words(profile);
        let faults: Vec<_> = validator.iter_errors(&said).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{said}: {}", faults.join("\n"));
    }
    assert!(!validator.is_valid(&serde_json::json!({ "name": "Nothing" })));
}

#[test]
fn the_schema_of_a_whole_configuration_accepts_its_words() {
    let schema = configuration_schema();
    let validator = jsonschema::validator_for(&schema).expect("the schema is a schema");
    assert!(!schema.to_string().contains("$ref"), "it is whole in itself: {schema}");
    let installation = sound(WHOLE).pin(|named| Ok(named.name.clone())).expect("pinned");
    let said = said(&installation);
    let faults: Vec<_> = validator.iter_errors(&said).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{said}: {}", faults.join("\n"));
}

fn keys_without_description(at: &str, schema: &Value, undocumented: &mut BTreeSet<String>) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        // A choice with a single key may say on the choice itself what the key is.
        let says = |schema: &Value| schema.get("description").is_some();
        for (key, property) in properties {
            let said = says(property) || (properties.len() == 1 && says(schema));
            if !said {
                undocumented.insert(format!("{at}.{key}"));
            }
        }
    }
    match schema {
        Value::Object(map) => {
            map.iter().for_each(|(key, inner)| keys_without_description(&format!("{at}/{key}"), inner, undocumented));
        }
        Value::Array(items) => items.iter().for_each(|inner| keys_without_description(at, inner, undocumented)),
        _ => {}
    }
}
