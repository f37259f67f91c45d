//! What the company's app has to give: every group that a team has, and more that nobody gives.

use dutykey_engine::ports::catalog::{Catalog, WriteCatalogs as _};
use dutykey_policy::catalog::{CatalogEntry, Reading, difference};
use dutykey_policy::id::EntitlementRef;
use dutykey_store::Store;

use super::names::{APP, entitlement};
use super::{Crowd, CrowdError, NOW, TEAM};

/// So many groups of a team, beside those that are given, are nobody's.
const SPARE: u32 = 10;

impl Crowd {
    /// Writes the catalog as a complete reading of the app leaves it.
    pub(super) async fn catalog(&self, store: &Store) -> Result<(), CrowdError> {
        let mut reading = Reading::new();
        for team in 0..self.size.rotations.div_ceil(TEAM) {
            for group in 0..self.size.holds / self.size.rotations + SPARE {
                let it = entitlement(team, group)?;
                let name = format!("Production group {group} of team {team}");
                let entry = CatalogEntry::new(it.clone(), &name, None, None, NOW)?;
                reading.insert(it, entry);
            }
        }
        let kinds = reading.keys().map(|EntitlementRef { kind, .. }| kind.clone()).collect();
        let head = Catalog { refreshed_at: Some(NOW), kinds, ..Catalog::new(APP.parse()?) };
        store.keep_catalog(&head).await?;
        store.change_entries(&difference(&Reading::new(), &reading, None, NOW).changes).await?;
        Ok(())
    }
}
