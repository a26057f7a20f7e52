//! The door: connections are taken until the node stops, and what is under way is given time to end.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::api::Api;
use super::router;

/// Serves until [`stop`](super::api::Shared::stop) is cancelled; then nothing new is taken, streams and sockets say goodbye, and what is
/// under way has the time of [`Limits::drain`](super::Limits::drain) to end.
///
/// # Errors
/// When connections can no longer be taken.
pub async fn serve(listener: TcpListener, api: Api) -> io::Result<()> {
    let app = router(api.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let stop = api.stop.clone();
    let server = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(api.limits.drain).await;
    };
    let served = tokio::select! {
        served = server => served,
        () = late => Ok(()),
    };
    api.sockets.close();
    let _ = tokio::time::timeout(api.limits.drain, api.sockets.wait()).await;
    served
}
