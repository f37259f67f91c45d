//! The API's own description (OpenAPI 3.1), made from the code that answers.

use std::sync::Arc;

use axum::Json;
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, ResponseBuilder};

use crate::configuration::CONFIGURATION;
use crate::problem::ProblemView;
use crate::profiles::edits::DEFINITION;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Dutykey",
        description = "Who is on call has access; whoever is not has none. Errors are problem documents (RFC 9457) whose \
            `type` never changes. Instants are RFC 3339 in UTC. Lists come in pages; `next` is the cursor of the next one.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(ProblemView))
)]
struct Described;

/// The name of the way in which callers show who they are.
const TOKEN: &str = "token";

/// What the document says beside its operations.
pub(crate) fn described() -> utoipa::openapi::OpenApi {
    Described::openapi()
}

/// The document of these operations: each needs a token, and may answer with a problem. How profiles and whole
/// configurations are said is the configuration file's own schema.
pub(crate) fn completed(mut document: utoipa::openapi::OpenApi) -> serde_json::Value {
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    document.components.get_or_insert_default().add_security_scheme(TOKEN, SecurityScheme::Http(bearer));
    for path in document.paths.paths.values_mut() {
        let methods = [&mut path.get, &mut path.put, &mut path.post, &mut path.delete];
        methods.into_iter().flatten().for_each(complete);
    }
    let mut document = serde_json::json!(document);
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(serde_json::Value::as_object_mut) {
        schemas.insert(CONFIGURATION.to_owned(), dutykey_runtime::config::configuration_schema());
        schemas.insert(DEFINITION.to_owned(), dutykey_runtime::config::profile_schema());
    }
    document
}

fn complete(operation: &mut Operation) {
    let problem = Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem"))));
    let problem = ResponseBuilder::new().description("A problem").content("application/problem+json", problem);
    operation.responses.responses.insert("default".to_owned(), RefOr::T(problem.build()));
    operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(TOKEN, [])]);
}

/// Answers with the document.
pub(crate) async fn answer(document: Arc<serde_json::Value>) -> Json<serde_json::Value> {
    Json(serde_json::Value::clone(&document))
}
