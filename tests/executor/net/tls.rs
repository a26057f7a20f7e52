//! Over TLS: the node's name and certificate are looked at before the key is sent.

use std::path::Path;
use std::process::{Command, Stdio};

use super::super::stage::Stage;
use super::node::KEY;
use crate::support::program::{Program, Ran, impresario};

/// Takes one connection, says the port and then what it was asked, and answers that it is of another version.
const SERVER: &str = r#"
import socket, ssl, sys
door = socket.create_server(("127.0.0.1", 0))
print(door.getsockname()[1], flush=True)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("cert.pem", "key.pem")
try:
    wire = context.wrap_socket(door.accept()[0], server_side=True)
    asked = wire.recv(65536).decode()
    print("asked with a key" if "Bearer ek_" in asked else asked, flush=True)
    wire.sendall(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n")
    wire.close()
except ssl.SSLError as error:
    print("no handshake", flush=True)
"#;

/// A certificate for `localhost` alone; nothing where there is no `openssl`.
fn certificate(folder: &Path) -> Option<()> {
    let mut openssl = Command::new("openssl");
    let made = openssl
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args([
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
            "-subj",
            "/CN=localhost",
        ])
        .args(["-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    made.is_ok_and(|status| status.success()).then_some(())
}

/// What the program and the server say, with what the program takes for an authority.
fn connected(stage: &Stage, authority: &Path) -> (Program, Ran) {
    let mut server = Command::new("python3");
    server.args(["-c", SERVER]).current_dir(stage.path());
    let mut server = Program::start(&mut server);
    let port = server.line();
    let mut command = impresario();
    command
        .args(["connect", "--url", &format!("https://localhost:{port}")])
        .arg("--root")
        .arg(stage.root())
        .arg("--state-dir")
        .arg(stage.state())
        .env("SSL_CERT_FILE", authority)
        .env("IMPRESARIO_EXECUTOR_KEY", KEY);
    let mut program = Program::start(&mut command);
    program.wait_for("the node");
    (program, server.end())
}

#[test]
fn the_key_goes_to_a_node_that_is_who_it_says_and_to_no_other() {
    let stage = Stage::new();
    let has_python = Command::new("python3").arg("--version").output().is_ok();
    if !has_python || certificate(stage.path()).is_none() {
        eprintln!("skipped: there is no python3 or no openssl here");
        return;
    }
    let (program, server) = connected(&stage, &stage.path().join("cert.pem"));
    let said = program.end();
    assert_eq!(said.code(), Some(3), "{said:?}");
    assert!(said.stderr.contains("of another version"), "{said:?}");
    assert!(server.stdout.contains("asked with a key"), "{server:?}");

    let other = Stage::new();
    certificate(other.path()).expect("a certificate");
    let (program, server) = connected(&stage, &other.path().join("cert.pem"));
    drop(program);
    assert!(server.stdout.contains("no handshake"), "{server:?}");
}
