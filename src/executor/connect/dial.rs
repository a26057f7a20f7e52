//! From an address to a WebSocket.

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::header::{
    AUTHORIZATION, HeaderValue, SEC_WEBSOCKET_PROTOCOL,
};
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use super::{Address, ConnectError, ConnectOptions, ExecutorKey};
use crate::link::{Close, Ending, Heard, SUBPROTOCOL, Said, trouble};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why there is no connection.
pub(super) enum Failed {
    /// Trying again may help.
    Now(String),
    /// Something answers there, and not as a node does.
    Strange(u16),
    /// Trying again does not help.
    Always(ConnectError),
}

/// Connects, as far as the node's consent.
pub(super) async fn dial(options: &ConnectOptions) -> Result<Socket, Failed> {
    let within = options.connect_within;
    match timeout(within, shake_hands(options)).await {
        Ok(result) => result,
        Err(_) => Err(Failed::Now(format!("no answer within {within:?}"))),
    }
}

async fn shake_hands(options: &ConnectOptions) -> Result<Socket, Failed> {
    let address = &options.address;
    let request = request(address, &options.key).map_err(failed)?;
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await;
    let stream = stream.map_err(|error| Failed::Now(error.to_string()))?;
    // Frames go at once; without it they go as well.
    let _ = stream.set_nodelay(true);
    let config = WebSocketConfig::default()
        .max_message_size(Some(options.frame_bytes))
        .max_frame_size(Some(options.frame_bytes));
    // It may be there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let connected = client_async_tls_with_config(request, stream, Some(config), None).await;
    connected.map(|(socket, _)| socket).map_err(failed)
}

fn request(address: &Address, key: &ExecutorKey) -> Result<Request, Error> {
    let mut request = address.uri.clone().into_client_request()?;
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, key.0.clone());
    let protocol = HeaderValue::from_static(SUBPROTOCOL);
    headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    Ok(request)
}

fn failed(error: Error) -> Failed {
    match error {
        Error::Http(response) => refused(response.status().as_u16()),
        Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(_)) => Failed::Always(
            ConnectError::Version(format!("it does not know {SUBPROTOCOL}")),
        ),
        error => Failed::Now(error.to_string()),
    }
}

fn refused(status: u16) -> Failed {
    match status {
        401 => Failed::Always(ConnectError::Refused(
            "it does not know this key (401)".to_owned(),
        )),
        403 => Failed::Always(ConnectError::Refused(
            "this key may not connect executors there (403)".to_owned(),
        )),
        426 => Failed::Always(ConnectError::Version(format!(
            "it does not speak {SUBPROTOCOL} (426)"
        ))),
        408 | 429 | 500.. => Failed::Now(format!("it answers with {status}")),
        other => Failed::Strange(other),
    }
}

// ---- tungstenite's words

/// The two directions of a connection.
pub(super) fn halves(
    socket: Socket,
) -> (
    impl Sink<Said, Error = Ending> + Unpin,
    impl Stream<Item = Result<Heard, Ending>> + Unpin,
) {
    let (to, from) = socket.split();
    let to = to
        .sink_map_err(trouble)
        .with(|word| std::future::ready(Ok(said(word))));
    (to, from.map(|message| message.map(heard).map_err(trouble)))
}

fn said(word: Said) -> Message {
    match word {
        Said::Text(text) => Message::Text(text.into()),
        Said::Ping => Message::Ping(Vec::new().into()),
        Said::Goodbye(Close { code, reason }) => Message::Close(Some(CloseFrame {
            code: code.into(),
            reason: reason.into(),
        })),
    }
}

fn heard(message: Message) -> Heard {
    match message {
        Message::Text(text) => Heard::Text(text.as_str().to_owned()),
        Message::Binary(_) => Heard::Binary,
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Heard::Alive,
        Message::Close(frame) => Heard::Goodbye(match frame {
            Some(frame) => Close::new(frame.code.into(), frame.reason.as_str()),
            None => Close::new(1005, ""),
        }),
    }
}
