//! An administrator who is alone with a change that would give them more (R20).

use std::collections::BTreeMap;
use std::sync::Arc;

use dutykey_engine::configuration::{Become, ConfigurationError, Configurations, Wanted};
use dutykey_engine::ports::rules::{Configured, ReadRules as _};
use dutykey_policy::difference::difference;
use dutykey_policy::edit::Precondition;
use dutykey_policy::gain::configures;
use dutykey_policy::installation::Link;

use super::Office;
use crate::world::platform::their_clock;

impl Office {
    /// An administrator says that their own account is another one's, in every app, and confirms it: it takes another
    /// administrator, and until then nothing is so (R20).
    pub(crate) async fn links_alone(&self, number: usize, to: usize) -> anyhow::Result<()> {
        let Some(author) = self.person(to).await else { return Ok(()) };
        let (Some(human), Some(account)) = (self.plan().people.get(number), self.plan().account(to)) else {
            return Ok(());
        };
        let Some(Configured { installation: stored, version, .. }) = self.ledger.installation().await? else {
            return Ok(());
        };
        let mut installation = stored.clone();
        let apps = stored.apps.iter().map(|app| (app.id.clone(), account.to_owned())).collect();
        let link = Link { person: human.address.to_lowercase(), sources: BTreeMap::new(), apps };
        installation.links.retain(|known| known.person != link.person);
        installation.links.push(link);
        let changes = difference(Some(&stored), &installation)?;
        if changes.is_empty() {
            return Ok(());
        }
        let configurations = self.configurations();
        let wanted = Wanted {
            changes,
            gain: configures(&stored, &installation),
            installation,
            taken_for: Precondition::Version(version),
            author: author.clone(),
            on: version,
        };
        let said = match configurations.put(wanted).await {
            Ok(Become::Waits(proposal)) => {
                configurations.confirm(&proposal.digest, &author).await.map(|()| "confirmed")
            }
            Ok(Become::InForce) => Ok("in force at once"),
            Err(error) => Err(error),
        };
        let now = self.world().now();
        match said {
            Err(ConfigurationError::OwnGain) => self.world().struck("a link waits for another administrator"),
            Err(error) => return Err(error.into()),
            Ok(said) => {
                let what = format!("{author} says alone that {account} is another one's, and it is {said} (R20)");
                self.world().oracle().violated("P8", now, what);
            }
        }
        Ok(())
    }

    fn configurations(&self) -> Configurations {
        Configurations {
            configuration: Arc::new(self.ledger.clone()),
            queues: self.queues(),
            clock: their_clock(&self.world().clock),
        }
    }
}
