//! A PostgreSQL server that is not ours, where a variable names one, and a schema of its own on it for each test.

use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::{Either, select};
use tokio_postgres::{Config, NoTls};

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

    /// Says something to the server, with this schema as the search path.
    pub(crate) fn execute(&self, sql: &str) {
        let sql = format!("SET search_path TO {}; {sql}", self.name);
        execute(&self.server, &sql);
    }
}

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

/// On a thread of its own, because a test may be in a runtime already.
fn execute(server: &str, sql: &str) {
    let config: Config = server.parse().expect("a URL");
    let run = async {
        let (client, connection) = config.connect(NoTls).await.expect("a connection");
        let done = {
            let saying = Box::pin(client.batch_execute(sql));
            match select(saying, connection).await {
                Either::Left((done, _)) => done,
                Either::Right((ended, _)) => panic!("the connection has ended: {ended:?}"),
            }
        };
        done.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    };
    std::thread::scope(|scope| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime");
        scope
            .spawn(move || runtime.block_on(run))
            .join()
            .expect("the server does it");
    });
}
