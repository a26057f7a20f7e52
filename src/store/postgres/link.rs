//! Connections as this store wants them.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Connection, NoTls, Row, Socket, Statement};

use super::error::{Failure, Place};
use super::tls::Secure;
use super::url::{Tls, Url};
use super::{Durability, Options};

/// How much longer than the server may take for a statement its answer may take, at most.
const GRACE: Duration = Duration::from_secs(5);

/// What it takes to connect.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub(super) place: Place,
    url: Url,
    durability: Durability,
    connect_timeout: Duration,
    statement_timeout: Duration,
    lock_timeout: Duration,
}

impl Access {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            place: Place::new(&options.url),
            url: options.url.clone(),
            durability: options.durability,
            connect_timeout: options.connect_timeout,
            statement_timeout: options.statement_timeout,
            lock_timeout: options.lock_timeout,
        }
    }

    /// The schema that the tables stand in, if the URL leaves that to us.
    pub(super) fn schema(&self) -> Option<&str> {
        self.url.schema.as_deref()
    }

    /// The longest that an answer is waited for.
    fn patience(&self) -> Duration {
        self.statement_timeout + self.statement_timeout.min(GRACE)
    }

    fn config(&self) -> Config {
        let mut config = self.url.config.clone();
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(self.connect_timeout);
        }
        config
    }

    /// What every session begins with. What a transaction locks is free again soon after its program was cut off.
    fn session(&self) -> String {
        let millis = |time: Duration| time.as_millis().clamp(1, i32::MAX as u128);
        let schema = self.schema().map_or_else(String::new, |schema| {
            format!("SET search_path TO {};", quoted(schema))
        });
        let commit = match self.durability {
            // Whoever waits for a standby as well goes on doing so.
            Durability::Power => {
                "CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END"
            }
            Durability::Process => "'off'",
        };
        format!(
            "{schema} SELECT set_config('synchronous_commit', {commit}, false);
             SET statement_timeout = {}; SET lock_timeout = {lock}; SET idle_in_transaction_session_timeout = {lock};
             SET client_min_messages = warning; SET default_transaction_isolation = 'read committed'",
            millis(self.statement_timeout),
            lock = millis(self.lock_timeout),
        )
    }
}

/// A name in quotes, whatever it holds.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// One connection with its statements. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) client: Client,
    patience: Duration,
    statements: HashMap<&'static str, Statement>,
    driver: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link {
    /// Connects and sets the session up.
    pub(super) async fn open(access: &Access) -> Result<Self, Failure> {
        let connecting = connect(access);
        // The library's limit is for each of a host's addresses and does not cover what the server says after that.
        let patience = access.patience();
        let (client, driver) = within(patience, connecting).await?;
        let link = Self {
            client,
            patience,
            statements: HashMap::new(),
            driver,
        };
        link.batch(&access.session()).await?;
        Ok(link)
    }

    /// Whether it is known to be of no more use.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Statements without values or answers.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), Failure> {
        within(self.patience, async {
            Ok(self.client.batch_execute(sql).await?)
        })
        .await
    }

    /// A statement that is prepared once.
    pub(super) async fn statement(&mut self, sql: &'static str) -> Result<Statement, Failure> {
        if let Some(known) = self.statements.get(sql) {
            return Ok(known.clone());
        }
        let preparing = async { Ok(self.client.prepare(sql).await?) };
        let statement = within(self.patience, preparing).await?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    /// Prepares many statements in one round trip.
    pub(super) async fn prepare(
        &mut self,
        all: impl IntoIterator<Item = &'static str>,
    ) -> Result<(), Failure> {
        let client = &self.client;
        let preparing = all
            .into_iter()
            .map(|sql| async move { Ok((sql, client.prepare(sql).await?)) });
        let prepared = within(self.patience, try_join_all(preparing)).await?;
        self.statements.extend(prepared);
        Ok(())
    }

    pub(super) async fn query(
        &mut self,
        sql: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        let statement = self.statement(sql).await?;
        let asking = async { Ok(self.client.query(&statement, values).await?) };
        within(self.patience, asking).await
    }

    /// Waits for an answer no longer than the server may take.
    pub(super) async fn within<T>(
        &self,
        asking: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        within(self.patience, asking).await
    }
}

async fn within<T>(
    time: Duration,
    asking: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout(time, asking)
        .await
        .unwrap_or(Err(Failure::Silent(time)))
}

async fn connect(access: &Access) -> Result<(Client, JoinHandle<()>), Failure> {
    let config = access.config();
    match &access.url.tls {
        Tls::Off => {
            let (client, connection) = config.connect(NoTls).await?;
            Ok((client, drive(connection)))
        }
        Tls::Verified(roots) => {
            let secure = Secure::new(roots.as_deref()).map_err(Failure::Limit)?;
            let (client, connection) = config.connect(secure).await?;
            Ok((client, drive(connection)))
        }
    }
}

/// Moves what is asked and answered, on the store's own runtime, until the link is dropped.
fn drive<S>(connection: Connection<Socket, S>) -> JoinHandle<()>
where
    S: tokio_postgres::tls::TlsStream + Unpin + Send + 'static,
{
    tokio::runtime::Handle::current().spawn(async move {
        // Whoever waits for an answer is told; a link that breaks while nobody does is noticed at its next use.
        let _ = connection.await;
    })
}
