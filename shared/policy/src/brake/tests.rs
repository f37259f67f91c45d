use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::{Held, Judgement, Scene, Word, asks_others, is_plan, judge};
use crate::id::RotationId;
use crate::installation::BrakeSettings;
use crate::rota::{Difference, End, KnownShift, Shift, View, accept, difference};
use crate::testing::{cases, id, known, minute, shift};
use crate::time::{Span, later};

const DAY: i64 = 1_440;
/// Beyond all that [`shifts`] draws.
const AHEAD: Duration = Duration::from_secs(60 * 2_000);

/// A rotation that is synced again and again.
struct Rota {
    known: Vec<KnownShift>,
    held: Option<(Difference, Timestamp)>,
    word: Word,
    others: Vec<(RotationId, Vec<KnownShift>)>,
    lease_over: bool,
}

impl Rota {
    fn believing(shifts: Vec<Shift>) -> Self {
        let known = shifts.into_iter().map(|s| known(s, -7 * DAY)).collect();
        Self { known, held: None, word: Word::Waiting, others: Vec::new(), lease_over: false }
    }

    fn view(now: i64, shifts: Vec<Shift>) -> View {
        let window = Span::new(minute(now), minute(now + 14 * DAY)).unwrap();
        View { window, read_at: minute(now), shifts: shifts.into_iter().filter(|s| s.touches(&window)).collect() }
    }

    fn judge(&self, now: i64, shifts: Vec<Shift>, first: bool) -> Judgement {
        self.judge_view(now, &Self::view(now, shifts), first)
    }

    fn judge_view(&self, now: i64, view: &View, first: bool) -> Judgement {
        let others: Vec<(&RotationId, &[KnownShift])> = self.others.iter().map(|(id, k)| (id, k.as_slice())).collect();
        judge(&Scene { others: &others, first, ..self.scene(now, view) })
    }

    /// The same without any other rotation.
    fn scene<'a>(&'a self, now: i64, view: &'a View) -> Scene<'a> {
        Scene {
            now: minute(now),
            known: &self.known,
            view,
            others: &[],
            settings: BrakeSettings::default(),
            first: false,
            held: self.held.as_ref().map(|(plan, since)| Held { plan, since: *since, word: self.word }),
            lease_over: self.lease_over,
        }
    }

    /// Judges and accepts, as a sync does.
    fn sync(&mut self, now: i64, shifts: Vec<Shift>) -> Judgement {
        let judgement = self.judge(now, shifts, false);
        self.known = accept(&self.known, &judgement.pass, None, minute(now), minute(now - 2 * DAY));
        let since = self.held.take().map_or(minute(now), |(_, since)| since);
        self.held = judgement.held.clone().map(|(held, _)| (held, since));
        judgement
    }

    fn on_call(&self, now: i64) -> Vec<&str> {
        let standing = self.known.iter().filter(|k| k.stands() && k.shift.covers(minute(now)));
        let mut users: Vec<&str> = standing.filter_map(|k| k.shift.user.as_ref()).map(|u| u.as_str()).collect();
        users.sort_unstable();
        users.dedup();
        users
    }
}

fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("u{i:02}")).collect()
}

fn all_day(users: &[String]) -> Vec<Shift> {
    users.iter().map(|u| shift(u, 0, DAY)).collect()
}

#[test]
fn r7_a_only_the_held_change_waits_and_what_both_views_say_goes_on() {
    let mut rota = Rota::believing(vec![shift("ann", 0, 600), shift("bob", 600, 1200)]);
    let new = shift("cid", 1200, 1800);
    let judgement = rota.sync(60, vec![shift("bob", 600, 1200), new.clone()]);
    assert_eq!(
        judgement.pass,
        Difference { removed: vec![], added: vec![new] },
        "a new shift must not wait with the rest"
    );
    let (held, why) = judgement.held.expect("cover that ends early with nobody in place is held");
    assert_eq!(held.removed, vec![shift("ann", 0, 600)]);
    assert!(why.contains("nobody would be on call from 2026-03-02T01:00:00.000Z to 2026-03-02T10:00:00.000Z"), "{why}");
    assert_eq!(rota.on_call(599), ["ann"]);
    assert_eq!(rota.on_call(600), ["bob"]);
}

#[test]
fn r7_b_a_slow_drain_over_many_syncs_is_stopped_and_stays_stopped() {
    let everybody = names(10);
    let mut rota = Rota::believing(all_day(&everybody));
    for step in 0..48 {
        let left = 10_usize.saturating_sub(step + 1);
        rota.sync(60 + 5 * step as i64, all_day(&everybody[..left]));
        let now = 60 + 5 * step as i64;
        assert!(rota.on_call(now).len() >= 5, "after step {step} only {:?} are left", rota.on_call(now));
    }
    assert_eq!(rota.on_call(400).len(), 5, "the first five passed, the rest waits");
}

#[test]
fn r7_c_a_release_names_the_plan_and_no_other() {
    let mut rota = Rota::believing(all_day(&names(4)));
    rota.sync(60, all_day(&names(1))).held.expect("three of four gone are held");
    rota.word = Word::Released;
    let other = rota.judge(65, vec![], false).held.expect("a plan that grew in between was never released").0;
    assert_eq!(other.removed.len(), 4);
    assert_eq!(rota.judge(65, all_day(&names(1)), false).held, None, "the plan that was read is released");
}

#[test]
fn r7_c_what_ends_while_a_release_is_on_its_way_makes_no_other_plan_and_what_joins_does() {
    let (one, four, eve) = (all_day(&names(1)), all_day(&names(4)), vec![shift("eve", 0, 100)]);
    let five = [four, eve].concat();
    let drain = (five.clone(), one.clone(), vec![]);
    let crowd = (one, five.clone(), [five, vec![shift("fay", 0, DAY)]].concat());
    for (believed, said, grown) in [drain, crowd] {
        let mut rota = Rota::believing(believed);
        rota.sync(60, said.clone()).held.expect("four of five who go or come are held");
        rota.word = Word::Released;
        let other = rota.judge(65, grown, false).held.expect("a plan that grew in between was never released").0;
        assert_eq!(other.removed.len() + other.added.len(), 5, "{other:?}");
        let released = rota.judge(100, said, false);
        assert_eq!(released.held, None, "of the plan that was released only what is over is missing");
        assert_eq!(released.pass.removed.len() + released.pass.added.len(), 3, "{:?}", released.pass);
    }
}

#[test]
fn r7_d_a_swap_in_a_rotation_of_one_passes_and_a_vanished_rotation_of_one_is_held() {
    let rota = Rota::believing(vec![shift("ann", 0, 600), shift("ann", 1440, 2040)]);
    let swaps = [
        vec![shift("bob", 0, 600), shift("ann", 1440, 2040)],
        vec![shift("ann", 0, 180), shift("bob", 180, 600), shift("ann", 1440, 2040)],
        vec![shift("ann", 0, 700), shift("ann", 1440, 2040)],
    ];
    for view in swaps {
        assert_eq!(rota.judge(180, view.clone(), false).held, None, "{view:?}");
    }
    let held = rota.judge(180, vec![], false).held.expect("silence is not an empty rota").0;
    assert_eq!(held.removed.len(), 2, "a vanished rotation stands as a whole, today and tomorrow: {held:?}");
}

#[test]
fn r7_a_swap_passes_although_the_rest_of_the_view_waits() {
    let mut rota = Rota::believing(all_day(&names(4)));
    let said = vec![shift("zoe", 0, DAY)];
    let judgement = rota.judge(60, said.clone(), false);
    let (held, why) = judgement.held.expect("three of four gone with nobody in their stead are held");
    assert_eq!((judgement.pass.removed.len(), judgement.pass.added), (1, said.clone()), "zoe replaces one of them");
    assert_eq!(held.removed.len(), 3, "{held:?}");
    assert_eq!(why, "3 of 4 people on call now in the source would be gone");
    let elsewhere = (0..10).map(|n| known(shift(&format!("v{n}"), 0, DAY), -DAY)).collect();
    rota.others = vec![(id("pd:B"), elsewhere)];
    let (_, why) = rota.judge(60, said, false).held.expect("few of a source's people may be many of a rotation's");
    assert_eq!(why, "3 of 4 people on call now in the rotation would be gone");
}

#[test]
fn r7_every_shift_is_held_without_which_nobody_would_be_on_call() {
    let rota = Rota::believing(vec![shift("ann", 60, 200), shift("bob", 200, 600)]);
    let cid = shift("cid", 200, 300);
    let judgement = rota.judge(60, vec![cid.clone()], false);
    let held = judgement.held.expect("nobody before cid, nobody after").0;
    assert_eq!(held.removed, [shift("ann", 60, 200), shift("bob", 200, 600)]);
    assert_eq!(judgement.pass, Difference { removed: vec![], added: vec![cid] });
}

#[test]
fn r7_a_rotation_younger_than_an_hour_is_compared_with_its_first_view() {
    let mut rota = Rota::believing(vec![]);
    rota.known = vec![known(shift("ann", 0, DAY), 30)];
    let held = rota.judge(60, vec![], false).held.expect("ann has been believed for half an hour").0;
    assert_eq!(held.removed, [shift("ann", 0, DAY)]);
}

#[test]
fn p7_a_forecast_hand_off_of_everybody_passes() {
    let mut rota = Rota::believing([all_day(&names(10)), vec![shift("zoe", DAY, 2 * DAY)]].concat());
    let judgement = rota.sync(DAY + 1, vec![shift("zoe", DAY, 2 * DAY)]);
    assert_eq!(judgement, Judgement::default());
}

#[test]
fn r7_more_than_half_of_a_sources_people_gone_are_held_whichever_rotation_they_leave() {
    let mut rota = Rota::believing(vec![shift("ann", 0, DAY), shift("ben", 0, DAY), shift("cid", 0, DAY)]);
    let two = |a, b| vec![known(shift(a, 0, DAY), -DAY), known(shift(b, 0, DAY), -DAY)];
    rota.others = vec![(id("pd:B"), two("dan", "eve")), (id("pd:C"), two("fay", "ann"))];
    assert_eq!(
        rota.judge(60, vec![shift("ben", 0, DAY), shift("cid", 0, DAY)], false).held,
        None,
        "ann is on call elsewhere"
    );
    for k in rota.others.iter_mut().flat_map(|(_, known)| known) {
        k.gone = Some(minute(50));
    }
    let (held, why) = rota.judge(60, all_day(&names(0)), false).held.unwrap();
    assert_eq!(held.removed.len(), 3, "{why}");
    let (held, why) = rota.judge(60, vec![shift("ann", 0, DAY), shift("cid", 0, DAY)], false).held.unwrap();
    assert_eq!(
        held.removed,
        [shift("ben", 0, DAY)],
        "dan, eve and fay went within the hour; ben makes it 4 of 6: {why}"
    );
}

#[test]
fn r7_people_more_than_doubled_are_held_now_and_in_the_time_to_come() {
    let rota = Rota::believing(vec![shift("ann", 0, DAY), shift("bob", DAY, 2 * DAY)]);
    let base = vec![shift("ann", 0, DAY), shift("bob", DAY, 2 * DAY)];
    for from in [0, DAY] {
        let crowd: Vec<Shift> = ["x", "y", "z"].iter().map(|u| shift(u, from, from + 60)).collect();
        let (held, why) =
            rota.judge(30, [base.clone(), crowd.clone()].concat(), false).held.expect("1 to 4 is too many");
        assert_eq!(held.added, crowd, "{why}");
        assert_eq!(rota.judge(30, [base.clone(), crowd[..2].to_vec()].concat(), false).held, None, "1 to 3 is not");
    }
    let all = ["x", "y", "z", "w"].iter().map(|u| shift(u, 0, DAY - 1)).chain([shift("bob", DAY, 2 * DAY)]).collect();
    let held = rota.judge(30, all, false).held.unwrap().0;
    assert_eq!(held.removed, [shift("ann", 0, DAY)], "while the crowd waits the one whom it replaces stays");
}

#[test]
fn r7_a_crowd_is_more_than_double_and_at_least_three_more() {
    for (before, after, many) in [(1, 3, false), (1, 4, true), (2, 5, true), (3, 6, false), (3, 7, true)] {
        let rota = Rota::believing(all_day(&names(before)));
        let why = rota.judge(60, all_day(&names(after)), false).held.map(|(_, why)| why);
        assert_eq!(why, many.then(|| format!("people on call now would grow from {before} to {after}")));
    }
}

#[test]
fn r7_a_crowd_that_is_over_holds_nobody() {
    let rota = Rota::believing(all_day(&names(1)));
    let crowd = ["x", "y", "z"].map(|user| shift(user, 0, 60));
    let shifts = [crowd.to_vec(), all_day(&names(2))].concat();
    let view = View { window: Span::new(minute(0), minute(DAY)).unwrap(), read_at: minute(60), shifts };
    assert!(rota.judge_view(59, &view, false).held.is_some(), "1 to 5 is too many");
    assert_eq!(rota.judge_view(60, &view, false).held, None, "1 to 2 is not, whoever was on call until now");
}

#[test]
fn r7_a_first_view_passes() {
    let rota = Rota::believing(vec![]);
    assert_eq!(rota.judge(0, all_day(&names(9)), true).held, None);
}

#[test]
fn r7_the_far_end_of_the_window_is_not_a_crowd() {
    let parallel = |day: i64| names(6).iter().map(|u| shift(u, day * DAY, (day + 1) * DAY)).collect::<Vec<_>>();
    let mut rota = Rota::believing((0..14).flat_map(parallel).collect());
    for now in (5..3 * DAY).step_by(5 * 7) {
        let judgement = rota.sync(now, (0..20).flat_map(parallel).collect());
        assert_eq!(judgement.held, None, "at minute {now}");
    }
}

#[test]
fn r7_at_the_leases_end_held_removals_pass_and_held_additions_drop() {
    let mut rota = Rota::believing(vec![shift("ann", 0, DAY)]);
    let crowd: Vec<Shift> = ["w", "x", "y", "z"].iter().map(|u| shift(u, 60, DAY)).collect();
    let held = rota.sync(60, crowd.clone()).held.unwrap().0;
    assert_eq!((held.removed.len(), held.added.len()), (1, 4));
    rota.lease_over = true;
    let judgement = rota.sync(300, crowd);
    assert_eq!(judgement.pass, Difference { removed: vec![shift("ann", 0, DAY)], added: vec![] });
    assert_eq!(judgement.held, None);
}

#[test]
fn r7_at_the_leases_end_what_joined_later_still_waits() {
    let mut rota = Rota::believing(all_day(&names(6)));
    let plan = rota.sync(60, all_day(&names(2))).held.expect("four of six gone are held").0;
    rota.lease_over = true;
    let judgement = rota.judge(300, all_day(&names(1)), false);
    assert_eq!(judgement.pass, plan, "what has waited for a lease passes");
    assert_eq!(judgement.held.expect("a fifth gone was not in it").0.removed, [shift("u01", 0, DAY)]);
}

/// Five of the six of a month are gone by the platform's word, and an administrator has discarded it.
fn discarding() -> (Rota, Vec<Shift>, Difference) {
    let month: Vec<Shift> = names(6).iter().map(|user| shift(user, 0, 30 * DAY)).collect();
    let mut rota = Rota::believing(month.clone());
    let said = month[..1].to_vec();
    let plan = rota.sync(60, said.clone()).held.expect("five of six gone are held").0;
    (rota.word, rota.lease_over) = (Word::Discarded, true);
    (rota, said, plan)
}

#[test]
fn r7_what_was_discarded_waits_for_as_long_as_the_platform_shows_exactly_that() {
    let (mut rota, said, plan) = discarding();
    for day in 1..25 {
        let held = rota.sync(day * DAY, said.clone()).held.expect("no lease ends it").0;
        assert_eq!(held, plan, "on day {day}");
    }
    let other = [said.clone(), vec![shift("u01", 0, 30 * DAY)]].concat();
    let (held, why) = rota.judge(25 * DAY, other, false).held.expect("four of six gone are another change");
    assert_eq!((held.removed.len(), is_plan(&plan, &held, minute(25 * DAY))), (4, false), "{why}");
    let everybody = [said, plan.removed].concat();
    assert_eq!(rota.judge(25 * DAY, everybody, false), Judgement::default());
}

#[test]
fn p7_the_rest_of_a_view_is_judged_as_of_now_however_long_ago_a_change_was_discarded() {
    let (mut rota, said, plan) = discarding();
    let crowd: Vec<Shift> = ["v", "w", "x"].iter().map(|user| shift(user, 10 * DAY, 30 * DAY)).collect();
    let passes = rota.sync(8 * DAY, [said.clone(), crowd.clone()].concat());
    assert_eq!(passes.pass.added, crowd, "nine are not more than double of six: {:?}", passes.held);
    let night = ["y", "z"].map(|user| shift(user, 20 * DAY, 21 * DAY)).to_vec();
    let passes = rota.sync(20 * DAY, [said.clone(), crowd.clone(), night.clone()].concat());
    assert_eq!(passes.pass.added, night, "eleven are not many more than nine: {:?}", passes.held);
    let few = rota.judge(20 * DAY + 300, said, false);
    assert_eq!(few.held.expect("it was discarded").0, plan, "another five of eleven are not too many");
    let (held, why) = rota.judge(20 * DAY + 300, vec![], false).held.expect("all eleven are gone");
    assert_eq!(held.removed.len(), 11, "whom the platform named after the change is protected as well: {why}");
}

#[test]
fn r7_of_what_was_discarded_what_has_ended_makes_no_other_plan() {
    let mut rota = Rota::believing([all_day(&names(4)), vec![shift("eve", 0, 100)]].concat());
    let said = all_day(&names(1));
    rota.sync(60, said.clone()).held.expect("four of five gone are held");
    (rota.word, rota.lease_over) = (Word::Discarded, true);
    let held = rota.judge(100, said.clone(), false).held.expect("it was discarded").0;
    assert!(is_plan(&rota.held.as_ref().unwrap().0, &held, minute(100)), "only eve's is over: {held:?}");
    assert_eq!(held.removed.len(), 3);
}

#[test]
fn r4_a_view_that_only_cuts_shifts_differently_is_never_held() {
    let rota = Rota::believing(vec![shift("ann", 0, 600), shift("ben", 0, 600)]);
    let cut = vec![shift("ann", 0, 60), shift("ann", 60, 600), shift("ben", 0, 300), shift("ben", 200, 600)];
    assert_eq!(rota.judge(90, cut, false).held, None);
}

fn shifts() -> impl Strategy<Value = Vec<Shift>> {
    let one = (0_usize..6, 0_i64..40, 1_i64..20)
        .prop_map(|(u, from, len)| shift(&format!("u{u}"), from * 30 - 300, (from + len) * 30 - 300));
    prop::collection::btree_set(one, 0..12).prop_map(|shifts| shifts.into_iter().collect())
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn p7_what_was_believed_is_never_held(believed in shifts(), now in -100_i64..600) {
        let rota = Rota::believing(believed.clone());
        prop_assert_eq!(rota.judge(now, believed, false), Judgement::default());
    }

    #[test]
    fn r7_what_passes_and_what_waits_are_the_difference(believed in shifts(), said in shifts(), now in -100_i64..600) {
        let rota = Rota::believing(believed);
        let change = difference(&rota.known, &Rota::view(now, said.clone()));
        let judgement = rota.judge(now, said, false);
        let (mut sum, held) = (judgement.pass, judgement.held.map(|(held, _)| held).unwrap_or_default());
        sum.removed.extend(held.removed);
        sum.added.extend(held.added);
        sum.removed.sort();
        sum.added.sort();
        prop_assert_eq!(sum, change);
    }

    #[test]
    fn r7_other_rotations_are_asked_only_where_they_count(
        believed in shifts(), said in shifts(), further in shifts(), was in shifts(), is in shifts(), now in -100_i64..600,
    ) {
        let mut rota = Rota::believing(believed.clone());
        let mut other = Rota::believing(was);
        other.sync(now - 10, is);
        let ahead = |s: &Shift| Shift { start: later(s.start, AHEAD), end: End::At(later(s.end.or_max(), AHEAD)), ..s.clone() };
        let rolled: Vec<Shift> = believed.iter().cloned().chain(further.iter().map(ahead)).collect();
        for said in [said, rolled.clone()] {
            let view = Rota::view(now, said);
            let asks = asks_others(&rota.scene(now, &view));
            rota.others.clear();
            let alone = rota.judge_view(now, &view, false);
            rota.others.push((id("rota:other"), other.known.clone()));
            prop_assert!(asks || rota.judge_view(now, &view, false) == alone, "another rotation made a difference");
        }
        prop_assert!(!asks_others(&rota.scene(now, &Rota::view(now, rolled))), "what comes into sight changes nothing now");
    }

    #[test]
    fn r7_no_cover_that_was_believed_ends_early(believed in shifts(), said in shifts(), now in -100_i64..600) {
        let mut rota = Rota::believing(believed.clone());
        rota.sync(now, said);
        for at in (now..now + 600).step_by(15) {
            let before = believed.iter().any(|s| s.covers(minute(at)));
            prop_assert!(!before || !rota.on_call(at).is_empty(), "nobody at minute {}", at);
        }
    }

    #[test]
    fn r7_a_held_change_is_held_again_until_somebody_acts(believed in shifts(), said in shifts(), now in 0_i64..300) {
        let mut rota = Rota::believing(believed);
        let first = rota.sync(now, said.clone());
        let again = rota.sync(now, said);
        prop_assert_eq!(again.held, first.held);
        prop_assert!(again.pass.is_empty());
    }
}
