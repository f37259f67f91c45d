//! Sources and apps leave in two steps (R23): what still has something open retires first, and goes with a later apply.

use std::collections::BTreeMap;

use dutykey_engine::ports::target::Targets;
use dutykey_policy::enrollment::Origin;
use dutykey_policy::hold::Hold;
use dutykey_policy::id::{AppId, SourceId};
use dutykey_policy::installation::{App, Installation, TargetSettings};

/// How many open holds there are, by app and by the source that gives the reason.
#[derive(Debug, Default)]
pub(crate) struct Open {
    apps: BTreeMap<AppId, usize>,
    sources: BTreeMap<SourceId, usize>,
}

impl Open {
    /// Counts.
    pub(crate) fn of(holds: &[Hold]) -> Self {
        let mut open = Self::default();
        for hold in holds.iter().filter(|hold| !hold.is_over()) {
            *open.apps.entry(hold.key.app.clone()).or_default() += 1;
            let mut sources: Vec<&SourceId> = hold
                .reasons
                .iter()
                .filter_map(|reason| match &reason.origin {
                    Origin::Coverage(rotation) => Some(&rotation.source),
                    Origin::Request(_) | Origin::BreakGlass(_) => None,
                })
                .collect();
            sources.sort_unstable();
            sources.dedup();
            for source in sources {
                *open.sources.entry(source.clone()).or_default() += 1;
            }
        }
        open
    }
}

/// Adds to the file's installation what it drops and what still has something open, as retiring. Answers what must not
/// be dropped without saying so, a sentence each: what was not retiring yet.
pub(crate) fn keep(stored: Option<&Installation>, next: &mut Installation, open: &Open) -> Vec<String> {
    let mut unsaid = Vec::new();
    let Some(stored) = stored else { return unsaid };
    let mut note = |kind: &str, id: &str, holds: usize| {
        unsaid.push(format!("{kind} `{id}` is not in the file, and {holds} holds of it are open"));
    };
    for source in &stored.sources {
        let holds = open.sources.get(&source.id).copied().unwrap_or_default();
        if holds == 0 || next.sources.iter().any(|known| known.id == source.id) {
            continue;
        }
        if !source.retiring {
            note("source", source.id.as_str(), holds);
        }
        next.sources.push(dutykey_policy::installation::Source { retiring: true, ..source.clone() });
    }
    for app in &stored.apps {
        let holds = open.apps.get(&app.id).copied().unwrap_or_default();
        if holds == 0 || next.apps.iter().any(|known| known.id == app.id) {
            continue;
        }
        if !app.retiring {
            note("app", app.id.as_str(), holds);
        }
        next.apps.push(App { retiring: true, ..app.clone() });
    }
    unsaid
}

/// Apps whose ID would reach another tenant while holds are open: their revocations would go to the wrong one.
pub(crate) async fn moved(
    stored: Option<&Installation>,
    next: &Installation,
    open: &Open,
    targets: &dyn Targets,
) -> Vec<String> {
    let mut found = Vec::new();
    for before in stored.iter().flat_map(|stored| &stored.apps) {
        let after = next.apps.iter().find(|app| app.id == before.id);
        let Some(after) = after.filter(|after| !same_place(&before.settings, &after.settings)) else { continue };
        if !open.apps.contains_key(&before.id) {
            continue;
        }
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

/// Whether both reach the same place; a new token changes nothing about that.
fn same_place(before: &TargetSettings, after: &TargetSettings) -> bool {
    match (before, after) {
        (TargetSettings::Scim { base_url: before, .. }, TargetSettings::Scim { base_url: after, .. }) => {
            before == after
        }
        _ => before == after,
    }
}

async fn tenant(app: &App, targets: &dyn Targets) -> Option<String> {
    targets.target(app).await.ok()?.check().await.ok()
}
