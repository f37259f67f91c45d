//! Names of things. Each is its own type, so that one cannot stand where another belongs.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a text is not the ID that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a short name of the configuration.
    #[error("`{0}` is not an ID: 1 to 40 characters of a-z, 0-9 and -")]
    Slug(String),
    /// Not a rotation.
    #[error("`{0}` is not a rotation: SOURCE:ID, or SOURCE:ID@LEVEL with a level from 1")]
    Rotation(String),
    /// Not a person.
    #[error("`{0}` is not a person: per_ and 26 characters of a ULID")]
    Person(String),
    /// Not a request.
    #[error("`{0}` is not a request: req_ and 26 characters of a ULID")]
    Request(String),
    /// Not an emergency.
    #[error("`{0}` is not an emergency: emg_ and 26 characters of a ULID")]
    Emergency(String),
    /// Empty, too long, or with control characters in it.
    #[error("`{0}` is not an ID: 1 to 256 characters, none of them a control character")]
    Native(String),
}

/// Shortens foreign text for a message: at most 80 characters, control characters as escapes.
fn excerpt(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(String);

        impl $name {
            /// The ID as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                $check(&text)?;
                Ok(Self(text))
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::try_from(text.to_owned())
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

fn slug(text: &str) -> Result<(), IdError> {
    let ok = (1..=40).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if ok { Ok(()) } else { Err(IdError::Slug(excerpt(text))) }
}

fn native(text: &str) -> Result<(), IdError> {
    let ok = !text.is_empty() && text.chars().count() <= 256 && !text.chars().any(char::is_control);
    if ok { Ok(()) } else { Err(IdError::Native(excerpt(text))) }
}

fn is_ulid(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|ulid| ulid.parse::<ulid::Ulid>().is_ok())
}

fn person(text: &str) -> Result<(), IdError> {
    if is_ulid(text, "per_") { Ok(()) } else { Err(IdError::Person(excerpt(text))) }
}

fn request(text: &str) -> Result<(), IdError> {
    if is_ulid(text, "req_") { Ok(()) } else { Err(IdError::Request(excerpt(text))) }
}

fn emergency(text: &str) -> Result<(), IdError> {
    if is_ulid(text, "emg_") { Ok(()) } else { Err(IdError::Emergency(excerpt(text))) }
}

text_id!(
    /// A configured account on an on-call platform.
    SourceId,
    slug
);
text_id!(
    /// A configured target system.
    AppId,
    slug
);
text_id!(
    /// An access profile.
    ProfileId,
    slug
);
text_id!(
    /// A person, by Dutykey's own ID: `per_` and a ULID. It never changes and is never given to anyone else.
    PersonId,
    person
);
text_id!(
    /// An access request: `req_` and a ULID.
    RequestId,
    request
);
text_id!(
    /// An emergency in which somebody took a profile: `emg_` and a ULID.
    EmergencyId,
    emergency
);
text_id!(
    /// A user of an on-call platform, by the platform's own immutable ID.
    UserId,
    native
);
text_id!(
    /// An account in an app, by the app's own immutable ID.
    AccountId,
    native
);

/// A rotation: `SOURCE:ID`, or `SOURCE:ID@N` for level N (from 1) of an escalation policy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct RotationId {
    /// The source that knows it.
    pub source: SourceId,
    /// The platform's immutable ID of the schedule or of the escalation policy.
    pub key: String,
    /// The level of an escalation policy; `None` for a schedule.
    pub level: Option<u16>,
}

impl RotationId {
    /// What follows the source in the text form: `PABC123` or `PABC123@1`.
    #[must_use]
    pub fn local(&self) -> String {
        match self.level {
            Some(level) => format!("{}@{level}", self.key),
            None => self.key.clone(),
        }
    }
}

impl fmt::Display for RotationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.local())
    }
}

impl fmt::Debug for RotationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl FromStr for RotationId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError::Rotation(excerpt(text));
        let (source, local) = text.split_once(':').ok_or_else(wrong)?;
        let (key, level) = match local.rsplit_once('@') {
            Some((key, level)) => {
                let level: u16 = level.parse().map_err(|_| wrong())?;
                if level == 0 {
                    return Err(wrong());
                }
                (key, Some(level))
            }
            None => (local, None),
        };
        native(key).map_err(|_| wrong())?;
        Ok(Self { source: source.parse().map_err(|_| wrong())?, key: key.to_owned(), level })
    }
}

impl TryFrom<String> for RotationId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<RotationId> for String {
    fn from(id: RotationId) -> String {
        id.to_string()
    }
}

/// One grantable thing in an app, by the app's own immutable ID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntitlementRef {
    /// The app that has it.
    pub app: AppId,
    /// The app's word for what it is: `group`, `role`, ...
    pub kind: String,
    /// The app's immutable ID of it.
    pub id: String,
}

impl fmt::Display for EntitlementRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.app, self.kind, self.id)
    }
}

/// Where in an account a fact sits. For a set (a group) it is the entitlement itself; for a single value (a role) it is
/// where the value sits, so that all values that exclude each other share one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The app's word for what it is: `group`, `role`, ...
    pub kind: String,
    /// The group's ID, or the name of the single value's seat.
    pub id: String,
}

/// The ledger's key: one place in one account of one app. There is one hold for it and never two.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HoldKey {
    /// The app.
    pub app: AppId,
    /// The account in the app.
    pub account: AccountId,
    /// The place in the account.
    pub place: Place,
}

impl fmt::Display for HoldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.app, self.account, self.place.kind, self.place.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::id;

    #[test]
    fn an_id_of_the_configuration_is_a_short_name() {
        let (longest, longer) = ("a".repeat(40), "a".repeat(41));
        for text in ["a", "0", "on-call-2", longest.as_str()] {
            assert_eq!(text.parse::<ProfileId>().map(String::from), Ok(text.to_owned()));
        }
        for text in ["", "On-call", "on call", "on_call", "ü", longer.as_str()] {
            assert_eq!(text.parse::<ProfileId>(), Err(IdError::Slug(text.to_owned())));
        }
    }

    #[test]
    fn an_id_of_a_platform_is_any_text_without_control_characters_and_a_message_has_little_of_it() {
        let (longest, longer) = ("ü".repeat(256), "ü".repeat(257));
        for text in ["P1", " ", "a/b:c@d", longest.as_str()] {
            assert_eq!(text.parse::<UserId>().map(String::from), Ok(text.to_owned()));
        }
        for (text, excerpt) in [("", ""), ("a\nb", "a\\nb"), (longer.as_str(), "ü".repeat(80).as_str())] {
            assert_eq!(text.parse::<UserId>(), Err(IdError::Native(excerpt.to_owned())));
        }
    }

    #[test]
    fn an_id_of_our_own_says_of_what_it_is() {
        let ulid = "01JD0000000000000000000000";
        let named = |prefix: &str| format!("{prefix}{ulid}");
        let (person, request, emergency) = (named("per_"), named("req_"), named("emg_"));
        for text in [&person, &request, &emergency].map(String::as_str).into_iter().chain([ulid, "per_01JD"]) {
            assert_eq!(text.parse::<PersonId>().is_ok(), text == person, "{text}");
            assert_eq!(text.parse::<RequestId>().is_ok(), text == request, "{text}");
            assert_eq!(text.parse::<EmergencyId>().is_ok(), text == emergency, "{text}");
        }
    }

    #[test]
    fn a_rotation_is_named_by_its_source_its_key_and_its_level() {
        for (text, key, level) in [
            ("pd:P1", "P1", None),
            ("pd:P1@1", "P1", Some(1)),
            ("rota:team a/b:c@d@65535", "team a/b:c@d", Some(65_535)),
        ] {
            let rotation: RotationId = id(text);
            assert_eq!((rotation.key.as_str(), rotation.level), (key, level));
            assert_eq!((rotation.to_string(), format!("{rotation:?}")), (text.to_owned(), format!("{text:?}")));
        }
        for text in ["pd", ":P1", "PD:P1", "pd:", "pd:@1", "pd:P1@", "pd:P1@0", "pd:P1@65536", "pd:P1@x", "pd:P\t1"] {
            let excerpt = text.escape_debug().to_string();
            assert_eq!(text.parse::<RotationId>(), Err(IdError::Rotation(excerpt)));
        }
    }

    #[test]
    fn what_is_granted_and_where_it_is_held_are_named_from_the_app_on() {
        let (app, kind, group) = (id("directory"), "group".to_owned(), "g-1".to_owned());
        let key = HoldKey { app, account: id("acc-ann"), place: Place { kind: kind.clone(), id: group.clone() } };
        let entitlement = EntitlementRef { app: key.app.clone(), kind, id: group };
        assert_eq!(entitlement.to_string(), "directory/group/g-1");
        assert_eq!(key.to_string(), "directory/acc-ann/group/g-1");
    }
}
