//! Writes as values: what is put, updated or deleted, and on what condition. Turning them into the SDK's requests is the
//! last thing that happens, so that one change can be a transaction or a single request.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update};
use dutykey_engine::ports::ledger::StoreError;
use dutykey_policy::bug::Bug;
use serde::{Deserialize, Serialize};

use crate::VERSION;
use crate::codec::{Item, V, attributes, fields, key_item, number, version};
use crate::error::bounded;
use crate::keys::{Key, PK};

/// What must hold of the item before the write. A path names an attribute, or with dots one inside it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    /// The attribute is there.
    Present(String),
    /// The attribute is not there.
    Absent(String),
    /// The attribute has this value.
    Is(String, AttributeValue),
    /// The attribute is at most this.
    AtMost(String, AttributeValue),
    /// All of these.
    All(Vec<Condition>),
    /// One of these.
    Any(Vec<Condition>),
}

impl Condition {
    /// There is no such item yet.
    pub(crate) fn new() -> Self {
        Self::Absent(PK.to_owned())
    }

    /// There is such an item.
    pub(crate) fn exists() -> Self {
        Self::Present(PK.to_owned())
    }

    /// The attribute has this value.
    pub(crate) fn is(path: &str, value: AttributeValue) -> Self {
        Self::Is(path.to_owned(), value)
    }

    /// This release can read the item, or there is none: a record that was set aside is not written over.
    pub(crate) fn known_version() -> Self {
        Self::Any(vec![Self::Absent(V.to_owned()), Self::AtMost(V.to_owned(), number(VERSION))])
    }
}

/// What happens to the item.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// It becomes this, whatever it was.
    Put(Item),
    /// These attributes change and every other one stays.
    Update {
        /// What they become.
        set: Item,
        /// What is removed.
        remove: Vec<String>,
    },
    /// It goes.
    Delete,
    /// Nothing; only the condition counts.
    Check,
}

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Write {
    pub(crate) key: Key,
    pub(crate) action: Action,
    pub(crate) condition: Option<Condition>,
}

impl Write {
    /// Writes a new item with these attributes, or replaces it whole.
    pub(crate) fn put(key: Key, mut attributes: Item) -> Self {
        attributes.insert(V.to_owned(), version());
        Self { key, action: Action::Put(attributes), condition: None }
    }

    /// Sets these attributes and leaves every other one alone.
    pub(crate) fn update(key: Key, mut set: Item) -> Self {
        set.insert(V.to_owned(), version());
        Self { key, action: Action::Update { set, remove: Vec::new() }, condition: None }
    }

    /// Makes the item say this value: sets its fields, removes those that are absent, leaves unknown attributes alone.
    pub(crate) fn save<'de, T: Serialize + Deserialize<'de>>(key: Key, value: &T) -> Result<Self, StoreError> {
        let set = attributes(&key, value)?;
        if Bug::ItemsReplaced.is_chosen() {
            return Ok(Self::put(key, set));
        }
        let absent = fields::<T>().iter().filter(|field| !set.contains_key(**field)).copied();
        let remove: Vec<&str> = absent.collect();
        Ok(Self::update(key, set).without(&remove))
    }

    /// Removes the item.
    pub(crate) fn delete(key: Key) -> Self {
        Self { key, action: Action::Delete, condition: None }
    }

    /// Only looks.
    pub(crate) fn check(key: Key, condition: Condition) -> Self {
        Self { key, action: Action::Check, condition: Some(condition) }
    }

    /// Sets one more attribute.
    pub(crate) fn with(mut self, name: &str, value: AttributeValue) -> Self {
        if let Action::Put(set) | Action::Update { set, .. } = &mut self.action {
            set.insert(name.to_owned(), value);
        }
        self
    }

    /// Removes attributes.
    pub(crate) fn without(mut self, names: &[&str]) -> Self {
        if let Action::Update { remove, .. } = &mut self.action {
            remove.extend(names.iter().map(|name| (*name).to_owned()));
        }
        self
    }

    /// Refuses the write where this does not hold.
    pub(crate) fn when(mut self, condition: Condition) -> Self {
        self.condition = Some(match self.condition.take() {
            Some(first) => Condition::All(vec![first, condition]),
            None => condition,
        });
        self
    }

    /// The write as the SDK takes it in a transaction.
    pub(crate) fn into_transaction(self, table: &str) -> Result<TransactWriteItem, StoreError> {
        let mut names = Names::default();
        let condition = self.condition.as_ref().map(|condition| names.condition(condition));
        let key = key_item(&self.key);
        let item = TransactWriteItem::builder();
        let built = match self.action {
            Action::Put(attributes) => {
                let whole = attributes.into_iter().chain(key).collect();
                let put = Put::builder().table_name(table).set_item(Some(whole)).set_condition_expression(condition);
                put.set_expression_attribute_names(names.names())
                    .set_expression_attribute_values(names.values())
                    .build()
                    .map(|put| item.put(put))
            }
            Action::Update { set, remove } => {
                let expression = names.update(set, remove);
                let update = Update::builder().table_name(table).set_key(Some(key)).update_expression(expression);
                update
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names.names())
                    .set_expression_attribute_values(names.values())
                    .build()
                    .map(|update| item.update(update))
            }
            Action::Delete => {
                let delete = Delete::builder().table_name(table).set_key(Some(key)).set_condition_expression(condition);
                delete
                    .set_expression_attribute_names(names.names())
                    .set_expression_attribute_values(names.values())
                    .build()
                    .map(|delete| item.delete(delete))
            }
            Action::Check => {
                let check = ConditionCheck::builder().table_name(table).set_key(Some(key));
                check
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names.names())
                    .set_expression_attribute_values(names.values())
                    .build()
                    .map(|check| item.condition_check(check))
            }
        };
        Ok(built.map_err(|error| incomplete(&error))?.build())
    }
}

/// A request that the SDK finds incomplete.
pub(crate) fn incomplete(error: &BuildError) -> StoreError {
    StoreError::Limit(format!("the request cannot be made: {}", bounded(&error.to_string())))
}

/// Stand-ins for names and values in expressions, so that no attribute collides with a reserved word.
#[derive(Debug, Default)]
pub(crate) struct Names {
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Names {
    /// The stand-in of a path: each step has its own.
    pub(crate) fn name(&mut self, path: &str) -> String {
        let mut steps = Vec::new();
        for step in path.split('.') {
            let known = self.names.iter().find(|(_, name)| name.as_str() == step).map(|(standin, _)| standin.clone());
            let standin = known.unwrap_or_else(|| format!("#{}", self.names.len()));
            self.names.insert(standin.clone(), step.to_owned());
            steps.push(standin);
        }
        steps.join(".")
    }

    /// The stand-in of a value.
    pub(crate) fn value(&mut self, value: AttributeValue) -> String {
        let standin = format!(":{}", self.values.len());
        self.values.insert(standin.clone(), value);
        standin
    }

    /// The text of a condition.
    pub(crate) fn condition(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::Present(path) => format!("attribute_exists({})", self.name(path)),
            Condition::Absent(path) => format!("attribute_not_exists({})", self.name(path)),
            Condition::Is(path, value) => format!("{} = {}", self.name(path), self.value(value.clone())),
            Condition::AtMost(path, value) => format!("{} <= {}", self.name(path), self.value(value.clone())),
            Condition::All(all) => self.joined(all, " AND "),
            Condition::Any(any) => self.joined(any, " OR "),
        }
    }

    fn joined(&mut self, conditions: &[Condition], by: &str) -> String {
        let texts: Vec<String> =
            conditions.iter().map(|condition| format!("({})", self.condition(condition))).collect();
        texts.join(by)
    }

    /// The text of an update. What is both set and removed is set.
    pub(crate) fn update(&mut self, set: Item, remove: Vec<String>) -> String {
        let mut gone: Vec<String> = remove.into_iter().filter(|name| !set.contains_key(name)).collect();
        gone.sort_unstable();
        gone.dedup();
        let mut sorted: Vec<(String, AttributeValue)> = set.into_iter().collect();
        sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let set: Vec<String> =
            sorted.into_iter().map(|(name, value)| format!("{} = {}", self.name(&name), self.value(value))).collect();
        let mut text = format!("SET {}", set.join(", "));
        if !gone.is_empty() {
            let gone: Vec<String> = gone.iter().map(|name| self.name(name)).collect();
            text = format!("{text} REMOVE {}", gone.join(", "));
        }
        text
    }

    /// The names, as a request takes them.
    pub(crate) fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    /// The values, as a request takes them.
    pub(crate) fn values(&self) -> Option<Item> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }
}
