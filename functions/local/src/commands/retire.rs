//! Apps whose ID would reach another tenant (R23): whoever has their secrets can ask them.

use dutykey_engine::ports::target::Targets;
use dutykey_policy::installation::{App, Installation};
use dutykey_policy::retire::{Open, moved};

/// Apps whose ID would reach another tenant while holds are open, a sentence each: their revocations would go to the wrong
/// one.
pub(crate) async fn elsewhere(
    stored: Option<&Installation>,
    next: &Installation,
    open: &Open,
    targets: &dyn Targets,
) -> Vec<String> {
    let mut found = Vec::new();
    for (before, after) in moved(stored, next, open) {
        let (old, new) = (tenant(before, targets).await, tenant(after, targets).await);
        if old.is_none() || old != new {
            let named = |tenant: Option<String>| tenant.unwrap_or_else(|| "one that does not answer".to_owned());
            found.push(format!(
                "app `{}` would reach another tenant ({}) than the one in which its holds are open ({}); give the new one \
                 an ID of its own and retire this one",
                before.id,
                named(new),
                named(old)
            ));
        }
    }
    found
}

async fn tenant(app: &App, targets: &dyn Targets) -> Option<String> {
    targets.target(app).await.ok()?.check().await.ok()
}
