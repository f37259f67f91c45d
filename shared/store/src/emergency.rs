//! Emergencies: each an item of its own, in one list while it waits for its review and in another afterwards.

use async_trait::async_trait;
use dutykey_engine::ports::emergencies::ReadEmergencies;
use dutykey_engine::ports::ledger::StoreError;
use dutykey_policy::emergency::Emergency;
use dutykey_policy::id::{EmergencyId, PersonId};

use crate::Store;
use crate::codec::{decode, number};
use crate::keys;
use crate::ledger::listed;
use crate::list::{Cursor, MAX_PAGE, Page};
use crate::notice::expiry;
use crate::write::{Condition, Write};

#[async_trait]
impl ReadEmergencies for Store {
    async fn emergency(&self, id: &EmergencyId) -> Result<Option<Emergency>, StoreError> {
        self.get(&keys::emergency(id)).await?.map(decode).transpose()
    }

    async fn unreviewed(&self, of: &PersonId) -> Result<Option<EmergencyId>, StoreError> {
        let mut cursor = None;
        loop {
            let page = self.list_emergencies(Reviewed::NotYet, cursor.as_ref(), MAX_PAGE).await?;
            if let Some(theirs) = page.items.into_iter().find(|it| it.person == *of) {
                return Ok(Some(theirs.id));
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(None);
            }
        }
    }
}

/// Which emergencies are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reviewed {
    /// Those that wait for their review.
    NotYet,
    /// Those that were reviewed.
    Done,
}

impl Store {
    /// Emergencies; in each shard the oldest comes first.
    ///
    /// # Errors
    /// The table cannot be used, or the cursor is not one of this list.
    pub async fn list_emergencies(
        &self,
        which: Reviewed,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<Emergency>, StoreError> {
        let list = match which {
            Reviewed::NotYet => keys::EMERGENCIES,
            Reviewed::Done => keys::REVIEWED,
        };
        self.listed(keys::shards(list), cursor, limit).await
    }
}

/// The write of an emergency. It is kept until it was reviewed, however long that takes.
pub(crate) fn emergency_write(emergency: &Emergency) -> Result<Write, StoreError> {
    let (list, place) = keys::emergency_list(emergency);
    let write = listed(Write::save(keys::emergency(&emergency.id), emergency)?, keys::LISTS, list, place);
    let write = match &emergency.review {
        Some(review) => write.with(keys::TTL, number(expiry(review.at))),
        None => write,
    };
    Ok(write.when(Condition::known_version()))
}
