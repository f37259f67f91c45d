//! Names of entitlements become IDs, once: from then on a renamed group is still the same group.

use std::collections::{BTreeMap, BTreeSet};

use dutykey_engine::ports::target::{Entitlement, Target, TargetError, Targets};
use dutykey_policy::id::AppId;
use dutykey_policy::installation::{App, Installation};
use dutykey_runtime::config::{ConfigProblem, Document, NamedEntitlement};

/// At most this many pages of a catalog are read; a target that goes on counting would never end.
const MAX_PAGES: usize = 10_000;

/// The installation that the document describes, with the ID of each entitlement that it gives by name.
///
/// # Errors
/// A problem at its line for each name that the app's catalog has not, or has twice, or that could not be looked up.
pub(crate) async fn pin(document: Document, targets: &dyn Targets) -> Result<Installation, Vec<ConfigProblem>> {
    let catalogs = catalogs(&document, targets).await;
    document.pin(|named| match catalogs.get(&named.app) {
        Some(Ok(catalog)) => id_of(named, catalog),
        Some(Err(error)) => Err(format!("cannot be looked up in `{}`: {error}", named.app)),
        None => Err(format!("cannot be looked up: there is no app `{}`", named.app)),
    })
}

/// The installation for showing only: where an app cannot be asked, an entitlement keeps its name in place of an ID, and
/// the second part says so. Nothing may act on it.
///
/// # Errors
/// A problem at its line for each name that an app, which could be asked, has not or has twice.
pub(crate) async fn pin_to_show(
    document: Document,
    targets: &dyn Targets,
) -> Result<(Installation, Vec<String>), Vec<ConfigProblem>> {
    let catalogs = catalogs(&document, targets).await;
    let unasked = catalogs.iter().filter_map(|(app, catalog)| catalog.as_ref().err().map(|error| (app, error)));
    let warnings =
        unasked.map(|(app, error)| format!("`{app}` cannot be asked for IDs, names are shown: {error}")).collect();
    let installation = document.pin(|named| match catalogs.get(&named.app) {
        Some(Ok(catalog)) => id_of(named, catalog),
        Some(Err(_)) | None => Ok(named.name.clone()),
    })?;
    Ok((installation, warnings))
}

async fn catalogs(
    document: &Document,
    targets: &dyn Targets,
) -> BTreeMap<AppId, Result<Vec<Entitlement>, TargetError>> {
    let apps: BTreeSet<AppId> = document.named().map(|named| named.app.clone()).collect();
    let mut catalogs = BTreeMap::new();
    for app in document.apps().iter().filter(|app| apps.contains(&app.id)) {
        catalogs.insert(app.id.clone(), read(app, targets).await);
    }
    catalogs
}

/// The ID that a catalog has for a name.
///
/// # Errors
/// None, several, or one that Dutykey cannot manage, in a sentence.
pub(crate) fn id_of(named: &NamedEntitlement, catalog: &[Entitlement]) -> Result<String, String> {
    let NamedEntitlement { app, kind, name, .. } = named;
    let mut matching = catalog.iter().filter(|entry| entry.entitlement.kind == *kind && entry.name == *name);
    match (matching.next(), matching.next()) {
        (None, _) => Err(format!("`{app}` has no {kind} of the name `{name}`; correct the name, or give its `id`")),
        (Some(_), Some(_)) => Err(format!("`{app}` has more than one {kind} of the name `{name}`; give its `id`")),
        (Some(Entitlement { unmanageable: Some(why), .. }), None) => {
            Err(format!("`{app}` has the {kind} `{name}`, but Dutykey cannot manage it: {why}"))
        }
        (Some(one), None) => Ok(one.entitlement.id.clone()),
    }
}

async fn read(app: &App, targets: &dyn Targets) -> Result<Vec<Entitlement>, TargetError> {
    catalog(targets.target(app).await?.as_ref()).await
}

/// Everything that an app has to give.
///
/// # Errors
/// A page could not be read, or there is no end of pages.
pub(crate) async fn catalog(target: &dyn Target) -> Result<Vec<Entitlement>, TargetError> {
    let mut all = Vec::new();
    let mut next: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let page = target.catalog(next.as_deref()).await?;
        all.extend(page.entitlements);
        next = page.next;
        if next.is_none() {
            return Ok(all);
        }
    }
    Err(TargetError::Permanent(format!("its catalog has more than {MAX_PAGES} pages")))
}
