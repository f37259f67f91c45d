//! The first call of an issuer's subject: the link, the address and the person are one transaction.

use std::collections::BTreeMap;

use async_trait::async_trait;
use dutykey_engine::ports::callers::{CallerLink, Callers, Subject};
use dutykey_engine::ports::ledger::StoreError;
use dutykey_policy::evidence::Draft;
use dutykey_policy::id::PersonId;
use dutykey_policy::identity::Doubt;
use serde_json::{Value, json};

use crate::Store;
use crate::codec::{Item, text};
use crate::error::Refused;
use crate::keys;
use crate::link::{ATTEMPTS, Newcomer, owned, owner};
use crate::write::{Condition, Write};

/// The attribute of a person's item for an issuer that has the name of their subject.
pub(crate) const CALLER: &str = "caller";

#[async_trait]
impl Callers for Store {
    async fn caller(&self, subject: &Subject) -> Result<Option<PersonId>, StoreError> {
        self.owner_of(&keys::subject(subject)).await
    }

    async fn link_caller(&self, link: &CallerLink) -> Result<Result<PersonId, Doubt>, StoreError> {
        for _ in 0..ATTEMPTS {
            let (subject, address) = (keys::subject(&link.subject), keys::address(&link.address));
            let mut found = self.batch_get([subject.clone(), address.clone()]).await?;
            // A link once made stays, whatever the address says now.
            if let Some(item) = found.remove(&subject) {
                return owner(&item, &subject).map(Ok);
            }
            self.may_record().await?;
            let (id, mut writes) = match found.remove(&address) {
                None => (link.fresh.clone(), newcomer(link).writes()?),
                Some(item) => {
                    let id = owner(&item, &address)?;
                    if self.get(&keys::calls_as(&id, &link.subject.issuer)).await?.is_some() {
                        return Ok(Err(Doubt::Ambiguous));
                    }
                    let (_, writes) = self.one_more(&id, &link.address, &draft(&id), link.at).await?;
                    (id, writes)
                }
            };
            // By this whoever is erased is no caller any more.
            let name = Item::from([(CALLER.to_owned(), text(keys::subject_name(&link.subject)))]);
            let calls_as = Write::put(keys::calls_as(&id, &link.subject.issuer), name);
            writes.extend([Write::put(subject, owned(&id)), calls_as].map(|write| write.when(Condition::new())));
            match self.transact(writes).await {
                Ok(()) => return Ok(Ok(id)),
                Err(Refused::Conditions(_) | Refused::Conflict) => {}
                Err(Refused::Store(error)) => return Err(error),
            }
        }
        Err(StoreError::Changed("a caller whom nobody has seen before".to_owned()))
    }
}

fn newcomer(link: &CallerLink) -> Newcomer<'_> {
    Newcomer {
        id: &link.fresh,
        address: &link.address,
        name: None,
        users: BTreeMap::new(),
        draft: draft(&link.fresh),
        at: link.at,
    }
}

/// The evidence of a link. It names neither the subject nor the address: evidence stays for ever.
fn draft(id: &PersonId) -> Draft {
    Draft {
        act: "person.called".to_owned(),
        actor: "access-requests".to_owned(),
        subject: json!({ "person": id }),
        before: Value::Null,
        after: json!({ "linked": true }),
        why: json!("the address that the token marks verified matches"),
    }
}
