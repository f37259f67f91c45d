//! The document as it is written. The published schema is made from these types, with their comments as its
//! descriptions, and the reader too: neither can know a key that the other does not.

use dutykey_policy::id::{AppId, ProfileId, RotationId, SourceId};

use super::read::{At, Lasting, OneOrMore, Pairs, Percent, mappings};

mod choices;

pub(super) use choices::*;

mappings! {
    /// A Dutykey installation: on-call platforms, the apps where access lives, and who gets what access while on call.
    struct RawDocument {
        /// The version of this form: 1.
        #[schemars(extend("const" = 1))]
        version: At<u64>,
        /// Mail domains that the company owns. An address outside them never matches anybody.
        #[schemars(length(min = 1))]
        verified_domains: At<Vec<At<String>>>,
        /// The app or source that says who is active. Whoever it shows as inactive loses access at once.
        directory: Option<At<String>>,
        /// Who may do what in Dutykey itself.
        api: Option<At<RawApi>>,
        /// How often platforms are read, and how far ahead.
        sync: Option<At<RawSync>>,
        /// Which changes of the rota wait for a person.
        brake: Option<At<RawBrake>>,
        /// Where notices go beside the log.
        notify: Option<At<Vec<At<RawChannel>>>>,
        /// On-call platforms.
        sources: Option<At<Vec<At<RawSource>>>>,
        /// Target systems, where access lives.
        apps: Option<At<Vec<At<RawApp>>>>,
        /// Who is who, where an address cannot settle it.
        people: Option<At<RawPeople>>,
        /// Access profiles; at most 500.
        #[schemars(length(max = 500))]
        profiles: Option<At<Vec<At<RawProfile>>>>,
    }

    /// Who may do what in Dutykey's own API.
    struct RawApi {
        /// The OpenID Connect issuer that says who a caller is.
        oidc: Option<At<RawOidc>>,
        /// Origins of web pages that may call the API with the tokens of their users, like `https://console.example.com`.
        /// Default: none.
        origins: Option<At<Vec<At<String>>>>,
        /// Who may change the configuration.
        administrators: Option<At<RawGroups>>,
        /// Who may read everything.
        auditors: Option<At<RawGroups>>,
    }

    /// An OpenID Connect issuer.
    struct RawOidc {
        /// The issuer, an `https` address.
        #[schemars(url)]
        issuer: At<String>,
        /// The audience that tokens must name.
        audience: At<String>,
        /// Where tokens say what.
        claims: Option<At<RawClaims>>,
    }

    /// The claims of a token.
    struct RawClaims {
        /// The claim that is the subject. Default: `sub`.
        subject: Option<At<String>>,
        /// The claim that is the address. Default: `email`.
        email: Option<At<String>>,
        /// The claim that lists groups. Default: `groups`.
        groups: Option<At<String>>,
    }

    /// Groups of the issuer.
    struct RawGroups {
        /// Their names, as tokens have them.
        groups: At<Vec<At<String>>>,
    }

    /// How often platforms are read, and how far ahead.
    struct RawSync {
        /// How often shifts are read. Default: `5m`.
        every: Option<At<Lasting>>,
        /// How often users, teams and the directory are read. Default: `1h`.
        directory_every: Option<At<Lasting>>,
        /// How far ahead shifts are read, at most 90 days. Default: `14d`.
        horizon: Option<At<Lasting>>,
    }

    /// Which share of the people on call may vanish at once before the change waits for a person.
    struct RawBrake {
        /// Of one rotation. Default: `50%`.
        rotation: Option<At<Percent>>,
        /// Of all rotations of one source. Default: `20%`.
        source: Option<At<Percent>>,
    }

    /// A webhook that is told what happens, signed by the rules of Standard Webhooks.
    struct RawChannel {
        /// A name for it: 1 to 40 of a-z, 0-9 and -.
        #[schemars(extend("pattern" = "^[a-z0-9-]{1,40}$"))]
        id: At<SourceId>,
        /// Where its address is. The address is a secret in itself.
        url: At<RawSecret>,
        /// Where its signing secret is.
        secret: At<RawSecret>,
        /// What it is told. Default: everything.
        #[schemars(length(min = 1))]
        on: Option<At<Vec<At<RawTopic>>>>,
    }

    /// An account on PagerDuty.
    struct RawPagerduty {
        /// A name for it: 1 to 40 of a-z, 0-9 and -. It is never given to another account.
        #[schemars(extend("pattern" = "^[a-z0-9-]{1,40}$"))]
        id: At<SourceId>,
        /// The platform.
        #[expect(dead_code, reason = "for the schema; the reader chose this shape by it")]
        platform: At<PagerdutyWord>,
        /// Where its REST API is. Default: `https://api.pagerduty.com`.
        #[schemars(url)]
        base_url: Option<At<String>>,
        /// Where a read-only key of the REST API is.
        token: At<RawSecret>,
        /// Where the secret of its webhook subscription is; a list while it is being replaced.
        webhook_secret: Option<At<OneOrMore<RawSecret>>>,
        /// The rotations to read: `all`, or a list of IDs: a schedule's ID, or `ID@N` for level N of an escalation
        /// policy. Default: `all`.
        rotations: Option<At<RawRotations>>,
        /// How often its shifts are read. Default: `sync.every`.
        every: Option<At<Lasting>>,
    }

    /// An iCalendar file or feed. It is one rotation.
    struct RawIcalendar {
        /// A name for it: 1 to 40 of a-z, 0-9 and -. It is never given to another feed.
        #[schemars(extend("pattern" = "^[a-z0-9-]{1,40}$"))]
        id: At<SourceId>,
        /// The platform.
        #[expect(dead_code, reason = "for the schema; the reader chose this shape by it")]
        platform: At<IcalendarWord>,
        /// A file, beside this one where the path is relative; or an `https` or `webcal` address; or where a secret
        /// address is.
        url: At<RawCalendar>,
        /// The ID of its rotation. Default: `main`.
        rotation: Option<At<String>>,
        /// How a person is named in it. Default: `attendee`.
        identify_by: Option<At<RawIdentifyBy>>,
        /// The IANA zone of its all-day and floating times. Default: the file's own X-WR-TIMEZONE.
        time_zone: Option<At<String>>,
        /// How often it is read. Default: `sync.every`.
        every: Option<At<Lasting>>,
    }

    /// A simulated platform, for demonstrations and tests.
    struct RawSandboxSource {
        /// A name for it: 1 to 40 of a-z, 0-9 and -.
        #[schemars(extend("pattern" = "^[a-z0-9-]{1,40}$"))]
        id: At<SourceId>,
        /// The platform.
        #[expect(dead_code, reason = "for the schema; the reader chose this shape by it")]
        platform: At<SandboxWord>,
        /// What happens on it.
        script: At<serde_json::Value>,
        /// The rotations to read: `all`, or a list of IDs. Default: `all`.
        rotations: Option<At<RawRotations>>,
        /// How often it is read. Default: `sync.every`.
        every: Option<At<Lasting>>,
    }

    /// A SCIM 2.0 service. Its groups are entitlements, of the kind `group`.
    struct RawScim {
        /// A name for it: 1 to 40 of a-z, 0-9 and -. It is never given to another tenant.
        #[schemars(extend("pattern" = "^[a-z0-9-]{1,40}$"))]
        id: At<AppId>,
        /// The kind of target.
        #[expect(dead_code, reason = "for the schema; the reader chose this shape by it")]
        target: At<ScimWord>,
        /// The service's base, an `https` address.
        #[schemars(url)]
        base_url: At<String>,
        /// Where a bearer token is.
        token: At<RawSecret>,
        /// How long after a change its reads may still show the state before it, at most 5 minutes; 0 where they never
        /// do. An end is proven so long after the removal and 6 seconds later, and people are told of one that is not
        /// proven within 30 seconds. Default: `10s`.
        propagation: Option<At<Lasting>>,
    }

    /// A simulated target, for demonstrations and tests.
    struct RawSandboxApp {
        /// A name for it: 1 to 40 of a-z, 0-9 and -.
        #[schemars(extend("pattern" = "^[a-z0-9-]{1,40}$"))]
        id: At<AppId>,
        /// The kind of target.
        #[expect(dead_code, reason = "for the schema; the reader chose this shape by it")]
        target: At<SandboxWord>,
        /// What is on it and how it behaves.
        script: At<serde_json::Value>,
    }

    /// Who is who, where an address cannot settle it.
    struct RawPeople {
        /// One entry for each person.
        links: Option<At<Vec<At<RawLink>>>>,
    }

    /// Who a person is on platforms and in apps.
    struct RawLink {
        /// The person's address.
        #[schemars(email)]
        person: At<String>,
        /// The user on each source, by the platform's ID.
        sources: Option<At<Pairs>>,
        /// The account in each app, by the app's ID.
        apps: Option<At<Pairs>>,
    }

    /// An access profile: a named bundle of entitlements, with who gets it. It needs one of `enrollment`,
    /// `self_service` and `break_glass`.
    #[schemars(extend("anyOf" = [
        { "required": ["enrollment"] }, { "required": ["self_service"] }, { "required": ["break_glass"] }
    ]))]
    struct RawProfile {
        /// A name for it: 1 to 40 of a-z, 0-9 and -.
        #[schemars(extend("pattern" = "^[a-z0-9-]{1,40}$"))]
        id: At<ProfileId>,
        /// A name for people to read.
        name: At<String>,
        /// What it gives; 1 to 200.
        #[schemars(length(min = 1, max = 200))]
        entitlements: At<Vec<At<RawEntitlement>>>,
        /// Whether it acts. Default: `enforce`.
        mode: Option<At<RawMode>>,
        /// Automatic enrollment: whoever is on call gets it without asking.
        enrollment: Option<At<RawEnrollment>>,
        /// Self-service: whoever is on call may ask for it.
        self_service: Option<At<RawSelfService>>,
        /// What happens with an override that a person made for themselves. Default: `hold`.
        self_override: Option<At<RawSelfOverride>>,
        /// How long a late change of the rota waits before it takes effect, at most a day; 0 only flags it. Default:
        /// `10m`.
        override_lock: Option<At<Lasting>>,
        /// Who may take it at once in an emergency.
        break_glass: Option<At<RawBreakGlass>>,
    }

    /// One grantable thing of an app, by its ID or its name.
    #[schemars(extend("oneOf" = [{ "required": ["id"] }, { "required": ["name"] }]))]
    struct RawEntitlement {
        /// The app that has it.
        #[schemars(extend("pattern" = "^[a-z0-9-]{1,40}$"))]
        app: At<AppId>,
        /// The app's word for what it is: `group`, `role`, ...
        kind: At<String>,
        /// The app's own immutable ID of it.
        id: Option<At<String>>,
        /// Its name, looked up once when the file is applied and pinned to the ID found then.
        name: Option<At<String>>,
    }

    /// Automatic enrollment: whoever is on call in the rotations gets the profile.
    struct RawEnrollment {
        /// The rotations: `SOURCE:ID`, or `SOURCE:ID@N` for level N of an escalation policy.
        #[schemars(length(min = 1))]
        rotations: At<Vec<At<RotationId>>>,
        /// How long before the shift access begins. Default: `1m`.
        lead: Option<At<Lasting>>,
        /// How long after the shift access ends. Default: `0`.
        grace: Option<At<Lasting>>,
        /// How long a view of the rota may stand that no fresh one has confirmed; at least 12 times the interval in
        /// which its source is read. Default: `4h`.
        lease: Option<At<Lasting>>,
    }

    /// Self-service: whoever is on call in the rotations may ask for the profile.
    struct RawSelfService {
        /// The rotations: `SOURCE:ID`, or `SOURCE:ID@N` for level N of an escalation policy.
        #[schemars(length(min = 1))]
        rotations: At<Vec<At<RotationId>>>,
        /// The longest that a request may last; never past the end of the shift and its grace.
        max_duration: At<Lasting>,
        /// Whether a justification must be given. Default: `required`.
        justification: Option<At<RawJustification>>,
        /// After how long an undecided request expires. Default: `1h`.
        expires: Option<At<Lasting>>,
        /// What must pass before a request is approved: `auto_approve`, or steps in order.
        policy: At<RawPolicy>,
    }

    /// A step of a request policy.
    struct RawStep {
        /// Who may approve it. Nobody approves their own request.
        approvers: At<RawApprovers>,
    }

    /// Who may approve a step: one of `on_call`, `people` and `groups`.
    #[schemars(extend("oneOf" = [
        { "required": ["on_call"] }, { "required": ["people"] }, { "required": ["groups"] }
    ]))]
    struct RawApprovers {
        /// Whoever is on call in this rotation.
        on_call: Option<At<RotationId>>,
        /// These people, by address.
        #[schemars(length(min = 1))]
        people: Option<At<Vec<At<String>>>>,
        /// Whoever is in one of these groups of the issuer.
        #[schemars(length(min = 1))]
        groups: Option<At<Vec<At<String>>>>,
        /// How many of them must approve. Default: 1.
        #[schemars(range(min = 1, max = 100))]
        any: Option<At<u64>>,
    }

    /// Who may take a profile at once in an emergency, and for how long. Everybody is told.
    #[schemars(extend("anyOf" = [{ "required": ["people"] }, { "required": ["groups"] }]))]
    struct RawBreakGlass {
        /// People, by address.
        #[schemars(length(min = 1))]
        people: Option<At<Vec<At<String>>>>,
        /// Groups of the issuer.
        #[schemars(length(min = 1))]
        groups: Option<At<Vec<At<String>>>>,
        /// The longest that it may last.
        max_duration: At<Lasting>,
    }
}
