//! Domain values as items: each field is an attribute, and an absent field is an absent attribute.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use dutykey_engine::ports::ledger::StoreError;
use serde::de::value::Error as FieldsError;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::{Serialize, forward_to_deserialize_any};

use crate::VERSION;
use crate::error::bounded;
use crate::keys::{Key, PK, SK};

/// An item as the table has it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The attribute that has an item's schema version.
pub(crate) const V: &str = "v";

/// A text as an attribute.
pub(crate) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A whole number as an attribute.
pub(crate) fn number(number: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// The schema version that this release writes, as an attribute.
pub(crate) fn version() -> AttributeValue {
    number(VERSION)
}

/// A key as attributes.
pub(crate) fn key_item(key: &Key) -> Item {
    HashMap::from([(PK.to_owned(), text(&key.pk)), (SK.to_owned(), text(&key.sk))])
}

/// An item's key. Every item of the table has one.
pub(crate) fn key_of(item: &Item) -> Key {
    let part = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
    Key { pk: part(PK), sk: part(SK) }
}

/// A text attribute.
pub(crate) fn text_of<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

/// The attributes of a value: those of its fields that are there.
pub(crate) fn attributes<T: Serialize>(key: &Key, value: &T) -> Result<Item, StoreError> {
    let mut item: Item = serde_dynamo::to_item(value).map_err(|error| unreadable(key, error))?;
    item.retain(|_, value| !value.is_null());
    Ok(item)
}

/// A value as one attribute.
pub(crate) fn attribute<T: Serialize>(key: &Key, value: &T) -> Result<AttributeValue, StoreError> {
    serde_dynamo::to_attribute_value(value).map_err(|error| unreadable(key, error))
}

/// Reads a value from an item. Attributes that this release does not know are not looked at.
pub(crate) fn decode<T: DeserializeOwned>(item: Item) -> Result<T, StoreError> {
    let key = key_of(&item);
    let version = item.get(V).and_then(|v| v.as_n().ok()).and_then(|v| v.parse::<u64>().ok());
    if version.is_none_or(|version| version > VERSION) {
        let found = version.map_or_else(|| "none".to_owned(), |version| version.to_string());
        return Err(unreadable(&key, format!("its version is {found}, and this release reads up to {VERSION}")));
    }
    serde_dynamo::from_item(item).map_err(|error| unreadable(&key, error))
}

/// A record that this release cannot read or write.
pub(crate) fn unreadable(key: &Key, problem: impl std::fmt::Display) -> StoreError {
    StoreError::Unreadable { key: bounded(&key.to_string()), problem: bounded(&problem.to_string()) }
}

/// The names of a struct's fields: what an update may remove where a value has none. They come from the type itself, so
/// that they cannot fall behind it.
pub(crate) fn fields<'de, T: serde::Deserialize<'de>>() -> &'static [&'static str] {
    let mut found: &'static [&'static str] = &[];
    // The answer is always an error: the type only gets to say what it consists of.
    let _ = T::deserialize(Fields(&mut found));
    found
}

struct Fields<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = FieldsError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, FieldsError> {
        Err(FieldsError::custom("only a struct has fields"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, FieldsError> {
        *self.0 = fields;
        Err(FieldsError::custom("the fields are known"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dutykey_engine::ports::ledger::PersonHead;
    use dutykey_policy::hold::Hold;

    #[test]
    fn r24_what_an_update_may_remove_comes_from_the_type_itself() {
        assert_eq!(fields::<PersonHead>(), ["rev", "chain", "last_at", "next_start", "next_end"]);
        assert!(fields::<Hold>().contains(&"unsettled_until"), "optional fields count too: {:?}", fields::<Hold>());
    }
}
