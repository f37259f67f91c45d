//! What may be written in more than one way, and words of which one must stand.

use schemars::JsonSchema;

use super::{RawIcalendar, RawPagerduty, RawSandboxApp, RawSandboxSource, RawScim, RawStep};
use crate::config::node::{Node, Value};
use crate::config::problem::Problems;
use crate::config::read::{At, Read, Trail, words};

words! {
    /// The platform PagerDuty.
    enum PagerdutyWord {
        /// PagerDuty's REST API.
        Pagerduty = "pagerduty",
    }
    /// The platform iCalendar.
    enum IcalendarWord {
        /// An iCalendar file or feed.
        Icalendar = "icalendar",
    }
    /// A simulation.
    enum SandboxWord {
        /// A simulation.
        Sandbox = "sandbox",
    }
    /// The target SCIM.
    enum ScimWord {
        /// A SCIM 2.0 service.
        Scim = "scim",
    }
    /// Every rotation.
    enum AllWord {
        /// Every rotation that the platform lists.
        All = "all",
    }
    /// Approval without a person.
    enum AutoApproveWord {
        /// At once, by nobody.
        AutoApprove = "auto_approve",
    }
    /// How a person is named in a feed.
    enum RawIdentifyBy {
        /// By the address in ATTENDEE.
        Attendee = "attendee",
        /// By the text of SUMMARY, which needs a link in `people` unless it is an address.
        Summary = "summary",
    }
    /// Whether a profile acts.
    enum RawMode {
        /// Grants and revokes.
        Enforce = "enforce",
        /// Shows what would happen and touches nothing.
        Observe = "observe",
    }
    /// What happens with an override that a person made for themselves.
    enum RawSelfOverride {
        /// It waits for the lock or for an approver.
        Hold = "hold",
        /// It passes and is shown.
        Flag = "flag",
    }
    /// Whether a justification must be given.
    enum RawJustification {
        /// It must.
        Required = "required",
        /// It may.
        Optional = "optional",
    }
    /// What a notice is about.
    enum RawTopic {
        /// Access is past its end and could not be taken back yet.
        Overdue = "overdue",
        /// The brake holds a change.
        Brake = "brake",
        /// A rotation's view is no longer fresh.
        Stale = "stale",
        /// A person on call cannot be matched to an account.
        Unmatched = "unmatched",
        /// Nobody will be on call.
        Gap = "gap",
        /// Somebody took access in an emergency.
        BreakGlass = "break_glass",
        /// Somebody put themselves on call.
        SelfOverride = "self_override",
        /// A hold needs a person.
        Stuck = "stuck",
    }
}

/// Where a secret is. The secret itself is never written in this file.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(in crate::config) enum RawSecret {
    /// The name or ARN of a secret in Secrets Manager.
    Secret(At<String>),
    /// The name of an environment variable.
    Env(At<String>),
}

impl Read for RawSecret {
    fn read(node: &Node, trail: &Trail<'_>, problems: &mut Problems) -> Option<Self> {
        if let Value::Map(entries) = &node.value
            && let [entry] = entries.as_slice()
        {
            let read = |problems| At::read(&entry.node, &Trail::Key(trail, &entry.key), problems);
            match entry.key.as_str() {
                "secret" => return read(problems).map(Self::Secret),
                "env" => return read(problems).map(Self::Env),
                _ => {}
            }
        }
        // What stands there may be the secret: it is not repeated.
        problems.add(node.line, trail, "must be { secret: NAME } or { env: NAME }; a secret is never in this file");
        None
    }
}

/// Where a calendar is.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub(in crate::config) enum RawCalendar {
    /// A path or an address.
    Plain(String),
    /// Where to find the address.
    Hidden(RawSecret),
}

impl Read for RawCalendar {
    fn read(node: &Node, trail: &Trail<'_>, problems: &mut Problems) -> Option<Self> {
        match node.value {
            Value::Map(_) => Read::read(node, trail, problems).map(Self::Hidden),
            _ => Read::read(node, trail, problems).map(Self::Plain),
        }
    }
}

/// Which rotations are read.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub(in crate::config) enum RawRotations {
    /// Every one.
    All(AllWord),
    /// These.
    Listed(#[schemars(length(min = 1))] Vec<At<String>>),
}

impl Read for RawRotations {
    fn read(node: &Node, trail: &Trail<'_>, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text == "all" => Some(Self::All(AllWord::All)),
            Value::List(_) => Read::read(node, trail, problems).map(Self::Listed),
            _ => {
                problems.add(node.line, trail, "must be `all` or a list of IDs");
                None
            }
        }
    }
}

/// What must pass before a request is approved.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub(in crate::config) enum RawPolicy {
    /// Nothing.
    AutoApprove(AutoApproveWord),
    /// These steps, in order.
    Steps(#[schemars(length(min = 1, max = 10))] Vec<At<RawStep>>),
}

impl Read for RawPolicy {
    fn read(node: &Node, trail: &Trail<'_>, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text == "auto_approve" => Some(Self::AutoApprove(AutoApproveWord::AutoApprove)),
            Value::List(_) => Read::read(node, trail, problems).map(Self::Steps),
            _ => {
                problems.add(node.line, trail, "must be `auto_approve` or a list of steps");
                None
            }
        }
    }
}

/// Reads a mapping whose kind one of its keys tells.
macro_rules! kinds {
    ($(
        $(#[$meta:meta])*
        enum $name:ident by $key:literal { $( $word:literal => $variant:ident($body:ident), )* }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, JsonSchema)]
        #[schemars(untagged)]
        pub(in crate::config) enum $name { $( $variant($body), )* }

        impl Read for $name {
            fn read(node: &Node, trail: &Trail<'_>, problems: &mut Problems) -> Option<Self> {
                let kind = node.get($key);
                match kind.map(|kind| &kind.value) {
                    $( Some(Value::Text(word)) if word == $word => {
                        return Read::read(node, trail, problems).map(Self::$variant);
                    } )*
                    Some(_) => {}
                    None => {
                        problems.add(node.line, Trail::Key(trail, $key), "is missing");
                        return None;
                    }
                }
                let line = kind.map_or(node.line, |kind| kind.line);
                problems.add(line, Trail::Key(trail, $key), concat!("must be one of:" $(, " ", $word)*));
                None
            }
        }
    )*};
}

kinds! {
    /// An account on an on-call platform.
    enum RawSource by "platform" {
        "pagerduty" => Pagerduty(RawPagerduty),
        "icalendar" => Icalendar(RawIcalendar),
        "sandbox" => Sandbox(RawSandboxSource),
    }
    /// A target system.
    enum RawApp by "target" {
        "scim" => Scim(RawScim),
        "sandbox" => Sandbox(RawSandboxApp),
    }
}
