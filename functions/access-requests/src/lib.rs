//! The HTTP API: who holds what, who will, which rotations are known, the evidence; and access requests.
//!
//! Every answer is JSON; instants are RFC 3339 in UTC with milliseconds. An error is a problem document (RFC 9457) whose
//! `type` never changes. Lists come in pages of 50, at most 200, with a cursor. Nothing here holds the credentials of a
//! platform or an app. `GET /v1/openapi.json` describes all of it.
#![warn(missing_docs)]

mod again;
mod ahead;
mod blocks;
mod body;
mod brakes;
mod caller;
mod configuration;
mod cors;
mod emergencies;
mod entitlements;
mod erase;
mod evidence;
mod explained;
mod health;
mod lists;
mod me;
mod openapi;
mod overview;
mod people;
mod problem;
mod profiles;
mod query;
mod report;
mod requests;
mod rotations;
mod shifts;
#[cfg(test)]
mod tests;
mod views;
mod who;
mod write_off;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use dutykey_engine::again::Again;
use dutykey_engine::block::Blocks;
use dutykey_engine::brake::Brakes;
use dutykey_engine::configuration::Configurations;
use dutykey_engine::emergency::Emergencies;
use dutykey_engine::erase::Erasures;
use dutykey_engine::ports::clock::{Chance, Clock};
use dutykey_engine::ports::queue::Enqueue;
use dutykey_engine::ports::rules::ReadRules;
use dutykey_engine::profile::Profiles;
use dutykey_engine::prolong::Leases;
use dutykey_engine::request::Requests;
use dutykey_engine::write_off::WriteOffs;
use dutykey_store::Store;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use caller::Identify;

pub use ahead::MAX_WINDOW;
pub use caller::{DEVELOPER, DEVELOPER_GROUPS, KeysError, PublishedKeys, ReadKeys, TokenError, Unconfigured};
pub use configuration::open_holds;
pub use explained::{Shifts, explaining};
pub use health::health;
pub use problem::Problem;
pub use views::{HoldView, PersonView, ReasonView};
pub use who::{Who, who};

/// The deadline of one request: an HTTP API of API Gateway waits for 30 s (its quotas, "Integration timeout").
const DEADLINE: Duration = Duration::from_secs(25);

/// What the API works with.
#[derive(Clone)]
pub struct Ports {
    /// The table.
    pub store: Store,
    /// The queues: a request may need a fresh read, and what is approved is due at once.
    pub queues: Arc<dyn Enqueue>,
    /// The keys of the issuer of tokens.
    pub keys: Arc<dyn ReadKeys>,
    /// Who may call where no issuer is configured.
    pub unconfigured: Unconfigured,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub chance: Arc<dyn Chance>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").field("unconfigured", &self.unconfigured).finish_non_exhaustive()
    }
}

/// What endpoints reach.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) requests: Requests,
    pub(crate) blocks: Blocks,
    pub(crate) emergencies: Emergencies,
    pub(crate) erasures: Erasures,
    pub(crate) again: Again,
    pub(crate) write_offs: WriteOffs,
    pub(crate) brakes: Brakes,
    pub(crate) leases: Leases,
    pub(crate) profiles: Profiles,
    pub(crate) configurations: Configurations,
    pub(crate) identify: Arc<Identify>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl From<Ports> for Api {
    fn from(ports: Ports) -> Self {
        let Ports { store, queues, keys, unconfigured, clock, chance } = ports;
        let shared = Arc::new(store.clone());
        let blocks =
            Blocks { blocks: shared.clone(), queues: queues.clone(), clock: clock.clone(), chance: chance.clone() };
        let brakes = Brakes::over(shared.clone(), clock.clone());
        let leases = Leases {
            rota: shared.clone(),
            ledger: shared.clone(),
            rules: shared.clone(),
            queues: queues.clone(),
            clock: clock.clone(),
            chance: chance.clone(),
        };
        let again = Again { ledger: shared.clone(), queues: queues.clone(), clock: clock.clone() };
        let write_offs = WriteOffs {
            ledger: shared.clone(),
            rota: shared.clone(),
            rules: shared.clone(),
            queues: queues.clone(),
            clock: clock.clone(),
            chance: chance.clone(),
        };
        let emergencies = Emergencies {
            ledger: shared.clone(),
            people: shared.clone(),
            emergencies: shared.clone(),
            rules: shared.clone(),
            queues: queues.clone(),
            clock: clock.clone(),
            chance: chance.clone(),
        };
        let erasures = Erasures {
            ledger: shared.clone(),
            people: shared.clone(),
            emergencies: shared.clone(),
            rota: shared.clone(),
            rules: shared.clone(),
            clock: clock.clone(),
        };
        let profiles =
            Profiles { profiles: shared.clone(), rules: shared.clone(), queues: queues.clone(), clock: clock.clone() };
        let configurations =
            Configurations { configuration: shared.clone(), queues: queues.clone(), clock: clock.clone() };
        let requests = Requests {
            ledger: shared.clone(),
            people: shared.clone(),
            rota: shared.clone(),
            rules: shared.clone(),
            queues,
            clock: clock.clone(),
            chance: chance.clone(),
        };
        let identify =
            Identify { rules: shared.clone(), callers: shared, keys, clock: clock.clone(), chance, unconfigured };
        let identify = Arc::new(identify);
        Self {
            store,
            requests,
            blocks,
            profiles,
            configurations,
            emergencies,
            erasures,
            again,
            write_offs,
            brakes,
            leases,
            identify,
            clock,
        }
    }
}

/// Every endpoint, with what describes it.
fn endpoints() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(openapi::described())
        .routes(routes!(me::me))
        .routes(routes!(people::people))
        .routes(routes!(people::person))
        .routes(routes!(erase::erase))
        .routes(routes!(profiles::profiles))
        .routes(routes!(profiles::profile, profiles::edits::put, profiles::edits::delete))
        .routes(routes!(profiles::edits::preview))
        .routes(routes!(profiles::edits::deletion))
        .routes(routes!(profiles::edits::confirm))
        .routes(routes!(profiles::enrollments))
        .routes(routes!(configuration::configuration, configuration::put))
        .routes(routes!(configuration::preview))
        .routes(routes!(configuration::confirm))
        .routes(routes!(entitlements::entitlements))
        .routes(routes!(shifts::shifts))
        .routes(routes!(report::report))
        .routes(routes!(lists::who))
        .routes(routes!(lists::forecast))
        .routes(routes!(lists::holds))
        .routes(routes!(lists::rotations))
        .routes(routes!(rotations::prolong))
        .routes(routes!(evidence::evidence))
        .routes(routes!(again::retry))
        .routes(routes!(write_off::write_off))
        .routes(routes!(overview::overview))
        .routes(routes!(brakes::list))
        .routes(routes!(brakes::release))
        .routes(routes!(brakes::discard))
        .routes(routes!(blocks::place, blocks::list))
        .routes(routes!(blocks::lift))
        .routes(routes!(me::give_back))
        .routes(routes!(emergencies::take, emergencies::list))
        .routes(routes!(emergencies::one, emergencies::give_back))
        .routes(routes!(emergencies::review))
        .routes(routes!(requests::ask, requests::list))
        .routes(routes!(requests::one, requests::cancel))
        .routes(routes!(requests::decide))
        .routes(routes!(requests::extend))
}

/// Everything under `/v1`.
pub fn router(ports: Ports) -> Router {
    let (router, described) = endpoints().split_for_parts();
    let document = Arc::new(openapi::completed(described));
    let rules: Arc<dyn ReadRules> = Arc::new(ports.store.clone());
    router
        .route("/v1/openapi.json", get(move || openapi::answer(document.clone())))
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(body::LONGEST))
        .layer(middleware::from_fn_with_state(ports.store.clone(), settled))
        .layer(middleware::from_fn_with_state(rules, cors::cors))
        .layer(middleware::from_fn(timely))
        .with_state(Api::from(ports))
}

/// The answer to an address that is none.
pub async fn nowhere(uri: Uri) -> Problem {
    Problem::NotFound(query::excerpt(uri.path()))
}

/// Nothing is changed in a restored table before it is rebuilt: what is recorded would go another way than its copy.
async fn settled(State(store): State<Store>, request: Request, next: Next) -> Response {
    if !request.method().is_safe()
        && let Err(error) = store.may_record().await
    {
        return Problem::from(error).into_response();
    }
    next.run(request).await
}

async fn timely(request: Request, next: Next) -> Response {
    match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::Unavailable(format!("no answer within {} seconds", DEADLINE.as_secs())).into_response(),
    }
}

/// Headers for every answer: it is not guessed at, kept, framed or asked to run anything.
pub async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let set: [(HeaderName, &'static str); 4] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in set {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
