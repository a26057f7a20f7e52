//! Databases that cannot be used, and what is said about them. No text shows a password.

use actors::store::{Store, StoreError};
use actors::testing::conformance::store::draft::{append, created, note, task, write};
use impresario::store::postgres::Options;
use impresario::store::{Durability, Postgres, open};

use crate::support::postgres::Schema;

async fn refusal(url: &str) -> StoreError {
    let opened = open(url, Durability::Process).await;
    let error = opened.expect_err("it cannot be used");
    assert!(!error.to_string().contains("secret"), "{error}");
    error
}

#[tokio::test]
async fn what_is_no_store_is_said_so() {
    let mut told = String::new();
    for url in [
        "",
        "sqlite:",
        "journal.db",
        "mysql://me:secret@localhost/db",
        "postgres:localhost/db",
        "postgres://me:secret@localhost",
        "postgres://me:secret@localhost/db?sslmode=prefer",
        "postgres://me:secret@localhost/db?colour=secret",
        "postgres://me:secret@127.0.0.1:1/db",
        "postgres://me:secret@127.0.0.1:1/db?sslmode=require&sslrootcert=/nowhere/ca.pem",
    ] {
        told += &format!("{}\n", refusal(url).await);
    }
    insta::assert_snapshot!(told);
}

#[tokio::test]
async fn a_later_or_foreign_schema_is_left_alone() {
    let Some(schema) = Schema::fresh() else {
        return;
    };
    drop(super::open(&schema.url()).await);
    schema.execute("INSERT INTO schema_version (version, checksum) VALUES (9, 'of tomorrow')");
    let error = refusal(&schema.url()).await;
    assert!(
        matches!(
            error,
            StoreError::TooNew {
                found: 9,
                known: 2,
                ..
            }
        ),
        "{error:?}"
    );
    schema.execute("DELETE FROM schema_version WHERE version = 9");
    write(
        &super::open(&schema.url()).await,
        append(task(1), vec![created()]),
    )
    .await;
    schema.execute("UPDATE schema_version SET checksum = 'another'");
    let changed = refusal(&schema.url()).await;
    schema.execute("DROP TABLE schema_version");
    let foreign = refusal(&schema.url()).await;
    for error in [changed, foreign] {
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn damage_is_an_error_and_never_data() {
    let Some(schema) = Schema::fresh() else {
        return;
    };
    let store = super::open(&schema.url()).await;
    write(
        &store,
        append(task(1), vec![created(), note("a"), note("b")]),
    )
    .await;
    for (damage, repair) in [
        (
            "UPDATE events SET seq = 7 WHERE seq = 2",
            "UPDATE events SET seq = 2 WHERE seq = 7",
        ),
        ("UPDATE tasks SET head = 4", "UPDATE tasks SET head = 3"),
        (
            "UPDATE tasks SET status = 'odd'",
            "UPDATE tasks SET status = 'running'",
        ),
        ("UPDATE events SET body = '{}' WHERE seq = 2", "SELECT 1"),
    ] {
        schema.execute(damage);
        let found = store.check().await;
        assert!(
            matches!(found, Err(StoreError::Corrupt { .. })),
            "{damage}: {found:?}"
        );
        schema.execute(repair);
    }
    schema.execute("DROP VIEW journal; DROP TABLE events");
    let written = store.append(vec![append(task(1), vec![note("c")])]).await;
    assert!(
        matches!(written, Err(StoreError::Corrupt { .. })),
        "{written:?}"
    );
    assert!(matches!(
        refusal(&schema.url()).await,
        StoreError::Corrupt { .. }
    ));
}

/// What a server says in each of its troubles, and what that means for whoever wants to write.
#[tokio::test]
async fn troubles_of_the_server_may_pass() {
    let Some(schema) = Schema::fresh() else {
        return;
    };
    let store = super::open(&schema.url()).await;
    write(&store, append(task(1), vec![created()])).await;
    let fails = |code: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'on purpose' USING ERRCODE = '{code}'; END $$;
             CREATE OR REPLACE TRIGGER trouble BEFORE INSERT ON events EXECUTE FUNCTION trouble()"
        )
    };
    for code in [
        "53100", "53200", "25006", "57014", "40001", "40P01", "55P03", "57P01",
    ] {
        schema.execute(&fails(code));
        let error = store.append(vec![append(task(1), vec![note("no")])]).await;
        let error = error.expect_err("it fails");
        assert!(error.may_pass(), "{code}: {error:?}");
        assert_eq!(code == "53100", matches!(error, StoreError::Full { .. }));
        assert_eq!(code == "55P03", matches!(error, StoreError::InUse { .. }));
        schema.execute("DROP TRIGGER trouble ON events");
        let written = write(&store, append(task(1), vec![note("yes")])).await;
        assert_eq!(written.len(), 1, "it goes on after {code}");
    }
    let head = store
        .task(task(1))
        .await
        .expect("task 1")
        .map(|row| row.head);
    assert_eq!(head, Some(9), "nothing of what failed is there");
    schema.execute("DELETE FROM writers");
    write(
        &store,
        append(task(1), vec![note("who was forgotten goes on")]),
    )
    .await;
    let read_only = format!(
        "{}&options=-cdefault_transaction_read_only=on",
        schema.url()
    );
    let told = refusal(&read_only).await.to_string();
    assert!(told.contains("read-only"), "{told}");
}

#[tokio::test]
async fn who_is_not_let_in_is_told_why() {
    let Some(schema) = Schema::fresh() else {
        return;
    };
    let host = schema.address();
    let mut told = String::new();
    for url in [
        format!("postgres://nobody:secret@{host}/postgres"),
        format!("postgres://nobody@{host}/postgres"),
        schema
            .server()
            .replace("/postgres", "/no_such_database")
            .replacen("postgres://", "postgresql://", 1),
        format!("{}?options=-csearch_path=nowhere", schema.server()),
    ] {
        let error = refusal(&url).await.to_string();
        told += &format!("{}\n", error.replace(host, "HOST"));
    }
    insta::assert_snapshot!(told);
}

/// Nothing is sent to a server that cannot show who it is.
#[tokio::test]
async fn an_encrypted_connection_is_to_a_known_server() {
    let authority = std::env::var("IMPRESARIO_TEST_POSTGRES_CA").unwrap_or_default();
    if authority.is_empty() {
        eprintln!("skipped: set IMPRESARIO_TEST_POSTGRES_CA to the file of its authority as well");
        return;
    }
    let Some(schema) = Schema::fresh() else {
        return;
    };
    let secure = |how: &str| format!("{}&sslmode=require{how}", schema.url());
    let known = secure(&format!("&sslrootcert={authority}"));
    let store = super::open(&known).await;
    write(&store, append(task(1), vec![created()])).await;
    drop(store);
    let unknown = refusal(&secure("")).await.to_string();
    assert!(
        unknown.contains("TLS") && unknown.contains("sslrootcert"),
        "{unknown}"
    );
    let other = schema.address().replace("127.0.0.1", "localhost");
    let other = refusal(&known.replace(schema.address(), &other)).await;
    let told = other.to_string();
    assert!(told.contains("not valid for name"), "{told}");
}

/// A schema that is in the search path already, and one with an odd name.
#[tokio::test]
async fn schemas_are_chosen_in_two_ways() {
    let Some(schema) = Schema::fresh() else {
        return;
    };
    write(
        &super::open(&schema.url()).await,
        append(task(1), vec![created()]),
    )
    .await;
    let by_path = format!(
        "{}?options=-csearch_path%3D{}",
        schema.server(),
        schema.name()
    );
    let store = super::open(&by_path).await;
    assert!(store.task(task(1)).await.expect("task 1").is_some());
    let odd = format!("{} \"Odd\"; x", schema.name());
    let url = format!(
        "{}?schema={}",
        schema.server(),
        odd.replace(' ', "%20").replace('"', "%22")
    );
    let options = Options::new(url.parse().expect("a URL"));
    let store = Postgres::open(options).await.expect("the store opens");
    write(&store, append(task(2), vec![created()])).await;
    drop(store);
    schema.execute(&format!(
        "DROP SCHEMA \"{}\" CASCADE",
        odd.replace('"', "\"\"")
    ));
}
