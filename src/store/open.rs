//! Which store a URL means.

use std::sync::Arc;

use actors::store::{Records, Store, StoreError};
use futures_util::future::{BoxFuture, FutureExt};

use super::postgres::{self, Postgres, UrlError};
use super::sqlite::{self, Durability, Sqlite};

/// A store that outlives its process, and the records in it: an `Arc` of it is one of a [`Store`] and of [`Records`] as well.
pub trait Durable: Store + Records + std::fmt::Debug {
    /// Waits for what was handed over, and closes it. Whatever is asked later is [`StoreError::Closed`].
    ///
    /// # Errors
    /// When it could not be closed in an orderly way (nothing acknowledged is lost by that), or when it was closed before.
    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Looks at everything. Takes as long as reading all of it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with the first damage found.
    fn check(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

impl Durable for Sqlite {
    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Self::close(self).boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Self::check(self).boxed()
    }
}

impl Durable for Postgres {
    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Self::close(self).boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Self::check(self).boxed()
    }
}

/// Opens the store that a URL means: `sqlite:FILE`, `postgres://…` or `postgresql://…`. A PostgreSQL URL without a password takes that of
/// the environment variable `PGPASSWORD`. Must be called in a tokio runtime.
///
/// # Errors
/// [`StoreError::Io`] for anything else, otherwise as [`Sqlite::open`] and [`Postgres::open`]. No error shows a password.
pub async fn open(url: &str, durability: Durability) -> Result<Arc<dyn Durable>, StoreError> {
    match url.strip_prefix("sqlite:") {
        Some("") => Err(refused(
            "sqlite:",
            "it names no file: write it like sqlite:journal.db",
        )),
        Some(file) => open_sqlite(file, durability).await,
        None => {
            let url = url.parse().map_err(|error| unknown(url, &error))?;
            open_postgres(url, durability).await
        }
    }
}

async fn open_sqlite(file: &str, durability: Durability) -> Result<Arc<dyn Durable>, StoreError> {
    let options = sqlite::Options {
        durability,
        ..sqlite::Options::new(file)
    };
    let opening = tokio::task::spawn_blocking(|| Sqlite::open(options));
    match opening.await {
        Ok(opened) => Ok(Arc::new(opened?)),
        Err(stopped) => Err(refused(file, &format!("opening was broken off: {stopped}"))),
    }
}

async fn open_postgres(
    url: postgres::Url,
    durability: Durability,
) -> Result<Arc<dyn Durable>, StoreError> {
    let password = std::env::var("PGPASSWORD").ok();
    let url = match password.filter(|password| !password.is_empty()) {
        Some(password) => url.or_password(password),
        None => url,
    };
    let options = postgres::Options {
        durability,
        ..postgres::Options::new(url)
    };
    Ok(Arc::new(Postgres::open(options).await?))
}

/// What stands before the first `:` is shown, and what follows may be a secret.
fn unknown(url: &str, error: &UrlError) -> StoreError {
    let scheme = url.split(':').next().unwrap_or_default();
    match error {
        UrlError::Scheme if scheme.len() < url.len() && scheme.len() <= 20 => refused(
            &format!("{scheme}:…"),
            "it is no store: use sqlite:FILE or postgres://host/database",
        ),
        UrlError::Scheme => refused(
            "the store",
            "its URL begins with neither `sqlite:` nor `postgres://`",
        ),
        other => refused("the URL of the store", &other.to_string()),
    }
}

fn refused(place: &str, detail: &str) -> StoreError {
    StoreError::Io {
        place: place.to_owned(),
        detail: detail.to_owned(),
    }
}
