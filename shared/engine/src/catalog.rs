//! Reading what apps have to give: one app at a time, so that a slow one delays no other.
//!
//! The generation is taken from the head before the reading begins, so that an older reading never overwrites a newer one.
//! While entries are written the head has no digest: whoever is cut off is found out by the next comparison. An app that
//! cannot be read keeps its last catalog, and its head says since when.

use std::sync::Arc;
use std::time::Duration;

use dutykey_policy::catalog::{CatalogEntry, Difference, Reading, difference, digest};
use dutykey_policy::id::AppId;
use dutykey_policy::installation::App;
use dutykey_policy::retry::backoff;
use dutykey_policy::time::{later, rfc3339};
use jiff::Timestamp;

use crate::ports::catalog::{Catalog, CatalogFailure, WriteCatalogs};
use crate::ports::clock::{Clock, trusted, within};
use crate::ports::ledger::StoreError;
use crate::ports::queue::{Enqueue, Message, Queue};
use crate::ports::rules::ReadRules;
use crate::ports::target::{Entitlement, MAX_DETAIL, Page, Target, TargetError, Targets};

/// The deadline of an app's reading. With that of its writing it lies within the time that the function has.
const READ_DEADLINE: Duration = Duration::from_secs(150);
/// The deadline of writing what a reading changes. What is left then follows with the next reading.
const WRITE_DEADLINE: Duration = Duration::from_secs(90);
/// At most this many pages are read; a target that goes on counting would never end.
const MAX_PAGES: usize = 10_000;
/// The most entitlements that an app's catalog lists.
const MAX_ENTITLEMENTS: usize = 100_000;
/// How often a page is asked for that the target cannot give now.
const TRIES: u32 = 6;
/// So many entries are changed before the clock is looked at again.
const CHUNK: usize = 200;

/// Brings catalogs up to date.
#[derive(Clone)]
pub struct Catalogs {
    /// The catalogs.
    pub catalogs: Arc<dyn WriteCatalogs>,
    /// The installation.
    pub rules: Arc<dyn ReadRules>,
    /// Adapters of the apps.
    pub targets: Arc<dyn Targets>,
    /// The queue of provisioning.
    pub queues: Arc<dyn Enqueue>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Catalogs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalogs").finish_non_exhaustive()
    }
}

impl Catalogs {
    /// Reads what an app has to give; where none is named, has every app read by a message of its own.
    ///
    /// An app that does not answer is no error here: it is recorded, and its last catalog stands.
    ///
    /// # Errors
    /// The table cannot be used.
    pub async fn take(&self, app: Option<&AppId>) -> Result<(), StoreError> {
        let Some(configured) = self.rules.installation().await? else { return Ok(()) };
        let mut apps = configured.installation.apps.into_iter().filter(|app| !app.retiring);
        let Some(named) = app else {
            let messages = apps.map(|app| Message::catalog(Some(app.id), "catalog")).collect();
            self.send(messages).await;
            return Ok(());
        };
        let Some(app) = apps.find(|app| app.id == *named) else { return Ok(()) };
        match self.refresh(&app).await {
            // Another reading was faster, and is newer than what this one knows.
            Err(StoreError::Changed(_)) => Ok(()),
            done => done,
        }
    }

    async fn refresh(&self, app: &App) -> Result<(), StoreError> {
        let heads = self.catalogs.catalogs(std::slice::from_ref(&app.id)).await?;
        let catalog = heads.into_values().next().unwrap_or_else(|| Catalog::new(app.id.clone()));
        let now = self.clock.now();
        if catalog.writing_until.is_some_and(|until| now < until) {
            return Ok(());
        }
        let deadline = later(now, READ_DEADLINE);
        let read = within(self.clock.as_ref(), deadline, self.read(app, now, deadline)).await;
        // The answers may have contradicted the clock: then nobody knows how long anything has been missing.
        trusted(self.clock.as_ref())?;
        match read {
            Some(Ok(reading)) => self.accept(catalog, &reading, now).await,
            Some(Err(error)) => self.failed(catalog, error.to_string()).await,
            None => {
                let because = format!("it could not be read to its end within {} seconds", READ_DEADLINE.as_secs());
                self.failed(catalog, because).await
            }
        }
    }

    /// Everything that the app has to give.
    async fn read(&self, app: &App, at: Timestamp, deadline: Timestamp) -> Result<Reading, TargetError> {
        let target = self.targets.target(app).await?;
        let (mut reading, mut next) = (Reading::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let page = self.page(target.as_ref(), next.as_deref(), deadline).await?;
            for Entitlement { entitlement, name, description, unmanageable } in page.entitlements {
                let entry = CatalogEntry::new(entitlement, &name, description.as_deref(), unmanageable.as_deref(), at)
                    .map_err(|error| TargetError::Permanent(error.to_string()))?;
                reading.insert(entry.entitlement.clone(), entry);
            }
            if reading.len() > MAX_ENTITLEMENTS {
                let most = format!("its catalog lists more than {MAX_ENTITLEMENTS} entitlements");
                return Err(TargetError::Permanent(most));
            }
            next = page.next;
            if next.is_none() {
                return Ok(reading);
            }
        }
        Err(TargetError::Permanent(format!("its catalog has more than {MAX_PAGES} pages")))
    }

    /// One page. What the target cannot give now is asked for again, when it says and not before.
    async fn page(&self, target: &dyn Target, page: Option<&str>, deadline: Timestamp) -> Result<Page, TargetError> {
        let mut failures = 0;
        loop {
            let error = match target.catalog(page).await {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            failures += 1;
            let asked = match &error {
                TargetError::Throttled { after, .. } | TargetError::Transient { after, .. } => *after,
                TargetError::Conflict(_) | TargetError::Lost(_) => None,
                TargetError::AccountGone(_) | TargetError::Permanent(_) => return Err(error),
            };
            let again = later(self.clock.now(), backoff(failures, asked));
            if failures >= TRIES || again >= deadline {
                return Err(error);
            }
            self.clock.sleep_until(again).await;
        }
    }

    /// Takes in a complete reading that was begun `at`.
    async fn accept(&self, catalog: Catalog, reading: &Reading, at: Timestamp) -> Result<(), StoreError> {
        let read = Some(digest(reading));
        let fresh = Catalog { refreshed_at: Some(at), failure: None, writing_until: None, ..catalog.clone() };
        if catalog.digest == read {
            return self.catalogs.keep_catalog(&fresh).await.map(drop);
        }
        let stored = self.catalogs.entries(&catalog.app).await?;
        let Difference { changes, doubted } = difference(&stored, reading, catalog.doubted_since, at);
        let kinds = reading.keys().map(|entitlement| entitlement.kind.clone()).collect();
        let both = &catalog.kinds | &kinds;
        let mut rev = catalog.rev;
        if !changes.is_empty() {
            let deadline = later(self.clock.now(), WRITE_DEADLINE);
            let writing = Catalog { digest: None, kinds: both.clone(), writing_until: Some(deadline), ..catalog };
            let writing = self.catalogs.keep_catalog(&writing).await?;
            for some in changes.chunks(CHUNK) {
                if self.clock.now() >= deadline {
                    let app = writing.app.clone();
                    self.failed(writing, "its changes are many, and are still being written".to_owned()).await?;
                    self.send(vec![Message::catalog(Some(app), "more")]).await;
                    return Ok(());
                }
                self.catalogs.change_entries(some).await?;
            }
            rev = writing.rev;
        }
        let failure = doubted.map(|doubted| CatalogFailure {
            since: doubted.since,
            because: format!(
                "the app lists {} entitlements and lacks {} that it listed before: these stay in the catalog until it has \
                 lacked them for a day, since {}",
                reading.len(),
                doubted.missing,
                rfc3339(doubted.since)
            ),
        });
        let digest = if doubted.is_some() { None } else { read };
        let kinds = if doubted.is_some() { both } else { kinds };
        let doubted_since = doubted.map(|doubted| doubted.since);
        self.catalogs.keep_catalog(&Catalog { rev, digest, kinds, doubted_since, failure, ..fresh }).await.map(drop)
    }

    /// The app could not be read, or not all of it be written: what the catalog has stands.
    async fn failed(&self, catalog: Catalog, because: String) -> Result<(), StoreError> {
        let tame = |c: char| if c.is_control() { ' ' } else { c };
        let because: String = because.chars().take(MAX_DETAIL).map(tame).collect();
        if catalog.failure.as_ref().is_some_and(|failure| failure.because == because) && catalog.writing_until.is_none()
        {
            return Ok(());
        }
        tracing::warn!(app.id = %catalog.app, "the catalog of `{}` stays as it was: {because}", catalog.app);
        let since = catalog.failure.as_ref().map_or_else(|| self.clock.now(), |failure| failure.since);
        let failure = Some(CatalogFailure { since, because });
        self.catalogs.keep_catalog(&Catalog { failure, writing_until: None, ..catalog }).await.map(drop)
    }

    /// Sends messages. What is lost the schedule's next run sends again.
    async fn send(&self, messages: Vec<Message>) {
        if let Err(error) = self.queues.send(Queue::Provisioning, messages).await {
            tracing::error!(error = %error, "catalogs are read an hour later: {error}");
        }
    }
}
