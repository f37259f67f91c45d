//! Reading platforms: a complete view of each rotation, what of it is accepted, and whose enrollments follow from it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dutykey_policy::brake::{Scene, judge};
use dutykey_policy::evidence::Draft;
use dutykey_policy::id::{RotationId, SourceId, UserId};
use dutykey_policy::installation::{Installation, Rotations, Source, Topic};
use dutykey_policy::profile::Profile;
use dutykey_policy::rota::{KnownShift, Shift, View, accept, difference, digest};
use dutykey_policy::time::{Span, earlier, later, rfc3339, uncovered};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::lease::{self, Stage};
use crate::ports::clock::{Chance, Clock, trusted, within};
use crate::ports::ledger::{Notice, StoreError, WriteLedger};
use crate::ports::platform::{Platform, PlatformError, Platforms};
use crate::ports::queue::{About, Enqueue, Message, Queue};
use crate::ports::rota::{Directory, HeldChange, KnownChange, RotationChange, RotationHead, WriteRota};
use crate::ports::rules::ReadRules;
use crate::ports::witness::{Event, Witness};
use crate::snapshot::{freshness, is_near, resumed_at};

/// How far back a view reaches: far enough for what has just ended.
const BACK: Duration = Duration::from_secs(3_600);
/// How long shifts that are gone, or over, are kept at hand for planning and for the brake, which compares crowds with
/// those of the past week.
pub(crate) const AT_HAND: Duration = Duration::from_secs(7 * 86_400);
/// The deadline of one rotation's read.
const READ_DEADLINE: Duration = Duration::from_secs(60);
/// The deadline of all reads of a source. What a platform that hangs has left unread by then has failed.
const SOURCE_DEADLINE: Duration = Duration::from_secs(600);
/// A boundary that is nearer than this was covered by the read that finds it.
const BOUNDARY_COVERED: Duration = Duration::from_secs(60);
/// Users are read again when somebody is on call whom they do not name, at most this often.
const STRANGER: Duration = Duration::from_secs(60);
/// A gap is told, and counted, when it is this near.
pub(crate) const GAP_AHEAD: Duration = Duration::from_secs(24 * 3_600);
/// Gaps that begin within this time are kept: those of the day ahead, for as long as the view may stand.
const GAPS_KEPT: Duration = Duration::from_secs(48 * 3_600);
/// At most so many gaps of one rotation are kept.
const MOST_GAPS: usize = 100;

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

/// What a read of one rotation is done with.
pub(crate) struct Scope<'a> {
    pub(crate) installation: &'a Installation,
    /// What of the installation people's looks follow from.
    pub(crate) about_people: &'a str,
    pub(crate) source: &'a Source,
    /// The profiles that the rotation gives without asking.
    pub(crate) profiles: Vec<Profile>,
    pub(crate) directory: &'a Directory,
}

impl Scope<'_> {
    /// When nobody is on call, now or beginning within `ahead`. What gives no profile may have gaps as it likes.
    fn gaps(&self, view: &View, ahead: Duration, now: Timestamp) -> impl Iterator<Item = Span> {
        let covered = view.shifts.iter().filter(|shift| shift.user.is_some());
        let covered = covered.filter_map(|shift| Span::new(shift.start, shift.end.or_max())).collect();
        let gaps = if self.profiles.is_empty() { Vec::new() } else { uncovered(covered, view.window) };
        gaps.into_iter().filter(move |gap| gap.end > now && gap.start <= later(now, ahead))
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
        let Some(configured) = self.rules.installation().await? else { return Ok(()) };
        trusted(self.clock.as_ref())?;
        let installation = configured.installation;
        let about_people = installation.about_people();
        let Some(source) = installation.sources.iter().find(|known| known.id == *source) else { return Ok(()) };
        let profiles = self.rules.all_profiles().await?;
        let platform = self.platforms.platform(source).await;
        let every = installation.sync.directory_every;
        let (mut directory, listed) = self.refresh(source, platform.as_ref().ok(), every, rotation.is_none()).await?;
        let lists = listed.is_some();
        let rotations = match rotation {
            Some(local) => match format!("{}:{local}", source.id).parse() {
                Ok(id) => vec![(id, None)],
                Err(_) => return Ok(()),
            },
            None => self.watched(source, &profiles, listed).await?,
        };
        let deadline = later(self.clock.now(), SOURCE_DEADLINE);
        for (id, name) in self.begun_anywhere(rotations) {
            // The generation is taken before the read begins: a view that was begun on an older one never overwrites.
            let head = self.head(&id, name).await?;
            let read = match &platform {
                Ok(platform) => self.read(platform.as_ref(), &installation, &id, deadline).await,
                Err(error) => Err(error.clone()),
            };
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
            let profiles =
                profiles.iter().filter(|profile| profile.enrolls(&id) && !source.retiring).cloned().collect();
            let directory = &directory;
            let scope = Scope { installation: &installation, about_people: &about_people, source, profiles, directory };
            let taken = match read {
                Ok(view) => self.accept(&scope, head, view).await,
                Err(error) => self.failed(&scope, head, &error).await,
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
    /// With such a list they are not kept yet.
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
            Ok::<_, PlatformError>((platform.users().await?, platform.teams().await?, listed))
        };
        match read.await {
            Ok((users, teams, listed)) => {
                let directory = Directory { read_at: Some(now), users, teams };
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

    async fn accept(&self, scope: &Scope<'_>, head: RotationHead, view: View) -> Result<(), StoreError> {
        let now = view.read_at;
        let said = digest(&view.shifts);
        let unchanged = head.fresh_at.is_some() && head.digest == said && head.held.is_none();
        let was_over = head.told_stale >= Stage::Over as u8;
        let mut next = RotationHead {
            generation: head.generation + 1,
            fresh_at: Some(now),
            failed_at: None,
            failure: None,
            told_stale: 0,
            digest: said,
            gaps: scope.gaps(&view, GAPS_KEPT, now).take(MOST_GAPS).collect(),
            window: Some(view.window),
            due: lease::due(boundary(&view.shifts, now), now, &scope.profiles, now),
            ..head.clone()
        };
        let mut change = RotationChange {
            expected: head.generation,
            head: next.clone(),
            at: now,
            known: None,
            evidence: Vec::new(),
            notices: self.gaps(scope, &head, &view, now),
        };
        let mut known = None;
        if !unchanged {
            let before = self.rota.known(&head.id, at_hand(now)).await?;
            let after = self.judge(scope, &head, &mut next, &before, &view, &mut change).await?;
            next.accepted = digest(&standing(&after));
            change.known = Some(KnownChange { within: at_hand(now), shifts: after.clone() });
            change.head = next.clone();
            known = Some(after);
        }
        let next = self.rota.change_rotation(&change).await?;
        self.witness.saw(&Event::ViewRead { rotation: head.id.clone(), changed: next.accepted != head.accepted });
        self.plan(scope, next, known, was_over, now).await
    }

    /// What of a view passes the brake: the shifts that are known after it.
    async fn judge(
        &self,
        scope: &Scope<'_>,
        head: &RotationHead,
        next: &mut RotationHead,
        known: &[KnownShift],
        view: &View,
        change: &mut RotationChange,
    ) -> Result<Vec<KnownShift>, StoreError> {
        let now = view.read_at;
        let mut others = Vec::new();
        if head.fresh_at.is_some() && !difference(known, view).is_empty() {
            for other in self.rota.rotations(&scope.source.id).await?.into_iter().filter(|other| other.id != head.id) {
                let shifts = self.rota.known(&other.id, at_hand(now)).await?;
                others.push((other.id, shifts));
            }
        }
        let others: Vec<(&RotationId, &[KnownShift])> =
            others.iter().map(|(id, shifts)| (id, shifts.as_slice())).collect();
        // What an administrator has discarded waits for as long as the platform shows exactly that.
        let waiting = head.held.as_ref().filter(|held| !held.discarded).map(|held| held.since);
        let judgement = judge(&Scene {
            now,
            horizon_end: view.window.end,
            known,
            view,
            others: &others,
            settings: scope.installation.brake,
            first: head.fresh_at.is_none(),
            held: head.held.as_ref().map(|held| (&held.change, held.since)),
            confirmed: head.held.as_ref().filter(|held| held.released).map(|held| held.digest.as_str()),
            lease_over: waiting.is_some_and(|since| later(since, lease::shortest(&scope.profiles)) <= now),
        });
        let passed = json!({"added": judgement.pass.added.len(), "removed": judgement.pass.removed.len(), "digest": judgement.pass.digest()});
        if !judgement.pass.is_empty() {
            change.evidence.push(draft(
                &head.id,
                "view.accepted",
                json!(head.accepted),
                passed,
                json!({"generation": next.generation, "read_at": rfc3339(now)}),
            ));
        }
        next.held = judgement.held.map(|(waiting, why)| {
            let digest = waiting.digest();
            let same = head.held.as_ref().filter(|held| held.digest == digest);
            HeldChange {
                since: same.map_or(now, |held| held.since),
                released: false,
                discarded: same.is_some_and(|held| held.discarded),
                digest,
                why,
                change: waiting,
            }
        });
        if let Some(held) =
            next.held.as_ref().filter(|held| head.held.as_ref().map(|h| &h.digest) != Some(&held.digest))
        {
            self.witness.saw(&Event::Braked { rotation: head.id.clone(), because: held.why.clone() });
            change.evidence.push(draft(
                &head.id,
                "brake.held",
                Value::Null,
                json!({"digest": held.digest}),
                json!({"why": held.why}),
            ));
            let text = format!(
                "the brake holds a change of {}: {}. Look at it with `dutykey brake list`, then release or discard {}.",
                head.id, held.why, held.digest
            );
            change.notices.push(Notice {
                id: format!("brake/{}/{}", head.id, held.digest),
                topic: Topic::Brake,
                at: now,
                text,
                failures: 0,
                due: now,
            });
        }
        Ok(accept(known, &judgement.pass, now, earlier(now, AT_HAND)))
    }

    fn gaps(&self, scope: &Scope<'_>, head: &RotationHead, view: &View, now: Timestamp) -> Vec<Notice> {
        // Told once: when the view shows it, or when it comes near.
        let changed = head.digest != digest(&view.shifts);
        let seen = head.fresh_at.map(|fresh| later(fresh, GAP_AHEAD));
        let news = |gap: &Span| changed || seen.is_none_or(|seen| gap.start > seen);
        scope
            .gaps(view, GAP_AHEAD, now)
            .filter(news)
            .map(|gap| {
                // What moves with the window names no gap: one that began before it is named by its end.
                let (from, to) = (rfc3339(gap.start), rfc3339(gap.end));
                let name = match (gap.start > view.window.start, gap.end < view.window.end) {
                    (true, _) => from.as_str(),
                    (false, true) => to.as_str(),
                    (false, false) => "all",
                };
                let text =
                    format!("nobody is on call in {} from {from} to {to}; fill the gap on the platform.", head.id);
                Notice {
                    id: format!("gap/{}/{name}", head.id),
                    topic: Topic::Gap,
                    at: now,
                    text,
                    failures: 0,
                    due: now,
                }
            })
            .collect()
    }

    /// The last good view stands; people are told as its lease runs down, and looked at once it is over.
    async fn failed(&self, scope: &Scope<'_>, head: RotationHead, error: &PlatformError) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.witness.saw(&Event::ViewFailed { rotation: head.id.clone(), because: error.to_string() });
        let stage = lease::stage(head.fresh_at, &scope.profiles, now);
        let known = standing(&self.rota.known(&head.id, at_hand(now)).await?);
        let mut change = RotationChange {
            expected: head.generation,
            head: RotationHead {
                generation: head.generation + 1,
                failed_at: Some(now),
                failure: Some(error.to_string().chars().take(500).collect()),
                told_stale: head.told_stale.max(stage as u8),
                // A read that failed well before a boundary takes nothing from the one that comes as late as possible.
                due: lease::due(boundary(&known, now), head.fresh_at.unwrap_or(now), &scope.profiles, now),
                ..head.clone()
            },
            at: now,
            known: None,
            evidence: Vec::new(),
            notices: Vec::new(),
        };
        if head.failed_at.is_none() {
            change.evidence.push(draft(
                &head.id,
                "view.failed",
                Value::Null,
                json!({"fresh_at": head.fresh_at.map(rfc3339)}),
                Value::Null,
            ));
        }
        if stage as u8 > head.told_stale {
            let end =
                head.fresh_at.map(|fresh| rfc3339(later(fresh, lease::shortest(&scope.profiles)))).unwrap_or_default();
            let text = format!(
                "{} could not be read ({error}). Its last view stands until {end}; then its access ends.",
                head.id
            );
            let id = format!("stale/{}/{}/{}", head.id, stage as u8, head.fresh_at.map(rfc3339).unwrap_or_default());
            change.notices.push(Notice { id, topic: Topic::Stale, at: now, text, failures: 0, due: now });
        }
        let next = self.rota.change_rotation(&change).await?;
        let near = next.due.as_ref().filter(|due| is_near(due.at, now)).map(|due| due.at);
        if let Some(at) = near {
            // The tick has the rotation read a little before; whether a lease is over is found when it is.
            let again = Message::rota(next.id.source.clone(), Some(next.id.local()), "lease").at(at);
            if let Err(error) = self.queues.send(Queue::Sync, vec![again]).await {
                tracing::warn!(error = %error, "`{}` is read by the next tick: {error}", next.id);
            }
        }
        let resumed = resumed_at(&self.rules.pulse().await?, now);
        let since = head.failed_at.or(head.fresh_at).unwrap_or(now);
        let (before, after) = (freshness(&head, resumed), freshness(&next, resumed));
        let over = lease::ended((before, since), (after, now), &scope.profiles);
        self.plan(scope, next, None, over, now).await
    }

    /// Plans people's enrollments where what they follow from has changed since they were last planned. Where the
    /// configuration has, in what concerns them, everybody is looked at even if their periods stay: what a profile gives
    /// may be something else.
    async fn plan(
        &self,
        scope: &Scope<'_>,
        head: RotationHead,
        known: Option<Vec<KnownShift>>,
        touch: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let key = |unmatched: u32| {
            let offering = scope.installation.profiles.iter().filter(|p| !scope.source.retiring && p.offers(&head.id));
            let profiles: BTreeSet<String> =
                scope.profiles.iter().chain(offering).map(|p| format!("{}@{}", p.id, p.version)).collect();
            let profiles: Vec<String> = profiles.into_iter().collect();
            let directory = scope.directory.read_at.filter(|_| unmatched > 0).map(rfc3339).unwrap_or_default();
            format!("{}/{},{}/{directory}", head.accepted, scope.about_people, profiles.join(","))
        };
        let rules = |planned: &str| planned.split('/').nth(1).map(str::to_owned);
        if head.planned == key(head.unmatched) {
            return if touch { self.touch(&head.id, now).await } else { Ok(()) };
        }
        let known = match known {
            Some(known) => known,
            None => self.rota.known(&head.id, at_hand(now)).await?,
        };
        let touch = touch || rules(&head.planned) != rules(&key(head.unmatched));
        let (unmatched, notices) = self.enroll(scope, &head.id, &known, now).await?;
        let planned =
            RotationHead { generation: head.generation + 1, unmatched, planned: key(unmatched), ..head.clone() };
        let change = RotationChange {
            expected: head.generation,
            head: planned,
            at: now,
            known: None,
            evidence: Vec::new(),
            notices,
        };
        self.rota.change_rotation(&change).await?;
        if touch { self.touch(&head.id, now).await } else { Ok(()) }
    }
}

/// The interval in which shifts are kept at hand.
pub(crate) fn at_hand(now: Timestamp) -> Span {
    Span { start: earlier(now, AT_HAND), end: Timestamp::MAX }
}

/// Whether somebody is on call whom the users of the source do not name: they are new.
fn names_a_stranger(view: &View, directory: &Directory) -> bool {
    let known: BTreeSet<&UserId> = directory.users.iter().map(|user| &user.id).collect();
    view.shifts.iter().filter_map(|shift| shift.user.as_ref()).any(|user| !known.contains(user))
}

fn standing(known: &[KnownShift]) -> Vec<Shift> {
    known.iter().filter(|known| known.stands()).map(|known| known.shift.clone()).collect()
}

/// The next boundary that this read does not cover already.
fn boundary(shifts: &[Shift], now: Timestamp) -> Option<Timestamp> {
    let edges = shifts.iter().flat_map(|shift| [Some(shift.start), shift.end.at()]).flatten();
    edges.filter(|at| *at > later(now, BOUNDARY_COVERED)).min()
}

fn draft(rotation: &RotationId, act: &str, before: Value, after: Value, why: Value) -> Draft {
    Draft {
        act: act.to_owned(),
        actor: "rotation-sync".to_owned(),
        subject: json!({"rotation": rotation}),
        before,
        after,
        why,
    }
}
