//! A gate between the program and everything outside it: it counts what passes and can fail it, or stop the program at
//! any point.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use dutykey_engine::ports::clock::{Clock, Listener};
use dutykey_engine::ports::target::{Accepted, GrantOrder, Page, Resolved, RevokeOrder, Target, TargetError, Targets};
use dutykey_policy::hold::{Capabilities, Observation};
use dutykey_policy::id::{AccountId, EntitlementRef, Place};
use dutykey_policy::installation::App;
use dutykey_policy::turn::TurnKey;
use dutykey_policy::wants::Slot;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Notify;

/// What happens at the point that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trip {
    /// Nothing passes from then on: the program is dead.
    Dead,
    /// The table throttles this request.
    Throttled,
    /// The table has carried out this request, and its answer is lost.
    LostAnswer,
    /// The table refuses this transaction because of another.
    Conflict,
}

#[derive(Debug, Default)]
struct State {
    table: u64,
    passed: u64,
    conflicts: u64,
    trip: Option<(u64, Trip)>,
    locked: bool,
}

/// The gate.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate {
    state: Arc<Mutex<State>>,
    dead: Arc<Notify>,
    listener: Arc<Mutex<Option<Heard>>>,
}

/// Who hears what time it is at the app, and the clock there.
#[derive(Clone)]
struct Heard {
    by: Listener,
    there: Arc<dyn Clock>,
}

impl std::fmt::Debug for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heard").finish_non_exhaustive()
    }
}

impl Gate {
    /// How many requests the table has had.
    pub(crate) fn table_requests(&self) -> u64 {
        self.state.lock().unwrap().table
    }

    /// How many calls the app has refused because another one was under way.
    pub(crate) fn conflicts(&self) -> u64 {
        self.state.lock().unwrap().conflicts
    }

    /// How many points have been passed since the gate was set.
    pub(crate) fn passed(&self) -> u64 {
        self.state.lock().unwrap().passed
    }

    /// Hides the credentials of every app, or gives them back.
    pub(crate) fn hide_credentials(&self, hidden: bool) {
        self.state.lock().unwrap().locked = hidden;
    }

    /// Has something happen at the point with this number, counted from now.
    pub(crate) fn set(&self, trip: Option<(u64, Trip)>) {
        let mut state = self.state.lock().unwrap();
        (state.passed, state.trip) = (0, trip);
    }

    /// Has this clock hear from each answer of the app what time it is there.
    pub(crate) fn heard_by(&self, clock: Arc<dyn Clock>, there: Arc<dyn Clock>) {
        *self.listener.lock().unwrap() = Some(Heard { by: Listener::new(clock, &"directory"), there });
    }

    fn tell_the_time(&self) {
        if let Some(Heard { by, there }) = self.listener.lock().unwrap().clone() {
            let date = there.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            by.hear("app.example.com", Some(&date), None, Duration::ZERO);
        }
    }

    /// Waits until the program is dead.
    pub(crate) async fn death(&self) {
        self.dead.notified().await;
    }

    /// Passes a point. What is dead never comes back from it.
    async fn pass(&self) -> Option<Trip> {
        let trip = {
            let mut state = self.state.lock().unwrap();
            let number = state.passed;
            state.passed += 1;
            match state.trip {
                Some((at, Trip::Dead)) if number >= at => Some(Trip::Dead),
                Some((at, trip)) if number == at => Some(trip),
                _ => None,
            }
        };
        if trip == Some(Trip::Dead) {
            self.dead.notify_one();
            std::future::pending::<()>().await;
        }
        trip
    }
}

/// The table behind the gate: a request has a point before it and, for a death, one after it.
#[derive(Debug, Clone)]
pub(crate) struct GatedTable {
    pub(crate) inner: SharedHttpConnector,
    pub(crate) gate: Gate,
}

impl HttpConnector for GatedTable {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (inner, gate) = (self.inner.clone(), self.gate.clone());
        HttpConnectorFuture::new(async move {
            gate.state.lock().unwrap().table += 1;
            let transaction = request.headers().get("x-amz-target").is_some_and(|t| t.ends_with("TransactWriteItems"));
            let trip = gate.pass().await;
            let answered = |kind: &str, reasons: serde_json::Value| {
                let kind = format!("com.amazonaws.dynamodb.v20120810#{kind}");
                let body =
                    json!({ "__type": kind, "Message": "said", "message": "said", "CancellationReasons": reasons });
                Ok(HttpResponse::new(400.try_into().unwrap(), SdkBody::from(body.to_string())))
            };
            match trip {
                Some(Trip::Throttled) => return answered("ThrottlingException", json!([])),
                Some(Trip::Conflict) if transaction => {
                    return answered("TransactionCanceledException", json!([{ "Code": "TransactionConflict" }]));
                }
                _ => {}
            }
            let answer = inner.call(request).await;
            if trip == Some(Trip::LostAnswer) {
                return Err(ConnectorError::io("the connection was reset".into()));
            }
            gate.pass().await;
            answer
        })
    }
}

/// The apps behind the gate.
pub(crate) struct GatedTargets {
    pub(crate) inner: Arc<dyn Targets>,
    pub(crate) gate: Gate,
}

#[async_trait]
impl Targets for GatedTargets {
    async fn target(&self, app: &App) -> Result<Arc<dyn Target>, TargetError> {
        if self.gate.state.lock().unwrap().locked {
            return Err(TargetError::Transient { after: None, detail: "the secret cannot be read".to_owned() });
        }
        let inner = self.inner.target(app).await?;
        Ok(Arc::new(GatedTarget { inner, gate: self.gate.clone() }))
    }
}

struct GatedTarget {
    inner: Arc<dyn Target>,
    gate: Gate,
}

impl GatedTarget {
    /// A call that changes something.
    async fn change(
        &self,
        call: impl Future<Output = Result<Accepted, TargetError>> + Send,
    ) -> Result<Accepted, TargetError> {
        let answer = self.through(call).await;
        if matches!(answer, Err(TargetError::Conflict(_))) {
            self.gate.state.lock().unwrap().conflicts += 1;
        }
        answer
    }

    async fn through<T>(&self, call: impl Future<Output = T> + Send) -> T {
        self.gate.pass().await;
        let answer = call.await;
        self.gate.tell_the_time();
        self.gate.pass().await;
        answer
    }
}

#[async_trait]
impl Target for GatedTarget {
    fn capabilities(&self, kind: &str) -> Capabilities {
        self.inner.capabilities(kind)
    }
    fn slot(&self, entitlement: &EntitlementRef) -> Option<Slot> {
        self.inner.slot(entitlement)
    }
    fn rank(&self, place: &Place, value: &str) -> Option<i64> {
        self.inner.rank(place, value)
    }
    fn turns(&self, account: &AccountId, place: &Place) -> Vec<TurnKey> {
        self.inner.turns(account, place)
    }
    async fn check(&self) -> Result<String, TargetError> {
        self.through(self.inner.check()).await
    }
    async fn resolve(&self, address: &str) -> Result<Resolved, TargetError> {
        self.through(self.inner.resolve(address)).await
    }
    async fn is_active(&self, account: &AccountId) -> Result<Option<bool>, TargetError> {
        self.through(self.inner.is_active(account)).await
    }
    async fn catalog(&self, page: Option<&str>) -> Result<Page, TargetError> {
        self.through(self.inner.catalog(page)).await
    }
    async fn observe(&self, account: &AccountId, place: &Place) -> Result<Observation, TargetError> {
        self.through(self.inner.observe(account, place)).await
    }
    async fn grant(&self, order: &GrantOrder) -> Result<Accepted, TargetError> {
        self.change(self.inner.grant(order)).await
    }
    async fn poll(&self, operation: &str) -> Result<Accepted, TargetError> {
        self.through(self.inner.poll(operation)).await
    }
    async fn extend(&self, order: &RevokeOrder, native_end: Timestamp) -> Result<Accepted, TargetError> {
        self.change(self.inner.extend(order, native_end)).await
    }
    async fn revoke(&self, order: &RevokeOrder) -> Result<Accepted, TargetError> {
        self.change(self.inner.revoke(order)).await
    }
}
