//! A PostgreSQL server that is not ours, where a variable names one, and a schema of its own on it for each test.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::{Either, select};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{Client, Config, Connection, NoTls, Socket};

const SERVER: &str = "IMPRESARIO_TEST_POSTGRES";

/// A schema that nobody else uses, dropped with this value.
pub(crate) struct Schema {
    server: String,
    name: String,
}

impl Schema {
    /// On the server that the variable names, or a line that says what is skipped.
    pub(crate) fn fresh() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var(SERVER).ok().filter(|url| !url.is_empty());
        if server.is_none() {
            eprintln!("skipped: set {SERVER} to the URL of a PostgreSQL database to run this test");
        }
        let (pid, n) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let name = format!("test_{pid}_{n}_{:08x}", fastrand::u32(..));
        server.map(|server| Self { server, name })
    }

    /// The URL of a store in it.
    pub(crate) fn url(&self) -> String {
        format!("{}?schema={}", self.server, self.name)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The URL without a schema.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Where the server listens.
    pub(crate) fn address(&self) -> &str {
        let (_, rest) = self.server.rsplit_once('@').expect("a user");
        rest.split('/').next().expect("a host")
    }

    /// The URL of the same store behind another address.
    pub(crate) fn url_at(&self, address: &str) -> String {
        self.url().replace(self.address(), address)
    }

    /// A connection with this schema as the search path.
    pub(crate) fn session(&self) -> Session {
        let mut session = Session::start(&self.server);
        session.execute(&format!("SET search_path TO {}", self.name));
        session
    }

    /// Forgets what a store has written into it.
    pub(crate) fn clear(&self) {
        self.execute(EMPTY);
    }

    /// Says something to the server, with this schema as the search path.
    pub(crate) fn execute(&self, sql: &str) {
        let sql = format!("SET search_path TO {}; {sql}", self.name);
        execute(&self.server, &sql);
    }
}

/// Making tables takes a server long.
const EMPTY: &str = "DO $$ BEGIN IF to_regclass('writers') IS NOT NULL THEN
    DELETE FROM events; DELETE FROM runs; DELETE FROM tasks; DELETE FROM blobs; DELETE FROM snapshots; DELETE FROM writers;
    DELETE FROM records; DELETE FROM outbox; DELETE FROM outbox_newest;
  END IF; END $$";

impl Drop for Schema {
    fn drop(&mut self) {
        execute(
            &self.server,
            &format!(
                "SET client_min_messages TO error; DROP SCHEMA IF EXISTS {} CASCADE",
                self.name
            ),
        );
    }
}

fn execute(server: &str, sql: &str) {
    // On a thread of its own, because a test may be in a runtime already.
    std::thread::scope(|scope| {
        let saying = scope.spawn(|| Session::start(server).execute(sql));
        saying.join().expect("the server does it");
    });
}

/// A connection of its own, for threads that are in no runtime.
pub(crate) struct Session {
    runtime: Runtime,
    client: Client,
    connection: Pin<Box<Connection<Socket, NoTlsStream>>>,
}

impl Session {
    fn start(server: &str) -> Self {
        let config: Config = server.parse().expect("a URL");
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let connected = runtime.block_on(config.connect(NoTls));
        let (client, connection) = connected.expect("a connection");
        Self {
            runtime,
            client,
            connection: Box::pin(connection),
        }
    }

    pub(crate) fn execute(&mut self, sql: &str) {
        let asking = Box::pin(self.client.batch_execute(sql));
        let done = match self.runtime.block_on(select(asking, &mut self.connection)) {
            Either::Left((done, _)) => done,
            Either::Right((ended, _)) => panic!("the connection has ended: {ended:?}"),
        };
        done.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// How many rows there are.
    pub(crate) fn count(&mut self, sql: &str) -> usize {
        let asking = Box::pin(self.client.query(sql, &[]));
        match self.runtime.block_on(select(asking, &mut self.connection)) {
            Either::Left((rows, _)) => rows.expect("rows").len(),
            Either::Right((ended, _)) => panic!("the connection has ended: {ended:?}"),
        }
    }
}
