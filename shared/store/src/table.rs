//! The table itself, where no deployment makes it: on a laptop, on a small server and in tests.

use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
};
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::rules::Standstill;
use jiff::Timestamp;

use crate::Store;
use crate::codec::{Item, text, text_of};
use crate::error::{Refused, store_error};
use crate::keys::{self, INDEXES, PK, SK, TTL};
use crate::write::{Condition, Write, incomplete};

/// Which table this is, by the ID that the database gives each: `TableId`, which a restored table does not share.
const TABLE: &str = "table";
/// Why a table stands still that was restored.
const RESTORED: &str = "the table was restored from a backup";
/// How often a new table is asked whether it is ready.
const ATTEMPTS: usize = 120;
/// The wait between.
const WAIT: Duration = Duration::from_millis(500);

impl Store {
    /// Makes the table with its indexes and gives it its own ID, once; what exists already stays. The indexes hold keys
    /// only: what they find is read from the table itself, and most changes of an item then touch no index.
    ///
    /// `id` names this very table: evidence elsewhere and the table must agree on it. A table restored from a backup
    /// keeps the old one until somebody gives it another.
    ///
    /// # Errors
    /// The table cannot be made or used, or is not ready after a minute.
    pub async fn create_table(&self, id: &str) -> Result<(), StoreError> {
        let mut request = self.client.create_table().table_name(&*self.table).billing_mode(BillingMode::PayPerRequest);
        for name in [PK, SK].into_iter().chain(INDEXES.iter().flat_map(|index| [index.partition, index.sort])) {
            request = request.attribute_definitions(attribute(name)?);
        }
        for key in schema(PK, SK)? {
            request = request.key_schema(key);
        }
        for index in INDEXES {
            let keys_only = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
            let index = GlobalSecondaryIndex::builder()
                .index_name(index.name)
                .set_key_schema(Some(schema(index.partition, index.sort)?))
                .projection(keys_only)
                .build();
            request = request.global_secondary_indexes(index.map_err(|error| incomplete(&error))?);
        }
        match request.send().await {
            Ok(_) => {}
            Err(error) if error.code() == Some("ResourceInUseException") => {}
            Err(error) => return Err(store_error(error)),
        }
        self.ready().await?;
        self.expire().await?;
        self.give_id(id).await
    }

    /// Gives the table an ID, where it has none: a table that was made by other means.
    ///
    /// # Errors
    /// The table cannot be used.
    pub async fn give_id(&self, id: &str) -> Result<(), StoreError> {
        let item = Item::from([("id".to_owned(), text(id))]);
        self.unless_done(Write::put(keys::installation(), item).when(Condition::new())).await
    }

    /// Stands still where this is another table than the one that it says it is: it was restored from a backup, and knows
    /// nothing of what was granted since. A table that does not say which it is says so from now on.
    ///
    /// # Errors
    /// The table cannot be used.
    pub async fn notice_restore(&self, at: Timestamp) -> Result<Option<Standstill>, StoreError> {
        let Some(item) = self.get(&keys::installation()).await? else { return Ok(None) };
        let Some(id) = self.table_id().await? else { return Ok(None) };
        match text_of(&item, TABLE) {
            Some(said) if said == id => Ok(None),
            Some(_) => self.stand_still(RESTORED, at).await.map(Some),
            None => {
                let unnamed = Condition::All(vec![Condition::exists(), Condition::Absent(TABLE.to_owned())]);
                self.unless_done(named(&id).when(unnamed)).await.map(|()| None)
            }
        }
    }

    async fn unless_done(&self, write: Write) -> Result<(), StoreError> {
        match self.write(write).await {
            Ok(()) | Err(Refused::Conditions(_)) => Ok(()),
            Err(refused) => Err(refused.changed("the installation")),
        }
    }

    /// Says in the table which table this is; `None` where the database gives tables no ID.
    pub(crate) async fn is_this_table(&self) -> Result<Option<Write>, StoreError> {
        Ok(self.table_id().await?.map(|id| named(&id)))
    }

    async fn table_id(&self) -> Result<Option<String>, StoreError> {
        let answer = self.client.describe_table().table_name(&*self.table).send().await.map_err(store_error)?;
        Ok(answer.table.and_then(|table| table.table_id))
    }

    /// The ID that the table was given when it was made; `None` where it has none.
    ///
    /// # Errors
    /// The table cannot be used.
    pub async fn installation_id(&self) -> Result<Option<String>, StoreError> {
        let item = self.get(&keys::installation()).await?;
        Ok(item.and_then(|item| text_of(&item, "id").map(str::to_owned)))
    }

    async fn ready(&self) -> Result<(), StoreError> {
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(WAIT).await;
            }
            let answer = self.client.describe_table().table_name(&*self.table).send().await.map_err(store_error)?;
            if answer.table.and_then(|table| table.table_status) == Some(TableStatus::Active) {
                return Ok(());
            }
        }
        Err(StoreError::Unavailable(format!("the table {} is not ready after a minute", self.table)))
    }

    /// Lets the table remove what is past its time. It is garbage only: reads go by the times in the items.
    async fn expire(&self) -> Result<(), StoreError> {
        let table = &*self.table;
        let now = self.client.describe_time_to_live().table_name(table).send().await.map_err(store_error)?;
        let status = now.time_to_live_description.and_then(|ttl| ttl.time_to_live_status);
        if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
            return Ok(());
        }
        let ttl = TimeToLiveSpecification::builder().attribute_name(TTL).enabled(true).build();
        let ttl = ttl.map_err(|error| incomplete(&error))?;
        let request = self.client.update_time_to_live().table_name(table).time_to_live_specification(ttl);
        request.send().await.map(|_| ()).map_err(store_error)
    }
}

fn named(table: &str) -> Write {
    Write::update(keys::installation(), Item::from([(TABLE.to_owned(), text(table))]))
}

fn attribute(name: &str) -> Result<AttributeDefinition, StoreError> {
    let definition = AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
    definition.build().map_err(|error| incomplete(&error))
}

fn schema(partition: &str, sort: &str) -> Result<Vec<KeySchemaElement>, StoreError> {
    let element = |name: &str, key: KeyType| KeySchemaElement::builder().attribute_name(name).key_type(key).build();
    let both = [element(partition, KeyType::Hash), element(sort, KeyType::Range)];
    both.into_iter().map(|element| element.map_err(|error| incomplete(&error))).collect()
}
