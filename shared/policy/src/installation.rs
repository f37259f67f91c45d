//! What an installation consists of: its sources, apps and settings, as the configuration file says them and the table
//! keeps them. Secrets are never here, only where to find them.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::id::{AppId, ProfileId, SourceId, UserId};
use crate::profile::{MAX_PROFILES, Profile};
use crate::rota::hex;
use crate::time::duration_text;

/// Where a secret is. The secret itself is read when it is needed and never stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretRef {
    /// The name or ARN of a secret in Secrets Manager.
    Secret(String),
    /// The name of an environment variable.
    Env(String),
}

/// How a person is named in an iCalendar feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifyBy {
    /// By the address in ATTENDEE.
    #[default]
    Attendee,
    /// By the text of SUMMARY.
    Summary,
}

/// Which rotations of a source are read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotations {
    /// Every one that the platform lists.
    #[default]
    All,
    /// These, by the part of their ID that follows the source.
    Listed(Vec<String>),
}

/// How to reach an on-call platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "platform", rename_all = "snake_case")]
pub enum PlatformSettings {
    /// PagerDuty's REST API.
    Pagerduty {
        /// Where its REST API is, without a slash at the end.
        base_url: String,
        /// A read-only key of the REST API.
        token: SecretRef,
        /// The secrets of its webhook subscriptions; several while one is being replaced.
        #[serde(default)]
        webhook_secrets: Vec<SecretRef>,
    },
    /// An `.ics` file or feed; one rotation.
    Icalendar {
        /// A path, or an `https` or `webcal` address. A feed's address is a secret in itself and is never logged.
        location: CalendarLocation,
        /// The part of the rotation's ID that follows the source.
        rotation: String,
        /// How a person is named in it.
        identify_by: IdentifyBy,
        /// The IANA zone of all-day and floating times, where the file does not say.
        time_zone: Option<String>,
    },
    /// A simulated platform for demonstrations and tests.
    Sandbox {
        /// What happens on it; the shape is the sandbox's own.
        script: serde_json::Value,
    },
}

/// Where a calendar is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalendarLocation {
    /// A path or an address.
    Plain(String),
    /// Where to find the address.
    Hidden(SecretRef),
}

/// A configured account on an on-call platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The source.
    pub id: SourceId,
    /// How to reach it.
    pub settings: PlatformSettings,
    /// Which of its rotations are read.
    #[serde(default)]
    pub rotations: Rotations,
    /// How often its shifts are read.
    #[serde(with = "duration_text")]
    pub every: Duration,
    /// Whether it was dropped from the configuration and only ends what it began.
    #[serde(default)]
    pub retiring: bool,
}

/// How to reach a target system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "target", rename_all = "snake_case")]
pub enum TargetSettings {
    /// A SCIM 2.0 service (RFC 7643, RFC 7644): its groups.
    Scim {
        /// The service's base, without a slash at the end.
        base_url: String,
        /// A bearer token.
        token: SecretRef,
        /// How long after a change its reads may still show the state before it, where the configuration says so.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "duration_text::optional")]
        propagation: Option<Duration>,
    },
    /// A simulated target for demonstrations and tests.
    Sandbox {
        /// What is on it and how it behaves; the shape is the sandbox's own.
        script: serde_json::Value,
    },
}

/// A configured target system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// The app.
    pub id: AppId,
    /// How to reach it.
    pub settings: TargetSettings,
    /// Whether it was dropped from the configuration and only ends what it began.
    #[serde(default)]
    pub retiring: bool,
}

/// Who a person is on each platform and in each app, said by an administrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The person's address.
    pub person: String,
    /// The user on each source, by the platform's ID.
    #[serde(default)]
    pub sources: BTreeMap<SourceId, String>,
    /// The account in each app, by the app's ID.
    #[serde(default)]
    pub apps: BTreeMap<AppId, String>,
}

/// How often platforms are read, and how far ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncSettings {
    /// How often shifts are read.
    #[serde(with = "duration_text")]
    pub every: Duration,
    /// How often users, teams and the directory are read.
    #[serde(with = "duration_text")]
    pub directory_every: Duration,
    /// How far ahead shifts are read; at most 90 days.
    #[serde(with = "duration_text")]
    pub horizon: Duration,
}

impl Default for SyncSettings {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(300),
            directory_every: Duration::from_secs(3_600),
            horizon: Duration::from_secs(14 * 86_400),
        }
    }
}

/// Which share of the people on call may vanish at once before the brake holds the change, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrakeSettings {
    /// Of one rotation.
    pub rotation: u8,
    /// Of all rotations of one source.
    pub source: u8,
}

impl Default for BrakeSettings {
    fn default() -> Self {
        Self { rotation: 50, source: 20 }
    }
}

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// Access is past its end and could not be taken back yet.
    Overdue,
    /// The brake holds a change.
    Brake,
    /// A rotation's view is no longer fresh.
    Stale,
    /// A person on call cannot be matched to an account.
    Unmatched,
    /// Nobody will be on call.
    Gap,
    /// Somebody took access in an emergency.
    BreakGlass,
    /// Somebody put themselves on call.
    SelfOverride,
    /// A hold needs a person: an error that does not pass, or access that others changed.
    Stuck,
}

/// Where notices go beside the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyChannel {
    /// A name for it.
    pub id: String,
    /// Where the webhook's address is.
    pub url: SecretRef,
    /// Where the webhook's signing secret is.
    pub secret: SecretRef,
    /// What it is told.
    pub on: Vec<Topic>,
}

/// Who may do what in Dutykey's own API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiSettings {
    /// Who says who a caller is.
    #[serde(default)]
    pub oidc: Option<Oidc>,
    /// Origins of web pages that may call (RFC 6454, 6.2), none of them without an issuer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// Groups of administrators.
    #[serde(default)]
    pub administrators: Vec<String>,
    /// Groups of auditors.
    #[serde(default)]
    pub auditors: Vec<String>,
}

/// An OpenID Connect issuer and how to read its tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oidc {
    /// The issuer.
    pub issuer: String,
    /// The audience that tokens must name.
    pub audience: String,
    /// The claim that is the subject.
    pub subject_claim: String,
    /// The claim that is the address.
    pub email_claim: String,
    /// The claim that lists groups.
    pub groups_claim: String,
}

/// Everything that the configuration file says; by default nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installation {
    /// Mail domains that the company owns; an address outside them never matches anybody.
    pub verified_domains: Vec<String>,
    /// The app or source that says who is active.
    #[serde(default)]
    pub directory: Option<String>,
    /// Who may do what in Dutykey itself.
    #[serde(default)]
    pub api: ApiSettings,
    /// On-call platforms.
    pub sources: Vec<Source>,
    /// Target systems.
    pub apps: Vec<App>,
    /// Who is who, where an address cannot settle it.
    #[serde(default)]
    pub links: Vec<Link>,
    /// Access profiles.
    pub profiles: Vec<Profile>,
    /// How often platforms are read.
    #[serde(default)]
    pub sync: SyncSettings,
    /// When the brake holds a change.
    #[serde(default)]
    pub brake: BrakeSettings,
    /// Where notices go beside the log.
    #[serde(default)]
    pub notify: Vec<NotifyChannel>,
}

impl Installation {
    /// What is said of a user of a source, where something is: whose they are, whatever address the platform has of them.
    #[must_use]
    pub fn link_of(&self, source: &SourceId, user: &UserId) -> Option<&Link> {
        self.links.iter().find(|link| link.sources.get(source).is_some_and(|id| id == user.as_str()))
    }

    /// Why a profile that was made over the API cannot stand beside this configuration, in a sentence: it has the ID of one
    /// of its own, or names what is not there and could neither be given nor end.
    #[must_use]
    pub fn conflict(&self, made: &Profile) -> Option<String> {
        let id = &made.id;
        if self.profiles.iter().any(|own| own.id == *id) {
            let what = "was made over the API; delete it there, or give the one of the file another ID";
            return Some(format!("the profile `{id}` {what}"));
        }
        let mut sources = made.rotations().map(|rotation| &rotation.source);
        let mut apps = made.entitlements.iter().map(|entitlement| &entitlement.app);
        let source = sources.find(|wanted| !self.sources.iter().any(|source| source.id == **wanted));
        let app = apps.find(|wanted| !self.apps.iter().any(|app| app.id == **wanted));
        let lacking = source.map(|it| format!("source `{it}`")).or_else(|| app.map(|it| format!("app `{it}`")))?;
        Some(format!("the profile `{id}`, which was made over the API, needs the {lacking}; change or delete it first"))
    }

    /// What would be in force with this file: what it says, and beside it the profiles that the API made. And why it cannot
    /// stand there, a sentence each.
    #[must_use]
    pub fn beside(&self, stored: Option<&Self>, made: &BTreeSet<ProfileId>) -> (Self, Vec<String>) {
        let (mut whole, mut refused) = (self.clone(), Vec::new());
        let stored = stored.iter().flat_map(|stored| &stored.profiles);
        for profile in stored.filter(|profile| made.contains(&profile.id)) {
            refused.extend(self.conflict(profile));
            if !self.profiles.iter().any(|own| own.id == profile.id) {
                whole.profiles.push(profile.clone());
            }
        }
        let all = whole.profiles.len();
        if all > MAX_PROFILES {
            refused.push(format!(
                "with those that were made over the API there would be {all} profiles, of at most {MAX_PROFILES}"
            ));
        }
        (whole, refused)
    }

    /// A digest of everything from which looks at people follow, beside their profiles: while it stays, a change of the
    /// configuration changes nobody's access. It leaves out what names no person, gives nothing or is seen through the
    /// views of rotations; whatever else there is counts.
    #[must_use]
    pub fn about_people(&self) -> String {
        let about = Self {
            api: ApiSettings::default(),
            sources: Vec::new(),
            profiles: Vec::new(),
            brake: BrakeSettings::default(),
            notify: Vec::new(),
            ..self.clone()
        };
        let text = serde_json::to_vec(&about).unwrap_or_else(|_| format!("{about:?}").into_bytes());
        hex(&Sha256::digest(text))
    }
}
