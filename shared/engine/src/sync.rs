//! Reading platforms: their users, which rotations are followed, and a complete view of each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dutykey_policy::bug::Bug;
use dutykey_policy::id::{RotationId, SourceId, UserId};
use dutykey_policy::identity::departed;
use dutykey_policy::installation::{Installation, Rotations, Source};
use dutykey_policy::profile::Profile;
use dutykey_policy::rota::View;
use dutykey_policy::time::{Span, earlier, later};
use futures_util::future::join;
use jiff::Timestamp;

use crate::ports::clock::{Chance, Clock, trusted, within};
use crate::ports::ledger::{StoreError, WriteLedger};
use crate::ports::platform::{Platform, PlatformError, Platforms};
use crate::ports::queue::{About, Enqueue, Message};
use crate::ports::rota::{Directory, RotationHead, WriteRota};
use crate::ports::rules::ReadRules;
use crate::ports::witness::{Event, Witness};
use crate::view::Scope;

/// How far back a view reaches: far enough for what has just ended.
const BACK: Duration = Duration::from_secs(3_600);
/// The deadline of one rotation's read.
const READ_DEADLINE: Duration = Duration::from_secs(60);
/// The deadline of all reads of a source. What a platform that hangs has left unread by then has failed.
const SOURCE_DEADLINE: Duration = Duration::from_secs(600);
/// Users are read again when somebody is on call whom they do not name, at most this often.
const STRANGER: Duration = Duration::from_secs(60);

/// Reads platforms and plans enrollments.
#[derive(Clone)]
pub struct Syncer {
    /// Rotations.
    pub rota: Arc<dyn WriteRota>,
    /// People's items.
    pub ledger: Arc<dyn WriteLedger>,
    /// The installation and its profiles.
    pub rules: Arc<dyn ReadRules>,
    /// Adapters of the sources.
    pub platforms: Arc<dyn Platforms>,
    /// Both sides' queues.
    pub queues: Arc<dyn Enqueue>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for the IDs of people.
    pub chance: Arc<dyn Chance>,
    /// Whoever watches.
    pub witness: Arc<dyn Witness>,
}

impl std::fmt::Debug for Syncer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Syncer").finish_non_exhaustive()
    }
}

impl Syncer {
    /// Takes a message: waits until its time, then reads. A message that is about a person is not for this queue.
    ///
    /// # Errors
    /// The table cannot be used.
    pub async fn take(&self, message: &Message) -> Result<(), StoreError> {
        let About::Rota { source, rotation } = &message.about else { return Ok(()) };
        self.clock.sleep_until(message.not_before.unwrap_or(Timestamp::MIN)).await;
        self.sync(source, rotation.as_deref()).await
    }

    /// Reads one rotation, or every watched rotation of the source.
    ///
    /// A platform that does not answer is no error here: it is recorded, the last good view stands, and people are told
    /// when it goes on. An error is a table that cannot be used.
    ///
    /// # Errors
    /// Those of the table.
    pub async fn sync(&self, source: &SourceId, rotation: Option<&str>) -> Result<(), StoreError> {
        let (pulse, configured) = join(self.rules.pulse(), self.rules.installation()).await;
        // A standstill is said whatever a restored table has of the configuration.
        if let Some(standstill) = pulse?.unrebuilt() {
            tracing::warn!(source.id = %source, "`{source}` is not read: {standstill}");
            return Ok(());
        }
        let Some(configured) = configured? else { return Ok(()) };
        trusted(self.clock.as_ref())?;
        let installation = configured.installation;
        let about_people = installation.about_people();
        let Some(source) = installation.sources.iter().find(|known| known.id == *source) else { return Ok(()) };
        let platform = self.platforms.platform(source).await;
        let every = installation.sync.directory_every;
        let (mut directory, listed) = self.refresh(source, platform.as_ref().ok(), every, rotation.is_none()).await?;
        let lists = listed.is_some();
        let rotations = match rotation {
            Some(local) => match format!("{}:{local}", source.id).parse() {
                Ok(id) => vec![(id, None)],
                Err(_) => return Ok(()),
            },
            None => self.watched(source, &installation.profiles, listed).await?,
        };
        let deadline = later(self.clock.now(), SOURCE_DEADLINE);
        for (id, name) in self.begun_anywhere(rotations) {
            // The generation is taken before the read begins: a view that was begun on an older one never overwrites.
            let head = self.head(&id, name).await?;
            let read = match &platform {
                Ok(platform) => self.read(platform.as_ref(), &installation, &id, deadline).await,
                Err(error) => Err(error.clone()),
            };
            let head = if Bug::OlderViewWins.is_chosen() { self.head(&id, Some(head.name)).await? } else { head };
            // The answer may have contradicted the clock: then neither it nor its absence means anything yet.
            trusted(self.clock.as_ref())?;
            let young = directory.read_at.is_some_and(|at| later(at, STRANGER) > self.clock.now());
            if !young && read.as_ref().is_ok_and(|view| names_a_stranger(view, &directory)) {
                directory = self.refresh(source, platform.as_ref().ok(), STRANGER, false).await?.0;
            }
            // With what was asked for the directory, and what others ask of the same adapter meanwhile.
            let asked = platform.as_ref().map_or(0, |platform| platform.take_requests());
            if asked > 0 {
                self.witness.saw(&Event::PlatformAsked(asked));
            }
            let retires = source.retiring && !Bug::RetirementIgnored.is_chosen();
            let enrolls = |profile: &&Profile| profile.enrolls(&id) && !retires;
            let profiles = installation.profiles.iter().filter(enrolls).cloned().collect();
            let directory = &directory;
            let scope = Scope { installation: &installation, about_people: &about_people, source, profiles, directory };
            let taken = match read {
                Ok(view) => self.accept(&scope, head.clone(), view).await,
                Err(error) if Bug::OutageFailsMessage.is_chosen() => Err(StoreError::Unavailable(error.to_string())),
                Err(error) => self.failed(&scope, head.clone(), &error).await,
            };
            let taken = match taken {
                Err(error) if error.is_of_one_record() => self.set_aside(&scope, head, &error).await,
                taken => taken,
            };
            match taken {
                // Another read was faster, and newer than what this one knows.
                Ok(()) | Err(StoreError::Changed(_)) => {}
                Err(error) => return Err(error),
            }
        }
        // Only now: whoever dies before has to list the rotations again, or new ones would stay unknown for as long as
        // the users are fresh.
        if lists && self.rota.directory(&source.id).await?.read_at < directory.read_at {
            self.keep(&source.id, &directory).await?;
        }
        Ok(())
    }

    /// What a view says cannot be kept, or what is known cannot be read: that makes no other rotation of the source stale
    /// (R8, R24).
    async fn set_aside(&self, scope: &Scope<'_>, head: RotationHead, error: &StoreError) -> Result<(), StoreError> {
        let id = head.id.clone();
        tracing::error!(rotation.id = %id, error = %error, "`{id}` stays as it is: {error}");
        let failure = PlatformError::Misconfigured(format!("what it says cannot be kept: {error}"));
        match self.failed(scope, head, &failure).await {
            Err(error) if error.is_of_one_record() => Ok(()),
            done => done,
        }
    }

    /// The same, begun at any place: what a deadline cuts off is not always the same.
    fn begun_anywhere<T>(&self, mut all: Vec<T>) -> Vec<T> {
        let [a, b, ..] = self.chance.bytes();
        let first = usize::from(u16::from_be_bytes([a, b])).checked_rem(all.len()).unwrap_or_default();
        all.rotate_left(first);
        all
    }

    async fn keep(&self, source: &SourceId, directory: &Directory) -> Result<(), StoreError> {
        match self.rota.keep_directory(source, directory).await {
            // Another read was faster, and kept what is as fresh as this.
            Ok(()) | Err(StoreError::Changed(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn head(&self, id: &RotationId, name: Option<String>) -> Result<RotationHead, StoreError> {
        let stored = self.rota.heads(std::slice::from_ref(id)).await?.remove(id);
        let mut head = stored.unwrap_or_else(|| RotationHead::new(id.clone(), id.local()));
        head.name = name.unwrap_or(head.name);
        Ok(head)
    }

    /// The users and teams of the source, read again where they are old; the rotations that it lists, where it was asked.
    /// With such a list they are not kept yet. Teams that cannot be read stay as they were.
    async fn refresh(
        &self,
        source: &Source,
        platform: Option<&Arc<dyn Platform>>,
        every: Duration,
        list: bool,
    ) -> Result<(Directory, Option<Vec<dutykey_policy::rota::Rotation>>), StoreError> {
        let kept = self.rota.directory(&source.id).await?;
        let now = self.clock.now();
        let old = kept.read_at.is_none_or(|at| later(at, every) <= now);
        let Some(platform) = platform.filter(|_| old) else { return Ok((kept, None)) };
        let read = async {
            let listed =
                if list && source.rotations == Rotations::All { Some(platform.rotations().await?) } else { None };
            let users = platform.users().await?;
            // A plan without teams, or a key that may not read them, takes away nobody's access: the rest counts.
            let teams = platform.teams().await.unwrap_or_else(|error| {
                tracing::warn!(source.id = %source.id, error = %error, "the teams of `{}` could not be read and stay as they were: {error}", source.id);
                kept.teams.clone()
            });
            Ok::<_, PlatformError>((users, teams, listed))
        };
        match read.await {
            Ok((users, teams, listed)) => {
                let departed = departed(&kept.users, &kept.departed, &users, now);
                let directory = Directory { read_at: Some(now), users, teams, departed };
                if listed.is_none() {
                    self.keep(&source.id, &directory).await?;
                }
                Ok((directory, listed))
            }
            Err(error) => {
                tracing::warn!(source.id = %source.id, error = %error, "the users of `{}` could not be read: {error}", source.id);
                Ok((kept, None))
            }
        }
    }

    async fn watched(
        &self,
        source: &Source,
        profiles: &[Profile],
        listed: Option<Vec<dutykey_policy::rota::Rotation>>,
    ) -> Result<Vec<(RotationId, Option<String>)>, StoreError> {
        let mut known: BTreeSet<RotationId> = BTreeSet::new();
        for profile in profiles {
            known.extend(profile.enrollment.iter().flat_map(|rule| rule.rotations.iter().cloned()));
            known.extend(profile.self_service.iter().flat_map(|rule| rule.rotations.iter().cloned()));
        }
        known.retain(|id| id.source == source.id);
        known.extend(self.rota.rotations(&source.id).await?.into_iter().map(|head| head.id));
        if let Rotations::Listed(list) = &source.rotations {
            known.extend(list.iter().filter_map(|local| format!("{}:{local}", source.id).parse::<RotationId>().ok()));
        }
        let names = listed.unwrap_or_default();
        known.extend(names.iter().map(|rotation| rotation.id.clone()));
        let name =
            |id: &RotationId| names.iter().find(|rotation| rotation.id == *id).map(|rotation| rotation.name.clone());
        Ok(known
            .into_iter()
            .map(|id| {
                let name = name(&id);
                (id, name)
            })
            .collect())
    }

    async fn read(
        &self,
        platform: &dyn Platform,
        installation: &Installation,
        id: &RotationId,
        deadline: Timestamp,
    ) -> Result<View, PlatformError> {
        let now = self.clock.now();
        let deadline = later(now, READ_DEADLINE).min(deadline);
        let (start, end) = (earlier(now, BACK), later(now, installation.sync.horizon));
        let Some(window) = Span::new(start, end) else {
            return Err(PlatformError::Misconfigured("the horizon is empty".to_owned()));
        };
        let late = || PlatformError::Unavailable("no answer in time".to_owned());
        let shifts = within(self.clock.as_ref(), deadline, platform.shifts(id, window)).await.ok_or_else(late)??;
        Ok(View { window, read_at: self.clock.now(), shifts })
    }
}

/// Whether somebody is on call whom the users of the source do not name: they are new.
fn names_a_stranger(view: &View, directory: &Directory) -> bool {
    let known: BTreeSet<&UserId> = directory.users.iter().map(|user| &user.id).collect();
    view.shifts.iter().filter_map(|shift| shift.user.as_ref()).any(|user| !known.contains(user))
}
