//! Coincidences that chance alone would hardly bring about: others put somebody in while we are refused, throw out whom we
//! let in, take away what stood; two persons have one account; one worker is late while another is early. Drawn last and
//! from a chance of its own, so that everything else of a seed is drawn as it was.

use std::collections::BTreeSet;

use super::{one_in, troubles};
use crate::plan::{App, AppFault, Group, Happening, Linked, Offer, Plan, Second, What};

/// What makes this chance another one than the rest of a seed has.
pub(super) const APART: u64 = 0x0c01_4c1d;

/// So often somebody is sought to whom it can happen.
const TRIES: usize = 16;

/// Lets some of it happen in some companies.
pub(super) fn meet(chance: &mut fastrand::Rng, plan: &mut Plan) {
    if one_in(chance, 8) {
        let refused = refused(chance, plan);
        plan.happens.extend(refused.into_iter().flatten());
    }
    if one_in(chance, 6) {
        let thrown_out = thrown_out(chance, plan);
        plan.happens.extend(thrown_out);
    }
    if one_in(chance, 6) {
        let stripped = stripped(chance, plan);
        plan.happens.extend(stripped);
    }
    if one_in(chance, 8) {
        let linked = two_of_one(chance, plan);
        plan.links.extend(linked);
    }
    if one_in(chance, 4) {
        apart(chance, plan);
    }
}

/// Somebody plain who gets into a group by being on call.
struct Stay {
    person: usize,
    profile: usize,
    app: usize,
    group: usize,
    begins: Second,
    ends: Second,
}

/// One that lasts for so many seconds at least, in a group that fits.
fn stay(
    chance: &mut fastrand::Rng,
    plan: &Plan,
    lasts: Second,
    fits: impl Fn(&App, &Group, usize) -> bool,
) -> Option<Stay> {
    (0..TRIES).find_map(|_| {
        let (rotation, shift) = troubles::shift(chance, plan)?;
        let person = shift.user.filter(|person| is_plain(plan, *person))?;
        let gives = |number: &usize| {
            let profile = plan.profiles.get(*number);
            profile.is_some_and(|profile| profile.enrolls && profile.rotations.contains(&rotation))
        };
        let number = chance.choice((0..plan.profiles.len()).filter(gives).collect::<Vec<_>>())?;
        let profile = plan.profiles.get(number)?;
        let groups = profile.gives.iter().filter_map(|gives| match gives.what {
            What::Group(group) => Some((gives.app, group)),
            What::Role(_) => None,
        });
        let fitting = groups.filter(|(app, group)| {
            let app = plan.apps.get(*app);
            app.is_some_and(|app| app.groups.get(*group).is_some_and(|group| fits(app, group, person)))
        });
        let (app, group) = chance.choice(fitting.collect::<Vec<_>>())?;
        let begins = shift.from.saturating_sub(profile.lead);
        let ends = shift.to.map_or(Second::MAX, |to| to.saturating_add(profile.grace));
        let long = begins.saturating_add(lasts) <= ends.min(plan.lasts);
        long.then_some(Stay { person, profile: number, app, group, begins, ends })
    })
}

/// Whether nobody can be taken for the person, and they can be taken for nobody else.
fn is_plain(plan: &Plan, person: usize) -> bool {
    let address = format!("p{person:03}@example.com");
    let alike = plan.people.iter().filter(|other| other.address.to_lowercase() == address).count();
    let human = plan.people.get(person);
    alike == 1 && human.is_some_and(|human| human.active && human.address == address && human.accounts.len() == 1)
}

/// An app that does not tell whose access is whose refuses us, and meanwhile somebody puts them in by hand.
fn refused(chance: &mut fastrand::Rng, plan: &Plan) -> Option<[Happening; 2]> {
    let outside = |app: &App, group: &Group, person: usize| !app.tells_owner && !group.members.contains(&person);
    let Stay { person, app, group, begins, .. } = stay(chance, plan, 1_200, outside)?;
    let fault = AppFault {
        app,
        kind: "fail".to_owned(),
        from: begins.saturating_sub(5),
        to: begins + 1_200,
        on: Some("grant".to_owned()),
        times: None,
        after: None,
    };
    let others = Happening::Others { at: begins + chance.u32(120..=600), app, group, person, add: true };
    Some([Happening::App(fault), others])
}

/// Others throw out whom we have let in, more than an hour before their time is over: we come by again before that.
fn thrown_out(chance: &mut fastrand::Rng, plan: &Plan) -> Option<Happening> {
    let lets_in = |app: &App, group: &Group, person: usize| !app.native_end && !group.members.contains(&person);
    let Stay { person, app, group, begins, .. } = stay(chance, plan, 4_800, lets_in)?;
    Some(Happening::Others { at: begins + chance.u32(300..=900), app, group, person, add: false })
}

/// Others take away what was there before us, while a reason lives that we should give it for.
fn stripped(chance: &mut fastrand::Rng, plan: &Plan) -> Option<Happening> {
    let stands = |_: &App, group: &Group, person: usize| group.members.contains(&person);
    let Stay { person, app, group, begins, .. } = stay(chance, plan, 5_400, stands)?;
    Some(Happening::Others { at: begins + chance.u32(300..=900), app, group, person, add: false })
}

/// An administrator links somebody to the account of another one; both are on call at some time. A restored table may have
/// forgotten who of the two was the first.
fn two_of_one(chance: &mut fastrand::Rng, plan: &Plan) -> Option<Linked> {
    if plan.happens.iter().any(|happening| matches!(happening, Happening::Restored { .. })) {
        return None;
    }
    let shifts = plan.rotations.iter().flat_map(|rotation| &rotation.shifts);
    let on_call: BTreeSet<usize> = shifts.filter_map(|shift| shift.user).collect();
    let plain: Vec<usize> = on_call.into_iter().filter(|person| is_plain(plan, *person)).collect();
    let person = chance.choice(plain.iter().copied())?;
    let others: Vec<usize> = plain.into_iter().filter(|other| *other != person).collect();
    Some(Linked { person, to: chance.choice(others)? })
}

/// The clocks of those who end things are ahead, and that of whoever begins them is behind; and just before something of theirs
/// ends somebody takes something else: the first is taken from them by then, and for whoever begins it has not ended yet.
fn apart(chance: &mut fastrand::Rng, plan: &mut Plan) {
    let any = |_: &App, group: &Group, person: usize| !group.members.contains(&person);
    let Some(Stay { person, profile, ends, .. }) = stay(chance, plan, 600, any) else { return };
    let offered = |number: &usize| {
        *number != profile && plan.profiles.get(*number).is_some_and(|profile| profile.offer != Offer::None)
    };
    let other = chance.choice((0..plan.profiles.len()).filter(offered).collect::<Vec<_>>());
    let Some(other) = other.filter(|_| ends < plan.lasts) else { return };
    let [sync, ..] = plan.clocks_ms;
    let ahead = chance.i64(1_500..=1_900);
    plan.clocks_ms = [sync, -chance.i64(500..=900), ahead, ahead];
    plan.happens.push(Happening::Takes {
        at: ends.saturating_sub(1),
        person,
        profile: other,
        lasts: 1_200,
        back: None,
    });
}
