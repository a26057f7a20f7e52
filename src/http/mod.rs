//! The node's HTTP interface: one file for each group of routes. Handlers check who asks and what was sent, and ask the [`System`] and
//! the [`Registry`]; they decide nothing about tasks.
//!
//! Reading order: `api` (what handlers share), `auth`, `problem` (errors), `body` and `page` (what comes in and goes out as a list),
//! `repeat` (idempotency), then the groups.

mod access;
mod agents;
mod api;
mod auth;
mod body;
mod config;
mod creating;
mod events;
mod executors;
mod health;
mod host;
pub mod link;
mod listen;
mod metrics;
mod page;
mod problem;
mod repeat;
mod runs;
mod schedules;
mod socket;
mod supervision;
mod tasks;
mod view;
mod webhooks;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::CsrfLayer;
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use api::{Api, HOSTS, Limits};
pub use listen::serve;
pub use problem::{FieldError, Problem};

/// What is said of the whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Impresario",
        description = "A node in which AI agents are supervised actors."
    ),
    security(("key" = []))
)]
struct Description;

fn all() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(creating::create, tasks::list))
        .routes(routes!(tasks::show))
        .routes(routes!(tasks::cancel))
        .routes(routes!(tasks::pause))
        .routes(routes!(tasks::resume))
        .routes(routes!(tasks::answer))
        .routes(routes!(tasks::messages, tasks::say))
        .routes(routes!(events::stream))
        .routes(routes!(socket::open))
        .routes(routes!(runs::of_task))
        .routes(routes!(runs::show))
        .routes(routes!(runs::messages, runs::follow_up))
        .routes(routes!(runs::journal))
        .routes(routes!(runs::fork))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::pause))
        .routes(routes!(runs::resume))
        .routes(routes!(access::create_project, access::projects))
        .routes(routes!(access::remove_project))
        .routes(routes!(access::create_key, access::keys))
        .routes(routes!(access::revoke_key))
        .routes(routes!(agents::list))
        .routes(routes!(agents::show))
        .routes(routes!(agents::teams))
        .routes(routes!(executors::list))
        .routes(routes!(executors::connect))
        .routes(routes!(config::show, config::change))
        .routes(routes!(supervision::show))
        .routes(routes!(supervision::kill))
        .routes(routes!(schedules::create, schedules::list))
        .routes(routes!(schedules::show, schedules::remove))
        .routes(routes!(webhooks::create, webhooks::list))
        .routes(routes!(webhooks::show, webhooks::remove))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::redeliver))
        .routes(routes!(metrics::show))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::openapi))
}

/// The description of all routes.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut described = all().into_openapi();
    let key = SecurityScheme::Http(
        Http::builder()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("a key of the node, `ik_…`"))
            .build(),
    );
    let components = described.components.get_or_insert_default();
    components.add_security_scheme("key", key);
    described
}

/// All routes over what they share.
pub fn router(api: Api) -> Router {
    let (routes, _) = all().split_for_parts();
    routes
        .route(
            "/api/orchestrator/config",
            get(config::show).patch(config::change),
        )
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(from_fn_with_state(api.clone(), repeat::layer))
        .layer(from_fn_with_state(api.clone(), auth::layer))
        .layer(from_fn_with_state(api.clone(), host::layer))
        .layer(CsrfLayer::new())
        .layer(CatchPanicLayer::custom(problem::after_panic))
        .layer(SetSensitiveRequestHeadersLayer::new([
            axum::http::header::AUTHORIZATION,
        ]))
        .with_state(api)
}
