//! A newer release that was at work for a moment and is rolled back (R24).

use anyhow::Context as _;
use aws_sdk_dynamodb::types::AttributeValue;
use dutykey_store::keys::{PK, SK};

use super::Course;
use crate::world::newer::SAID;
use crate::world::table::TABLE;

impl Course {
    /// Everything in the table says something by now that this release does not know; and this release is back.
    pub(super) async fn rolled_back(&mut self) -> anyhow::Result<()> {
        self.deploy();
        for (pk, sk) in self.items().await?.into_keys() {
            let update = self.client.update_item().table_name(TABLE);
            let update = update.key(PK, AttributeValue::S(pk.clone())).key(SK, AttributeValue::S(sk.clone()));
            let update = update.update_expression("SET #said = :said").expression_attribute_names("#said", SAID);
            let update = update.expression_attribute_values(":said", AttributeValue::Bool(true));
            update.send().await.context("an item that a newer release writes")?;
            self.world.newer.wrote((pk, sk));
        }
        self.world.struck("a newer release is rolled back");
        Ok(())
    }

    /// Whether what was there all the time still says it.
    pub(super) fn still_says(&self) {
        let now = self.world.now();
        for (pk, sk) in self.world.newer.lost() {
            let what = format!("{pk} {sk} was written whole, without what a newer release says in it (R24)");
            self.world.oracle().violated("P10", now, what);
        }
    }
}
