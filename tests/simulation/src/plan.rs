//! One run as an explicit list: the company, its rota, and everything that goes wrong. A seed is expanded into a plan; the
//! plan alone decides what happens, so it can be written down, replayed and shortened.

use std::collections::BTreeSet;
use std::num::NonZeroU8;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use crate::world::faults::{AppFault, PlatformFault, QueueFault, TableFault};

/// Seconds after the beginning of the run.
pub type Second = u32;

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Where it came from, and the chance of everything that is not in the list.
    pub seed: u64,
    /// When it begins.
    pub epoch: Timestamp,
    /// How long it lasts, in seconds; afterwards faults end and the system gets time to come to rest.
    pub lasts: Second,
    /// How much time it gets, in seconds.
    pub rest: Second,
    /// At which second of its minute the tick runs.
    pub tick_second: Second,
    /// How far each function's clock is ahead of the world's, in milliseconds: sync, provisioning, revocation, handoff.
    pub clocks_ms: [i64; 4],
    /// People, by number.
    pub people: Vec<Human>,
    /// Rotations on the platforms.
    pub rotations: Vec<Rotation>,
    /// Target systems.
    pub apps: Vec<App>,
    /// Access profiles as they are at the beginning.
    pub profiles: Vec<Profile>,
    /// Whether the first app says who is active.
    pub directory: bool,
    /// Whether the platforms tell who made an override.
    pub tells_makers: bool,
    /// Everything else that happens.
    pub happens: Vec<Happening>,
    /// Whom administrators have linked to the account of somebody else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Linked>,
}

/// Somebody whom an administrator has linked to the account of another one, in every app: two persons with one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linked {
    /// Who.
    pub person: usize,
    /// Whose account it is.
    pub to: usize,
}

/// A person, with what the platforms and apps know of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Human {
    /// The address on the platforms.
    pub address: String,
    /// Their accounts, the same in every app: ID and address.
    pub accounts: Vec<(String, String)>,
    /// Whether the accounts are in use at the beginning.
    pub active: bool,
}

/// A rotation on a platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// The source.
    pub source: String,
    /// Its ID there; `policy@2` for a level.
    pub id: String,
    /// Single shifts.
    pub shifts: Vec<Shift>,
    /// Overrides; each is laid over those before it.
    pub overrides: Vec<Override>,
}

/// A shift that a platform shows for some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shift {
    /// Who; `None` where the platform declares a gap.
    pub user: Option<usize>,
    /// When it begins.
    pub from: Second,
    /// When it ends; `None` for a permanent one.
    pub to: Option<Second>,
    /// When reads first show it.
    pub announced: Second,
    /// When reads no longer show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Second>,
}

/// Somebody stands in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Who is on call instead.
    pub user: usize,
    /// When it begins.
    pub from: Second,
    /// When it ends.
    pub to: Second,
    /// Who made it.
    pub by: Option<usize>,
    /// When reads first show it.
    pub announced: Second,
    /// When reads no longer show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Second>,
}

/// A target system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// Its ID.
    pub id: String,
    /// Its groups: the members that were there before, and those who are in through another group.
    pub groups: Vec<Group>,
    /// The values of the single value, from the least to the most; none where it has no such thing.
    pub roles: Vec<String>,
    /// Who has which value before: person and number of the value.
    pub values: Vec<(usize, usize)>,
    /// A call acts and is answered after so many milliseconds.
    pub latency_ms: u32,
    /// Operations take so many seconds and are polled.
    pub asynchronous: Option<Second>,
    /// A read shows what was there so many seconds ago.
    pub propagation: Second,
    /// It ends access by itself at a time.
    pub native_end: bool,
    /// It tells whose access is whose.
    pub tells_owner: bool,
    /// What no more calls at the same time may share than it has turns.
    pub serialize: Option<String>,
    /// How many turns that has.
    #[serde(default = "one")]
    pub turns: NonZeroU8,
    /// More calls in a second than that are throttled.
    pub limit: Option<u32>,
}

fn one() -> NonZeroU8 {
    NonZeroU8::MIN
}

/// A group of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its ID.
    pub id: String,
    /// Who is in it before.
    pub members: BTreeSet<usize>,
    /// Who is in it through another group.
    pub inherited: BTreeSet<usize>,
}

/// What a profile gives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gives {
    /// The number of the app.
    pub app: usize,
    /// The number of the group, or of the value.
    pub what: What,
}

/// A group or a value, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A group.
    Group(usize),
    /// A value.
    Role(usize),
}

/// An access profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its ID.
    pub id: String,
    /// What it gives.
    pub gives: Vec<Gives>,
    /// The numbers of the rotations whose people get it, or may.
    pub rotations: BTreeSet<usize>,
    /// Lead, in seconds.
    pub lead: Second,
    /// Grace, in seconds.
    pub grace: Second,
    /// Lease, in seconds.
    pub lease: Second,
    /// The lock on changes of the forecast, in seconds.
    pub lock: Second,
    /// Whether those rotations give it without asking.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub enrolls: bool,
    /// What people may do with it themselves.
    #[serde(default)]
    pub offer: Offer,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_yes(enrolls: &bool) -> bool {
    *enrolls
}

/// The lease of a rotation that no profile enrolls from, in seconds.
pub const DEFAULT_LEASE: Second = 4 * 3_600;

impl Profile {
    /// For how long a view may stand for it, in seconds.
    #[must_use]
    pub fn leased(&self) -> Second {
        if self.enrolls { self.lease } else { DEFAULT_LEASE }
    }
}

/// What people may do with a profile themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offer {
    /// Nothing.
    #[default]
    None,
    /// Whoever is on call may have it for the asking, anybody in an emergency.
    Asked,
    /// Whoever is on call may ask, and another one decides; anybody in an emergency.
    Approved,
}

/// The longest that a profile may be had for the asking, or in an emergency.
pub const LONGEST: Second = 4 * 3_600;

/// Something that happens beside the rota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// A platform misbehaves.
    Platform(PlatformFault),
    /// An app misbehaves.
    App(AppFault),
    /// The table misbehaves.
    Table(TableFault),
    /// The queues misbehave.
    Queue(QueueFault),
    /// The worker that makes the `point`th request after this second dies at it.
    Crash {
        /// From when on.
        at: Second,
        /// Which request.
        point: u32,
    },
    /// Every worker is replaced by a fresh one; what they were at is lost.
    Deploy {
        /// When.
        at: Second,
    },
    /// No function runs at all.
    Pause {
        /// From when.
        from: Second,
        /// Until when.
        to: Second,
    },
    /// The tick does not run.
    TickSkipped {
        /// From when.
        from: Second,
        /// Until when.
        to: Second,
    },
    /// The tick runs twice at once.
    TickDoubled {
        /// From when.
        from: Second,
        /// Until when.
        to: Second,
    },
    /// Other people change who is in a group.
    Others {
        /// When.
        at: Second,
        /// In which app.
        app: usize,
        /// In which group.
        group: usize,
        /// Whom.
        person: usize,
        /// Whether they are put in, or thrown out.
        add: bool,
    },
    /// Other people set somebody's value.
    Valued {
        /// When.
        at: Second,
        /// In which app.
        app: usize,
        /// Whose.
        person: usize,
        /// Which; `None` takes it away.
        value: Option<usize>,
    },
    /// Somebody leaves: their accounts are no longer in use.
    Leaves {
        /// When.
        at: Second,
        /// Who.
        person: usize,
    },
    /// Somebody's address on the platforms becomes another.
    Renamed {
        /// When.
        at: Second,
        /// Who.
        person: usize,
        /// The new address.
        address: String,
    },
    /// An administrator denies.
    Block {
        /// When.
        at: Second,
        /// What.
        denies: Denies,
        /// Whether it only stops new grants.
        freeze: bool,
        /// When it ends by itself.
        until: Option<Second>,
    },
    /// The administrator who placed the last block lifts it.
    Lift {
        /// When.
        at: Second,
    },
    /// Somebody takes a profile in an emergency.
    Takes {
        /// When.
        at: Second,
        /// Who.
        person: usize,
        /// Which.
        profile: usize,
        /// For how long.
        lasts: Second,
        /// After which time they give it back, where they do.
        back: Option<Second>,
    },
    /// Somebody asks for a profile by being on call.
    Asks {
        /// When.
        at: Second,
        /// Who.
        person: usize,
        /// Which.
        profile: usize,
        /// By being on call in which rotation.
        rotation: usize,
        /// For how long.
        lasts: Second,
        /// After which time an approver says yes or no, where one does.
        decided: Option<(Second, bool)>,
        /// After which time, and for how long from then, they ask for more, where they do.
        more: Option<(Second, Second)>,
        /// After which time they give it back, where they do.
        back: Option<Second>,
    },
    /// A profile becomes another.
    Edit {
        /// When.
        at: Second,
        /// Which.
        profile: usize,
        /// What it becomes; `None` deletes it.
        to: Option<Profile>,
    },
    /// The table is put back to what it was, and rebuilt from the copy of its evidence.
    Restored {
        /// When the backup was taken.
        backup: Second,
        /// When the table is put back.
        at: Second,
        /// It is let go on as soon as the rotas were read, and in any case after this time.
        lasts: Second,
    },
    /// Somebody gives a profile back that they have by being on call.
    GivesBack {
        /// When.
        at: Second,
        /// Who.
        person: usize,
        /// Which.
        profile: usize,
    },
    /// An app or a source leaves the configuration, and only ends what it began.
    Retires {
        /// When.
        at: Second,
        /// Which.
        what: System,
    },
    /// Platforms list somebody no longer.
    Departs {
        /// When.
        at: Second,
        /// Who.
        person: usize,
    },
    /// An administrator erases somebody who has departed, where nothing comes first.
    Erases {
        /// When.
        at: Second,
        /// Whom.
        person: usize,
    },
    /// An administrator says that their own account is another one's, and confirms it alone.
    LinksAlone {
        /// When.
        at: Second,
        /// Whose it is to be.
        person: usize,
        /// The administrator, whose account it is.
        to: usize,
    },
    /// A newer release is at work for a moment and rolled back: everything in the table says something by then that this one
    /// does not know.
    RolledBack {
        /// When.
        at: Second,
    },
    /// An administrator releases what the brake holds, by the digest that they have read.
    Releases {
        /// When they read it.
        at: Second,
        /// After which time they release it.
        #[serde(default)]
        after: Second,
    },
}

/// An app or a source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// An app, by its number.
    App(usize),
    /// A source, by its ID.
    Source(String),
}

/// What a block denies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Denies {
    /// Everything to everybody.
    Everything,
    /// Everything to a person.
    Person(usize),
    /// A profile to everybody.
    Profile(usize),
    /// An app.
    App(usize),
}

impl Plan {
    /// The ID of a person's user on the platforms.
    #[must_use]
    pub fn user(number: usize) -> String {
        format!("u{number:03}")
    }

    /// The instant so many seconds after the beginning.
    #[must_use]
    pub fn at(&self, second: Second) -> Timestamp {
        dutykey_policy::time::later(self.epoch, std::time::Duration::from_secs(u64::from(second)))
    }

    /// The account by which an app knows a person: of several the first.
    #[must_use]
    pub fn account(&self, person: usize) -> Option<&str> {
        self.people.get(person)?.accounts.first().map(|(id, _)| id.as_str())
    }

    /// Whether administrators have linked somebody to the account who is not the one whose it is.
    #[must_use]
    pub fn is_shared(&self, account: &str) -> bool {
        self.links.iter().any(|link| self.account(link.to) == Some(account))
    }

    /// The app that a number names.
    #[must_use]
    pub fn app_number(&self, id: &str) -> Option<usize> {
        self.apps.iter().position(|app| app.id == id)
    }
}
