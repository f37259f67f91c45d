//! One change as one transaction, and what it means when a condition of it fails.

use std::collections::BTreeSet;

use dutykey_engine::ports::ledger::{Notice, StoreError};
use dutykey_policy::id::AppId;

use crate::Store;
use crate::codec::unreadable;
use crate::error::Refused;
use crate::evidence::taken;
use crate::keys::Key;
use crate::notice::written;
use crate::write::Write;

/// What a write of a change is for: the answer depends on which condition failed.
#[derive(Debug, Clone)]
pub(crate) enum For {
    /// The head, conditional on what was read.
    Head,
    /// An account that becomes somebody's.
    Claim(AppId),
    /// A record, conditional on a version that this release reads.
    Record,
    /// A turn that is taken, conditional on being as it was read.
    Turn,
    /// A turn that is kept or given back, conditional on being the attempt's.
    OwnTurn,
    /// Evidence, conditional on its place being free.
    Evidence,
    /// A notice, conditional on nobody having written it.
    Notice,
}

/// The writes of a change, each with what it is for.
pub(crate) type Writes = Vec<(For, Write)>;

impl Store {
    /// Makes a change; notices that somebody has written before are left out, and so are turns that somebody has taken
    /// over. Answers the apps whose accounts belong to
    /// somebody else: where there are any, nothing was written.
    pub(crate) async fn commit_all(
        &self,
        what: impl std::fmt::Display,
        writes: Writes,
        notices: &[Notice],
    ) -> Result<Vec<AppId>, StoreError> {
        let mut all = writes;
        for notice in notices {
            all.push((For::Notice, written(notice)?));
        }
        loop {
            let mut sent: Vec<Write> = all.iter().map(|(_, write)| write.clone()).collect();
            let outcome = match (sent.len(), sent.pop()) {
                (1, Some(single)) => self.write(single).await,
                (_, last) => {
                    sent.extend(last);
                    self.transact(sent).await
                }
            };
            let places = match outcome {
                Ok(()) => return Ok(Vec::new()),
                Err(Refused::Conditions(places)) => places,
                Err(refused) => return Err(refused.changed(&what)),
            };
            let failed: Vec<&(For, Write)> = places.iter().filter_map(|place| all.get(*place)).collect();
            if failed.iter().any(|(purpose, _)| matches!(purpose, For::Head)) {
                return Err(StoreError::Changed(what.to_string()));
            }
            let mut claimed = BTreeSet::new();
            let mut left_out = BTreeSet::new();
            for (purpose, write) in failed {
                match purpose {
                    For::Claim(app) => {
                        claimed.insert(app.clone());
                    }
                    For::Evidence => return Err(taken(&write.key)),
                    For::Record => return Err(set_aside(&write.key)),
                    For::Turn => return Err(StoreError::Changed(write.key.to_string())),
                    For::Notice | For::OwnTurn => {
                        left_out.insert(write.key.clone());
                    }
                    For::Head => {}
                }
            }
            if !claimed.is_empty() {
                return Ok(claimed.into_iter().collect());
            }
            if left_out.is_empty() {
                return Err(StoreError::Changed(what.to_string()));
            }
            all.retain(|(_, write)| !left_out.contains(&write.key));
        }
    }
}

fn set_aside(key: &Key) -> StoreError {
    unreadable(key, "a newer release wrote it, and it is not written over")
}
