//! TLS for the connection, on the crypto that the rest of the program uses.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, FutureExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as Encrypted;

/// Makes encrypted streams to servers that show a good certificate.
#[derive(Clone)]
pub(super) struct Secure(TlsConnector);

impl Secure {
    /// With the authorities in the file, or with those of the system.
    pub(super) fn new(roots: Option<&Path>) -> Result<Self, String> {
        let crypto = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let config = match roots {
            Some(file) => builder
                .with_root_certificates(read(file)?)
                .with_no_client_auth(),
            None => builder
                .with_platform_verifier()
                .map_err(|error| format!("this machine has no certificates of authorities, as in the package `ca-certificates` ({error})"))?
                .with_no_client_auth(),
        };
        Ok(Self(Arc::new(config).into()))
    }
}

fn read(file: &Path) -> Result<RootCertStore, String> {
    let wrong = |what: String| format!("`sslrootcert` {}: {what}", file.display());
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))?;
    for certificate in found {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| wrong(error.to_string()))?;
    }
    match roots.is_empty() {
        true => Err(wrong("it holds no certificate".to_owned())),
        false => Ok(roots),
    }
}

/// Encrypts the stream to one server.
pub(super) struct SecureTo(TlsConnector, ServerName<'static>);

impl<S> MakeTlsConnect<S> for Secure
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = SecureStream<S>;
    type TlsConnect = SecureTo;
    type Error = InvalidDnsNameError;

    fn make_tls_connect(&mut self, host: &str) -> Result<SecureTo, InvalidDnsNameError> {
        let name = ServerName::try_from(host.to_owned())?;
        Ok(SecureTo(self.0.clone(), name))
    }
}

impl<S> TlsConnect<S> for SecureTo
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = SecureStream<S>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<SecureStream<S>>>;

    fn connect(self, stream: S) -> Self::Future {
        async move { self.0.connect(self.1, stream).await.map(SecureStream) }.boxed()
    }
}

/// An encrypted stream.
pub(super) struct SecureStream<S>(Encrypted<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for SecureStream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for SecureStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for SecureStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
