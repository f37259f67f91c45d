//! What each address answers that is only looked at.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use dutykey_store::Page;

use crate::caller::Anyone;
use crate::query::Parameters;
use crate::views::Context;
use crate::views::rota::{ForecastView, HoldsView, RotationView, RotationsView, WhoView};
use crate::{Api, Problem};

type Answer<T> = Result<Json<T>, Problem>;

/// Who holds what at an instant. A page is now of so many holds, before and later of so many people with all that they hold.
#[utoipa::path(
    get, path = "/v1/who", tag = "looking",
    params(
        ("at" = Option<String>, Query, description = "The instant; now where it is left out", format = DateTime),
        ("limit" = Option<u16>, Query, description = "At most so many holds, or people, on the page", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "Where the page begins, as the page before says", pattern = "^[0-9a-f]+$"),
    ),
    responses((status = 200, description = "As it is", body = WhoView)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn who(State(api): State<Api>, _: Anyone, uri: Uri) -> Answer<WhoView> {
    let parameters = Parameters::of(&uri, &["at", "limit", "cursor"])?;
    let now = api.clock.now();
    let at = parameters.instant("at")?.unwrap_or(now);
    let page = crate::who::page(&api.store, at, now, parameters.cursor()?.as_ref(), parameters.limit()?).await;
    let page = page.map_err(|error| listing(error, &parameters))?;
    Ok(Json(WhoView { at, next: next(&page), holds: page.items, unreadable: page.unreadable }))
}

/// Who will hold what. A page is of so many rotations: what somebody will hold through rotations of several pages stands on each,
/// with the reasons of that page.
#[utoipa::path(
    get, path = "/v1/forecast", tag = "looking",
    params(
        ("from" = Option<String>, Query, description = "From when; now where it is left out", format = DateTime),
        ("to" = Option<String>, Query, description = "Until when, at most 90 days later; a week where it is left out", format = DateTime),
        ("limit" = Option<u16>, Query, description = "At most so many rotations on the page", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "Where the page begins, as the page before says", pattern = "^[0-9a-f]+$"),
    ),
    responses((status = 200, description = "As it is", body = ForecastView)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn forecast(State(api): State<Api>, _: Anyone, uri: Uri) -> Answer<ForecastView> {
    let parameters = Parameters::of(&uri, &["from", "to", "limit", "cursor"])?;
    let now = api.clock.now();
    let window = crate::shifts::window(&parameters, now)?;
    let page = crate::ahead::page(&api.store, window, now, parameters.cursor()?.as_ref(), parameters.limit()?).await;
    let (forecast, next, unreadable) = page.map_err(|error| listing(error, &parameters))?;
    Ok(Json(ForecastView::new(forecast, next.map(|next| next.as_str().to_owned()), unreadable)))
}

/// Every hold that is not over.
#[utoipa::path(
    get, path = "/v1/holds", tag = "looking",
    params(
        ("limit" = Option<u16>, Query, description = "At most so many on the page", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "Where the page begins, as the page before says", pattern = "^[0-9a-f]+$"),
    ),
    responses((status = 200, description = "As it is", body = HoldsView)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn holds(State(api): State<Api>, _: Anyone, uri: Uri) -> Answer<HoldsView> {
    let parameters = Parameters::of(&uri, &["limit", "cursor"])?;
    let page = api.store.list_open_holds(parameters.cursor()?.as_ref(), parameters.limit()?).await;
    let page = page.map_err(|error| listing(error, &parameters))?;
    let context = Context::of(&api.store, &page.items, api.clock.now()).await?;
    let holds = page.items.iter().map(|hold| context.show(hold)).collect();
    Ok(Json(HoldsView { holds, next: next(&page), unreadable: page.unreadable }))
}

/// Every rotation, and how fresh what is known of it is.
#[utoipa::path(
    get, path = "/v1/rotations", tag = "looking",
    params(
        ("limit" = Option<u16>, Query, description = "At most so many on the page", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "Where the page begins, as the page before says", pattern = "^[0-9a-f]+$"),
    ),
    responses((status = 200, description = "As it is", body = RotationsView)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn rotations(State(api): State<Api>, _: Anyone, uri: Uri) -> Answer<RotationsView> {
    let parameters = Parameters::of(&uri, &["limit", "cursor"])?;
    let page = api.store.list_rotations(parameters.cursor()?.as_ref(), parameters.limit()?).await;
    let page = page.map_err(|error| listing(error, &parameters))?;
    let mut why = api.store.prolonged_why(&page.items).await?;
    let rotations = page.items.iter().map(|head| RotationView::new(head, why.remove(&head.id))).collect();
    Ok(Json(RotationsView { rotations, next: next(&page), unreadable: page.unreadable }))
}

/// A list can refuse the cursor only for not being one of its own.
pub(crate) fn listing(error: dutykey_engine::ports::ledger::StoreError, parameters: &Parameters) -> Problem {
    let refused = matches!(error, dutykey_engine::ports::ledger::StoreError::Limit(_));
    if refused && parameters.text("cursor").is_some() { Problem::Cursor } else { error.into() }
}

/// The cursor of the next page, if there is one.
pub(crate) fn next<T>(page: &Page<T>) -> Option<String> {
    page.next.as_ref().map(|next| next.as_str().to_owned())
}
