//! A node on a loopback address answers only under names that mean it: a page of another site whose name was made to point here
//! (DNS rebinding) carries that site's name.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::middleware::Next;
use axum::response::Response;

use super::api::Api;
use super::problem::Problem;

pub(super) async fn layer(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let is_local = peer.is_none_or(|peer| peer.0.ip().is_loopback());
    let host = request.headers().get(HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(|it| it.as_str()));
    let name = host.map(name_of);
    let foreign = |hosts: &Vec<String>| name.is_some_and(|name| !is_ours(hosts, name));
    if is_local && api.limits.hosts.as_ref().is_some_and(foreign) {
        return Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "unknown-host",
            "this node does not go by that name",
            "it listens on this machine alone: ask it as `localhost`, or as the address it listens on",
        ));
    }
    Ok(next.run(request).await)
}

/// A host without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_ours(hosts: &[String], name: &str) -> bool {
    hosts.iter().any(|host| host.eq_ignore_ascii_case(name))
}
