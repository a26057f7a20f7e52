//! The program as a node: what it does at its start, what it survives, and how it ends.
//!
//! These tests wait for the program in the test's own thread; what they ask it over HTTP goes on in the others.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use insta::assert_snapshot;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::settings::child;
use super::{Answer, client};
use crate::support::program::{Program, Ran, impresario, run};

/// `lead` waits for what `helper` says, who says it after `latency`.
fn team(latency: &str) -> String {
    format!(
        r#"
[providers.quick]
kind = "scripted"
latency = "1ms"
[providers.quick.scripts]
lead = [ {{ say = "I ask.", call = "create_run", args = {{ agent = "helper", input = "the part" }} }}, {{ say = "All: {{{{last}}}}" }} ]
[providers.held]
kind = "scripted"
latency = "{latency}"
[providers.held.scripts]
helper = [ {{ say = "The part." }} ]
[agents.lead]
provider = "quick"
tools = ["create_run"]
[agents.helper]
provider = "held"
[teams.pair]
lead = "lead"
members = ["helper"]
"#
    )
}

/// A folder with a file and a data folder, which outlive the node on them.
struct Site {
    folder: TempDir,
    client: Client,
}

/// A node at work.
struct Node<'s> {
    site: &'s Site,
    program: Program,
    url: String,
    key: String,
}

impl Site {
    fn new(file: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let site = Self {
            folder,
            client: client(),
        };
        site.write(file);
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, file: &str) {
        // In one step: a node that looks at the wrong moment would find half of it.
        std::fs::write(self.path("new.toml"), file).expect("written");
        std::fs::rename(self.path("new.toml"), self.path("node.toml")).expect("renamed");
    }

    fn command(&self) -> std::process::Command {
        let mut command = impresario();
        command
            .arg("serve")
            .arg(self.path("node.toml"))
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(self.path("data"));
        command
    }

    fn start(&self) -> Node<'_> {
        let mut program = Program::start(&mut self.command());
        let line = program.line_with("serving on ");
        let url = line.split_whitespace().nth(2).expect("a URL");
        let key = std::fs::read_to_string(self.path("data/admin.key")).expect("a key");
        Node {
            site: self,
            program,
            url: url.trim_end_matches(';').to_owned(),
            key: key.trim().to_owned(),
        }
    }

    /// What it says when it cannot begin, with the paths of this test named.
    fn refused(&self, command: &mut std::process::Command) -> String {
        let Ran {
            status,
            stdout,
            stderr,
        } = run(command);
        assert_eq!(stdout, "");
        let code = status.code().expect("an exit code");
        format!("{code}\n{}", self.plain(&stderr))
    }

    fn plain(&self, text: &str) -> String {
        text.replace(&text_of(self.folder.path()), "SITE")
    }
}

fn text_of(path: &Path) -> String {
    path.display().to_string()
}

impl Node<'_> {
    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.program.id().cast_signed()).expect("a process");
        kill_process(pid, signal).expect("it is there");
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .site
            .client
            .request(method, format!("{}{path}", self.url));
        request.bearer_auth(&self.key)
    }

    async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).send().await).await
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Answer {
        Answer::of(self.request(method, path).json(&body).send().await).await
    }

    async fn begin(&self) -> String {
        let body = json!({ "description": "the whole", "team": "pair" });
        let made = self.send(Method::POST, "/v1/tasks", body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
        made.body["id"].as_str().expect("an id").to_owned()
    }

    async fn stream(&self, task: &str, after: usize) -> Response {
        let path = format!("/v1/tasks/{task}/events?private=true&after={after}");
        let response = self.request(Method::GET, &path).send().await;
        response.expect("a stream")
    }

    /// Stops it as a service's keeper does; what it said.
    fn stop(self) -> String {
        self.signal(Signal::TERM);
        let Ran { status, stderr, .. } = self.program.end();
        assert_eq!(status.code(), Some(0), "{stderr}");
        stderr
    }
}

/// The events of a stream as they came, up to where it broke off or this was among them.
async fn events(mut response: Response, last: &str) -> Vec<String> {
    let mut text = String::new();
    while !text.contains(last) {
        match response.chunk().await {
            Ok(Some(chunk)) => text += str::from_utf8(&chunk).expect("text"),
            Ok(None) | Err(_) => break,
        }
    }
    let whole = text.rfind("\n\n").map_or("", |end| &text[..end]);
    let blocks = whole.split("\n\n").filter(|block| block.contains("id: "));
    blocks.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_goes_on_and_its_streams_where_they_were() {
    let site = Site::new(&team("1h"));
    let node = site.start();
    let task = node.begin().await;
    let mode = std::fs::metadata(site.path("data/admin.key")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    let patch = json!({ "max_concurrent_workers": 3 });
    node.send(Method::PATCH, "/v1/config", patch).await;
    let before = held(node.stream(&task, 0).await).await;
    node.signal(Signal::KILL);
    let killed = node.program.end();
    assert!(killed.was_killed());

    // The same definition, and a provider that answers now.
    site.write(&team("1ms"));
    let node = site.start();
    let after = events(node.stream(&task, before.len()).await, "never").await;
    let all = events(node.stream(&task, 0).await, "never").await;
    assert_eq!([before, after].concat(), all);
    assert!(all.last().unwrap().contains("event: task_completed"));
    let ended = node.get(&format!("/v1/tasks/{task}")).await;
    assert_eq!(ended.body["status"], "completed");
    let config = node.get("/v1/config").await;
    assert_eq!(config.body["max_concurrent_workers"], 3);
    let said = node.stop();
    let key = std::fs::read_to_string(site.path("data/admin.key")).unwrap();
    assert!(!(killed.stderr + &said).contains(key.trim()));
}

/// The events up to the model call of the helper.
async fn held(mut response: Response) -> Vec<String> {
    let mut text = String::new();
    let is_held = |text: &str| {
        let mut blocks = text.split("\n\n");
        blocks.any(|it| {
            it.contains("event: model_call_started") && it.contains("\"agent\":\"helper\"")
        }) && text.ends_with("\n\n")
    };
    while !is_held(&text) {
        let chunk = response.chunk().await.expect("it goes on").expect("more");
        text += str::from_utf8(&chunk).expect("text");
    }
    let blocks = text.split("\n\n").filter(|block| block.contains("id: "));
    blocks.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_told_to_stop_says_goodbye_to_its_streams() {
    let site = Site::new(&team("1h"));
    let node = site.start();
    let task = node.begin().await;
    let mut stream = node.stream(&task, 0).await;
    let first = stream.chunk().await.expect("it goes on").expect("an event");
    assert!(!first.is_empty());
    let (said, rest) = tokio::join!(
        tokio::task::spawn_blocking({
            node.signal(Signal::TERM);
            move || node_end(node.program)
        }),
        stream.text()
    );
    let rest = rest.expect("an orderly end");
    assert!(
        rest.ends_with(": the node is stopping: connect again\n\n"),
        "{rest}"
    );
    assert_snapshot!("stopped", plain_log(&site.plain(&said.unwrap())));
}

fn node_end(program: Program) -> String {
    let Ran { status, stderr, .. } = program.end();
    assert_eq!(status.code(), Some(0), "{stderr}");
    stderr
}

/// The lines for people.
fn plain_log(stderr: &str) -> String {
    let port = regex::Regex::new(r"127\.0\.0\.1:\d+").expect("a pattern");
    let lines = stderr.lines().filter(|line| !line.starts_with("20"));
    let lines: Vec<_> = lines.collect();
    port.replace_all(&lines.join("\n"), "ADDRESS").into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_is_started_again_on_the_same_address() {
    let site = Site::new(&team("1h"));
    let node = site.start();
    let body = json!({ "path": "node/http" });
    let killed = node.send(Method::POST, "/v1/supervision/kill", body).await;
    assert_eq!(killed.status, StatusCode::ACCEPTED);
    let mut life = Value::Null;
    while life != 2 {
        let tree = node.get("/v1/supervision").await;
        life = child(&tree.body, "node/http").expect("it is known")["incarnation"].clone();
    }
    // A connection of its own, and not one that the server before had taken.
    let anew = Client::new().get(format!("{}/healthz", node.url));
    assert_eq!(anew.send().await.unwrap().status(), StatusCode::OK);
    node.stop();
}

#[test]
fn what_cannot_begin_says_why_and_starts_nothing() {
    let site = Site::new("[agents.a]\nprovider = 'nowhere'\n[nodes]\n");
    assert_snapshot!("bad_file", site.refused(&mut site.command()));
    assert!(!site.path("data").exists());
    site.write(&team("1h"));
    let mut elsewhere = site.command();
    elsewhere.args(["--store", "mysql://x"]);
    assert_snapshot!("bad_store", site.refused(&mut elsewhere));
    let node = site.start();
    let pid = node.program.id().to_string();
    let second = site.refused(&mut site.command());
    let since = regex::Regex::new(r"\d{4}-\d\d-\d\dT[0-9:]+Z").expect("a pattern");
    let second = since.replace_all(&second, "TIME").replace(&pid, "PID");
    assert_snapshot!("second_node", second);
    let other = Site::new(&team("1h"));
    let mut taken = impresario();
    let address = node.url.trim_start_matches("http://");
    taken
        .args(["serve", "--listen", address, "--data-dir"])
        .arg(other.path("data"));
    assert_snapshot!(
        "address_in_use",
        other.refused(&mut taken).replace(address, "ADDRESS")
    );
    node.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_loaded_again_for_new_tasks_and_a_bad_one_changes_nothing() {
    let site = Site::new(&team("1h"));
    let mut node = site.start();
    let running = node.begin().await;
    assert_eq!(
        node.get("/v1/config").await.body["last_reload"],
        Value::Null
    );

    let more = "[pools]\nworkers = 7\n[agents.late]\nprovider = 'new'\n[providers.new]\nkind = 'scripted'\nscripts = { late = [{ say = 'Quickly done.' }] }\n";
    site.write(&(team("1h") + more));
    node.signal(Signal::HUP);
    node.program.wait_for("is in force");
    let config = node.get("/v1/config").await.body;
    assert_eq!(
        (
            &config["last_reload"]["ok"],
            &config["max_concurrent_workers"]
        ),
        (&json!(true), &json!(7))
    );
    let late = json!({ "description": "quickly", "root_agent": "late" });
    assert_eq!(
        node.send(Method::POST, "/v1/tasks", late.clone())
            .await
            .status,
        StatusCode::CREATED
    );
    let running = node.get(&format!("/v1/tasks/{running}")).await;
    assert_eq!(running.body["status"], "running");

    site.write(
        &(team("1h") + more + "[agents.bad]\nprovider = 'quik'\n[teams.x]\nlead = 'nobody'\n"),
    );
    node.signal(Signal::HUP);
    node.program.wait_for("unknown agent");
    let config = node.get("/v1/config").await;
    assert_snapshot!("reload_refused", super::plain(&site.plain(&config.told())));
    assert_eq!(
        node.send(Method::POST, "/v1/tasks", late).await.status,
        StatusCode::CREATED
    );
    assert_eq!(
        node.get("/v1/agents/bad").await.status,
        StatusCode::NOT_FOUND
    );

    // Without being told.
    site.write(&(team("1h") + "[node]\nname = 'other'\n"));
    node.program.wait_for("`node.name` has changed");
    assert_eq!(
        node.get("/v1/agents/late").await.status,
        StatusCode::NOT_FOUND
    );
    node.stop();
}
