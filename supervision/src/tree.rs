//! A picture of a whole tree at one moment, for pages, people and tests.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join_all};
use tokio::sync::oneshot;

use crate::exit::Exit;
use crate::health::Step;
use crate::restart::{ChildState, Hold, Incarnation, Target};
use crate::shell::{Message, Port, Row, port};
use crate::spec::Kind;
use crate::supervisor::SupervisorHandle;

/// One child and, if it is a supervisor, everything below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Its path from the root.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Which life of it this is.
    pub incarnation: Incarnation,
    /// What it is doing.
    pub state: ChildState,
    /// Restarts of it within its supervisor's period.
    pub restarts: usize,
    /// How its last incarnation ended, with the cause.
    pub last_exit: Option<Exit>,
    /// What its restart waits for.
    pub hold: Option<Hold>,
    /// The last step against it, if it hangs.
    pub step: Option<Step>,
    /// What it has under way, where it declares that and is [watched](crate::spec::Plan::hang).
    pub under_way: Vec<Arc<str>>,
    /// Since its last progress with that.
    pub since_progress: Option<Duration>,
    /// Waiting messages and how many may wait.
    pub inbox: Option<(usize, usize)>,
    /// Its children in start order.
    pub children: Vec<Tree>,
    /// Whether a supervisor did not answer in time; its children are then unknown.
    pub silent: bool,
}

/// What `count_children` counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Children that are known.
    pub specs: usize,
    /// Children that are up.
    pub active: usize,
    /// Supervisors among the known ones.
    pub supervisors: usize,
    /// Workers among the known ones.
    pub workers: usize,
}

impl Tree {
    /// The node at this path, below or at this one.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Self> {
        if self.path == path {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(path))
    }

    /// The node and all below it, in the order in which they are drawn.
    pub fn iter(&self) -> impl Iterator<Item = &Self> {
        let mut rest = vec![self];
        std::iter::from_fn(move || {
            let node = rest.pop()?;
            rest.extend(node.children.iter().rev());
            Some(node)
        })
    }

    /// Counts its own children.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let is = |kind| {
            self.children
                .iter()
                .filter(|child| child.kind == kind)
                .count()
        };
        Counts {
            specs: self.children.len(),
            active: self
                .children
                .iter()
                .filter(|child| child.state.is_active())
                .count(),
            supervisors: is(Kind::Supervisor),
            workers: is(Kind::Worker),
        }
    }

    fn draw(&self, f: &mut fmt::Formatter<'_>, above: &str, depth: usize) -> fmt::Result {
        let name = self
            .path
            .strip_prefix(above)
            .map_or(&*self.path, |name| name.trim_start_matches('/'));
        write!(f, "{:indent$}{name}", "", indent = depth * 2)?;
        write!(f, " {:?} #{}", self.state, self.incarnation)?;
        if self.silent {
            write!(f, " (silent)")?;
        }
        if let Some(hold) = &self.hold {
            write!(f, " (waits for {hold})")?;
        }
        if let Some(step) = self.step {
            write!(f, " (hangs: {step:?})")?;
        }
        if !self.under_way.is_empty() {
            write!(f, " ({})", self.under_way.join(", "))?;
        }
        if let Some((waiting, _)) = self.inbox.filter(|(waiting, _)| *waiting > 0) {
            write!(f, " ({waiting} waiting)")?;
        }
        if let Some(exit) = &self.last_exit {
            write!(f, " (last: {exit})")?;
        }
        writeln!(f)?;
        let mut children = self.children.iter();
        children.try_for_each(|child| child.draw(f, &self.path, depth + 1))
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.draw(f, "", 0)
    }
}

impl SupervisorHandle {
    /// The tree below this supervisor. One that does not answer within `patience` is shown as silent.
    pub async fn tree(&self, name: &str, patience: Duration) -> Tree {
        let root = node(
            name.to_owned(),
            Kind::Supervisor,
            Incarnation(1),
            ChildState::Running,
        );
        match port(&self.seat).filter(|_| self.exit().is_none()) {
            Some(port) => with_children(root, port, patience).await,
            None => Tree {
                state: ChildState::Stopped,
                last_exit: self.exit(),
                ..root
            },
        }
    }

    /// Kills the descendant at this path below the supervisor (`tasks/…/room`), as a fault; its supervisor then does what it does.
    /// Whether there was one to kill.
    pub async fn kill_at(&self, path: &str) -> bool {
        let mut at = port(&self.seat);
        let mut parts = path.split('/').peekable();
        while let (Some(supervisor), Some(part)) = (at.take(), parts.next()) {
            let (reply, answer) = oneshot::channel();
            supervisor.tell(Message::Rows(reply));
            let rows = answer.await.unwrap_or_default();
            let Some(row) = rows.into_iter().find(|row| row.row.id.as_str() == part) else {
                return false;
            };
            if parts.peek().is_none() {
                let (reply, answer) = oneshot::channel();
                supervisor.tell(Message::Kill(Target::Key(row.row.key), reply));
                return answer.await.unwrap_or(false);
            }
            at = row.port;
        }
        false
    }

    /// Counts the supervisor's own children, as OTP's `count_children`.
    pub async fn count_children(&self) -> Counts {
        self.tree("", Duration::from_secs(5)).await.counts()
    }
}

fn node(path: String, kind: Kind, incarnation: Incarnation, state: ChildState) -> Tree {
    Tree {
        path,
        kind,
        incarnation,
        state,
        restarts: 0,
        last_exit: None,
        hold: None,
        step: None,
        under_way: Vec::new(),
        since_progress: None,
        inbox: None,
        children: Vec::new(),
        silent: false,
    }
}

fn with_children(mut root: Tree, port: Port, patience: Duration) -> BoxFuture<'static, Tree> {
    async move {
        let (reply, answer) = oneshot::channel();
        port.tell(Message::Rows(reply));
        let rows = match tokio::time::timeout(patience, answer).await {
            Ok(Ok(rows)) => rows,
            Ok(Err(_)) => {
                root.state = ChildState::Down;
                return root;
            }
            Err(_) => {
                root.silent = true;
                return root;
            }
        };
        root.children =
            join_all(rows.into_iter().map(|row| child(&root.path, row, patience))).await;
        root
    }
    .boxed()
}

async fn child(above: &str, row: Row, patience: Duration) -> Tree {
    let Row {
        row,
        inbox,
        port,
        under_way,
        since_progress,
    } = row;
    let path = format!("{above}/{}", row.id);
    let tree = Tree {
        restarts: row.restarts,
        last_exit: row.last_exit,
        hold: row.hold,
        step: row.step,
        under_way,
        since_progress,
        inbox,
        ..node(path, row.kind, row.incarnation, row.state)
    };
    match port {
        Some(port) => with_children(tree, port, patience).await,
        None => tree,
    }
}
