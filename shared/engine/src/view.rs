//! What a read of a rotation leads to: what of a view is accepted, what a failure leaves in place, and when people are
//! planned again.

use std::collections::BTreeSet;
use std::time::Duration;

use dutykey_policy::brake::{Held, Scene, asks_others, is_plan, judge};
use dutykey_policy::evidence::Draft;
use dutykey_policy::id::RotationId;
use dutykey_policy::installation::{Installation, Source, Topic};
use dutykey_policy::look::Due;
use dutykey_policy::profile::Profile;
use dutykey_policy::rota::{KnownShift, Shift, View, accept, difference, digest};
use dutykey_policy::time::{Span, earlier, later, rfc3339, uncovered};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::lease;
use crate::ports::ledger::{Notice, StoreError};
use crate::ports::platform::PlatformError;
use crate::ports::queue::{Message, Queue};
use crate::ports::rota::{Directory, HeldChange, KnownChange, RotationChange, RotationHead};
use crate::ports::witness::Event;
use crate::snapshot::{freshness, is_near, resumed_at};
use crate::sync::Syncer;
use crate::tick::{BEFORE_BOUNDARY, ROTATIONS_AHEAD};

/// How long shifts that are gone, or over, are kept at hand for planning and for the brake, which compares crowds with
/// those of the past week.
pub(crate) const AT_HAND: Duration = Duration::from_secs(7 * 86_400);
/// A boundary that is nearer than this was covered by the read that finds it.
const BOUNDARY_COVERED: Duration = Duration::from_secs(60);
/// A gap is told, and counted, when it is this near.
pub(crate) const GAP_AHEAD: Duration = Duration::from_secs(24 * 3_600);
/// Gaps that begin within this time are kept: those of the day ahead, for as long as the view may stand.
const GAPS_KEPT: Duration = Duration::from_secs(48 * 3_600);
/// At most so many gaps of one rotation are kept.
const MOST_GAPS: usize = 100;
/// What the brake holds lies in the rotation's head, an item of 400 KiB at most; a shift takes up to 145 bytes of it.
const MOST_HELD: usize = 2_000;

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
    pub(crate) async fn accept(&self, scope: &Scope<'_>, head: RotationHead, view: View) -> Result<(), StoreError> {
        let now = view.read_at;
        let said = digest(&view.shifts);
        let unchanged = head.fresh_at.is_some() && head.digest == said && head.held.is_none();
        let was_over = lease::ran_out(freshness(&head, None), &scope.profiles, now);
        let mut next = RotationHead {
            generation: head.generation + 1,
            fresh_at: Some(now),
            failed_at: None,
            failure: None,
            told_stale: 0,
            // The lease begins anew, and what prolonged the last one is over with it.
            prolonged_until: None,
            prolonged_why: None,
            digest: said,
            gaps: scope.gaps(&view, GAPS_KEPT, now).take(MOST_GAPS).collect(),
            window: Some(view.window),
            due: None,
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
            change.head = next;
            known = Some(after);
        } else if !head.waiting.is_empty() || head.planned.is_empty() {
            known = Some(self.rota.known(&head.id, at_hand(now)).await?);
        }
        if let Some(known) = &known {
            self.locks(scope, known, &mut change).await?;
        }
        let (lock, fresh) = (change.head.next_lock(), freshness(&change.head, None));
        change.head.due = lease::due(boundary(&view.shifts, now), lock, fresh, &scope.profiles, now);
        let next = self.rota.change_rotation(&change).await?;
        // A boundary is read a little before it comes, which is the tick's but for one so near that it has looked past it;
        // what follows a lock is found when it ends.
        let again = next.due.clone().and_then(|due| match due.cause.as_str() {
            "lock" => Some(due),
            "boundary" if head.due.as_ref() != Some(&due) && due.at <= later(now, ROTATIONS_AHEAD) => {
                Some(Due { at: earlier(due.at, BEFORE_BOUNDARY), ..due }).filter(|due| due.at > now)
            }
            _ => None,
        });
        self.again(again.as_ref(), &next.id, now).await;
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
        let alone = Scene {
            now,
            known,
            view,
            others: &[],
            settings: scope.installation.brake,
            first: head.fresh_at.is_none(),
            held: head.held.as_ref().map(|held| Held { plan: &held.change, since: held.since, word: held.word() }),
            lease_over: head
                .held
                .as_ref()
                .is_some_and(|held| later(held.since, lease::shortest(&scope.profiles)) <= now),
        };
        let mut others = Vec::new();
        if !alone.first && asks_others(&alone) && !difference(known, view).is_empty() {
            for other in self.rota.rotations(&scope.source.id).await?.into_iter().filter(|other| other.id != head.id) {
                match self.rota.known(&other.id, at_hand(now)).await {
                    Ok(shifts) => others.push((other.id, shifts)),
                    // It is shown as what it is when it is read itself, and must not stop this one.
                    Err(error) if error.is_of_one_record() => {
                        tracing::error!(rotation.id = %other.id, error = %error, "`{}` counts for nothing: {error}", other.id);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        let others: Vec<(&RotationId, &[KnownShift])> =
            others.iter().map(|(id, shifts)| (id, shifts.as_slice())).collect();
        let judgement = judge(&Scene { others: &others, ..alone });
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
        next.held = judgement.held.map(|(change, why)| match &head.held {
            Some(before) if is_plan(&before.change, &change, now) => before.clone(),
            _ => HeldChange { digest: change.digest(), since: now, why, change, released: false, discarded: false },
        });
        let holds = next.held.as_ref().map_or(0, |held| held.change.removed.len() + held.change.added.len());
        if holds > MOST_HELD {
            return Err(StoreError::Limit(format!(
                "the brake would hold a change of {holds} shifts, and can hold {MOST_HELD} at most"
            )));
        }
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
            change.notices.push(Notice::new(format!("brake/{}/{}", head.id, held.digest), Topic::Brake, text, now));
        }
        let reached = head.window.filter(|_| head.fresh_at.is_some()).map(|window| window.end);
        Ok(accept(known, &judgement.pass, reached, now, earlier(now, AT_HAND)))
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
                Notice::new(format!("gap/{}/{name}", head.id), Topic::Gap, text, now)
            })
            .collect()
    }

    /// The last good view stands; people are told as its lease runs down, and looked at once it is over.
    pub(crate) async fn failed(
        &self,
        scope: &Scope<'_>,
        head: RotationHead,
        error: &PlatformError,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.witness.saw(&Event::ViewFailed { rotation: head.id.clone(), because: error.to_string() });
        // People are told by the lease itself, whatever a pause of our own adds to it.
        let view = freshness(&head, None);
        let stage = lease::stage(view, &scope.profiles, now);
        let known = self.rota.known(&head.id, at_hand(now)).await?;
        let mut change = RotationChange {
            expected: head.generation,
            head: RotationHead {
                generation: head.generation + 1,
                failed_at: Some(now),
                failure: Some(error.to_string().chars().take(500).collect()),
                told_stale: head.told_stale.max(stage as u8),
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
            let end = view.map(|view| rfc3339(view.lease_end(lease::shortest(&scope.profiles)))).unwrap_or_default();
            let text = format!(
                "{} could not be read ({error}). Its last view stands until {end}; then its access ends.",
                head.id
            );
            let id = format!("stale/{}/{}/{end}", head.id, stage as u8);
            change.notices.push(Notice::new(id, Topic::Stale, text, now));
        }
        self.locks(scope, &known, &mut change).await?;
        // A read that failed well before a boundary takes nothing from the one that comes as late as possible.
        let lock = change.head.next_lock();
        change.head.due = lease::due(boundary(&standing(&known), now), lock, view, &scope.profiles, now);
        let next = self.rota.change_rotation(&change).await?;
        // The tick has the rotation read a little before; whether a lease is over is found when it is.
        self.again(next.due.as_ref(), &next.id, now).await;
        let resumed = resumed_at(&self.rules.pulse().await?, now);
        let since = head.failed_at.or(head.fresh_at).unwrap_or(now);
        let (before, after) = (freshness(&head, resumed), freshness(&next, resumed));
        let over = lease::ended((before, since), (after, now), &scope.profiles);
        self.plan(scope, next, Some(known), over, now).await
    }

    /// Has the rotation read at that time, where it is near.
    async fn again(&self, due: Option<&Due>, id: &RotationId, now: Timestamp) {
        let Some(due) = due.filter(|due| is_near(due.at, now)) else { return };
        let again = Message::rota(id.source.clone(), Some(id.local()), &due.cause).at(due.at);
        if let Err(error) = self.queues.send(Queue::Sync, vec![again]).await {
            tracing::warn!(error = %error, "`{id}` is read by a later tick: {error}");
        }
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
            let waiting = head.waiting.iter().map(|one| one.until).max();
            let waiting = waiting.map(|last| format!("+{}+{}", head.waiting.len(), rfc3339(last))).unwrap_or_default();
            format!("{}{waiting}/{},{}/{directory}", head.accepted, scope.about_people, profiles.join(","))
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

fn standing(known: &[KnownShift]) -> Vec<Shift> {
    known.iter().filter(|known| known.stands()).map(|known| known.shift.clone()).collect()
}

/// The next boundary that this read does not cover already.
fn boundary(shifts: &[Shift], now: Timestamp) -> Option<Timestamp> {
    let edges = shifts.iter().flat_map(|shift| [Some(shift.start), shift.end.at()]).flatten();
    edges.filter(|at| *at > later(now, BOUNDARY_COVERED)).min()
}

pub(crate) fn draft(rotation: &RotationId, act: &str, before: Value, after: Value, why: Value) -> Draft {
    Draft {
        act: act.to_owned(),
        actor: "rotation-sync".to_owned(),
        subject: json!({"rotation": rotation}),
        before,
        after,
        why,
    }
}
