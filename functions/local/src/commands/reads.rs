//! What the platforms say, read directly, without a table.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use dutykey_engine::ports::platform::{Platform, PlatformError, Platforms};
use dutykey_policy::forecast::{Forecast, Input, Shown, forecast};
use dutykey_policy::id::{RotationId, SourceId, UserId};
use dutykey_policy::identity::{Doubt, first_match, verified_address};
use dutykey_policy::installation::{Installation, Rotations, Source};
use dutykey_policy::lease::Views;
use dutykey_policy::profile::Profile;
use dutykey_policy::rota::{KnownShift, PlatformUser, Shift, users};
use dutykey_policy::time::{Span, earlier, later};

/// The deadline of one question to a platform, with all the pages that its answer has.
const DEADLINE: Duration = Duration::from_secs(60);

/// Which rotations are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breadth {
    /// Those that profiles or the source's list name.
    Named,
    /// Every one that the source is configured to read.
    Everything,
}

/// What one source said.
#[derive(Debug, Default)]
pub(super) struct SourceRead {
    /// Its users.
    pub(super) users: Vec<PlatformUser>,
    /// How many rotations it lists, those that are named and not listed included.
    pub(super) rotations: usize,
    /// The shifts of each rotation that was read.
    pub(super) shifts: BTreeMap<RotationId, Vec<Shift>>,
    /// What could not be read, and why.
    pub(super) faults: Vec<String>,
}

/// What every source said.
pub(super) type Reads = BTreeMap<SourceId, SourceRead>;

/// Reads every source, each whether or not another fails.
pub(super) async fn read(
    platforms: &dyn Platforms,
    sources: &[Source],
    profiles: &[Profile],
    window: Span,
    breadth: Breadth,
) -> Reads {
    let named: BTreeSet<RotationId> = profiles.iter().flat_map(Profile::rotations).cloned().collect();
    let mut reads = Reads::new();
    for source in sources {
        let mut read = SourceRead::default();
        let named = named.iter().filter(|id| id.source == source.id).cloned();
        if let Err(error) = read_source(platforms, source, named.collect(), window, breadth, &mut read).await {
            read.faults.push(error.to_string());
        }
        reads.insert(source.id.clone(), read);
    }
    reads
}

async fn read_source(
    platforms: &dyn Platforms,
    source: &Source,
    named: BTreeSet<RotationId>,
    window: Span,
    breadth: Breadth,
    read: &mut SourceRead,
) -> Result<(), PlatformError> {
    let platform = timed(platforms.platform(source)).await?;
    timed(platform.check()).await?;
    read.users = timed(platform.users()).await?;
    let listed: BTreeSet<RotationId> =
        timed(platform.rotations()).await?.into_iter().map(|rotation| rotation.id).collect();
    read.rotations = listed.union(&named).count();
    let mut wanted = named;
    match &source.rotations {
        Rotations::All if breadth == Breadth::Everything => wanted.extend(listed),
        Rotations::All => {}
        Rotations::Listed(list) => {
            wanted.extend(list.iter().filter_map(|local| format!("{}:{local}", source.id).parse().ok()));
        }
    }
    for rotation in wanted {
        match timed(shifts(platform.as_ref(), &rotation, window)).await {
            Ok(shifts) => drop(read.shifts.insert(rotation, shifts)),
            Err(error) => read.faults.push(format!("rotation {rotation}: {error}")),
        }
    }
    Ok(())
}

async fn shifts(platform: &dyn Platform, rotation: &RotationId, window: Span) -> Result<Vec<Shift>, PlatformError> {
    platform.shifts(rotation, window).await
}

async fn timed<T>(question: impl Future<Output = Result<T, PlatformError>>) -> Result<T, PlatformError> {
    let answer = tokio::time::timeout(DEADLINE, question).await;
    answer.unwrap_or_else(|_| Err(PlatformError::Unavailable("no answer within a minute".to_owned())))
}

/// What could not be read, a line each.
pub(super) fn faults(reads: &Reads) -> Vec<String> {
    let lines = |(source, read): (&SourceId, &SourceRead)| {
        read.faults.iter().map(|fault| format!("source `{source}`: {fault}")).collect::<Vec<_>>()
    };
    reads.iter().flat_map(lines).collect()
}

/// Who the users on call are: those whom the configuration links, and those whom their address matches.
pub(super) fn people(installation: &Installation, reads: &Reads) -> BTreeMap<(SourceId, UserId), Result<Shown, Doubt>> {
    let mut people = BTreeMap::new();
    for (source, read) in reads {
        for user in users(read.shifts.values().flatten()) {
            let who = address(installation, source, user, &read.users);
            let who = who.map(|address| Shown { id: None, email: Some(address), erased: None });
            people.insert((source.clone(), user.clone()), who);
        }
    }
    people
}

fn address(
    installation: &Installation,
    source: &SourceId,
    user: &UserId,
    everybody: &[PlatformUser],
) -> Result<String, Doubt> {
    let domains = &installation.verified_domains;
    if let Some(link) = installation.link_of(source, user) {
        return verified_address(&link.person, domains).ok_or(Doubt::Unmatched);
    }
    let known = everybody.iter().find(|known| known.id == *user).ok_or(Doubt::Unmatched)?;
    let address = first_match(known, everybody, domains)?;
    // Whoever has the address by a link is another user: a person has one user on a source.
    let mut linked = installation.links.iter().filter(|link| link.sources.contains_key(source));
    let taken = linked.any(|link| verified_address(&link.person, domains).as_deref() == Some(&address));
    if taken { Err(Doubt::Ambiguous) } else { Ok(address) }
}

/// The window with what lies around it and reaches in: coverage that ended within a grace, and that begins within a lead.
pub(super) fn widened(window: Span, profiles: &[Profile]) -> Span {
    let rules = || profiles.iter().filter_map(|profile| profile.enrollment.as_ref());
    let grace = rules().map(|rule| rule.grace).max().unwrap_or_default();
    let lead = rules().map(|rule| rule.lead).max().unwrap_or_default();
    Span { start: earlier(window.start, grace), end: later(window.end, lead) }
}

/// Who would hold what under this installation.
pub(super) fn foreseen(installation: &Installation, reads: &Reads, window: Span) -> Forecast {
    let known = |source: &SourceId| installation.sources.iter().any(|s| s.id == *source && !s.retiring);
    let shifts = reads.iter().filter(|(source, _)| known(source)).flat_map(|(_, read)| &read.shifts);
    let known = |shifts: &Vec<Shift>| shifts.iter().cloned().map(KnownShift::from).collect();
    let shifts = shifts.map(|(rotation, shifts)| (rotation.clone(), known(shifts))).collect();
    let users = people(installation, reads);
    let views = Views::default();
    forecast(&Input { window, shifts: &shifts, views: &views, users: &users, profiles: &installation.profiles })
}

#[cfg(test)]
mod tests {
    use dutykey_policy::installation::Link;

    use super::*;

    fn user(id: &str, email: &str) -> PlatformUser {
        PlatformUser { id: id.parse().expect("a user"), email: Some(email.to_owned()), name: None, active: None }
    }

    fn installation(links: Vec<Link>) -> Installation {
        let text = "version: 1\nverified_domains: [example.com]\n";
        let document = dutykey_runtime::config::parse(text.as_bytes(), std::path::Path::new("/"));
        let bare = document.map(|document| document.pin(|_| Err(String::new())).expect("no names"));
        Installation { links, ..bare.unwrap_or_else(|problems| panic!("{problems:?}")) }
    }

    #[test]
    fn p8_an_address_that_a_link_gives_to_another_user_is_in_doubt() {
        let source: SourceId = "pd".parse().expect("a source");
        let sources = BTreeMap::from([(source.clone(), "U2".to_owned())]);
        let linked = Link { person: "ann@example.com".to_owned(), sources, apps: BTreeMap::new() };
        let everybody = [user("U1", "Ann@Example.com"), user("U2", "a.lee@elsewhere.test")];
        let of = |links: Vec<Link>, id: &str| {
            address(&installation(links), &source, &id.parse().expect("a user"), &everybody)
        };
        assert_eq!(of(vec![], "U1"), Ok("ann@example.com".to_owned()));
        assert_eq!(of(vec![], "U2"), Err(Doubt::Unmatched), "its domain is not the company's");
        assert_eq!(of(vec![linked.clone()], "U2"), Ok("ann@example.com".to_owned()), "the link says so");
        assert_eq!(of(vec![linked], "U1"), Err(Doubt::Ambiguous), "a person has one user on a source");
        assert_eq!(of(vec![], "U9"), Err(Doubt::Unmatched), "the platform does not list them");
    }
}
