//! What is measured on every actor library, written once over [`Peer`].

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strategy {
    OneForOne,
    OneForAll,
}

/// What a supervisor is asked to run: `n` workers.
pub struct Spec<P: Peer> {
    pub strategy: Strategy,
    pub n: usize,
    pub env: Arc<Env<P>>,
}

pub enum Op {
    Tick,
    Panic,
    Fail,
    Forward(usize),
    Broadcast,
}

#[derive(Debug, Clone)]
pub struct Boom;

impl fmt::Display for Boom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("boom")
    }
}

impl std::error::Error for Boom {}

/// One actor library.
pub trait Peer: Sized + Send + Sync + 'static {
    type Ref: Clone + Send + Sync + 'static;
    type Sup: Send + 'static;

    fn spawn(worker: Worker<Self>) -> impl Future<Output = Self::Ref> + Send;
    fn cast(to: &Self::Ref, op: Op);
    /// A request; false if the actor is gone.
    fn ping(to: &Self::Ref) -> impl Future<Output = bool> + Send;
    fn supervise(spec: Spec<Self>) -> impl Future<Output = Self::Sup> + Send;
    fn shutdown(sup: Self::Sup) -> impl Future<Output = ()> + Send;
}

/// What the workers of one measure share.
pub struct Env<P: Peer> {
    left: AtomicUsize,
    to_start: AtomicUsize,
    alive: AtomicUsize,
    up: Option<mpsc::UnboundedSender<(usize, P::Ref)>>,
    routes: HashMap<usize, P::Ref>,
    done: Notify,
}

impl<P: Peer> Env<P> {
    fn starting(n: usize) -> Self {
        Self {
            left: 0.into(),
            to_start: n.into(),
            alive: 0.into(),
            up: None,
            routes: HashMap::new(),
            done: Notify::new(),
        }
    }

    async fn nobody_left(&self) {
        while self.alive.load(SeqCst) > 0 {
            tokio::time::sleep(Duration::from_micros(50)).await;
        }
    }
}

pub struct Worker<P: Peer> {
    id: usize,
    env: Arc<Env<P>>,
}

impl<P: Peer> Worker<P> {
    pub fn new(id: usize, env: &Arc<Env<P>>) -> Self {
        env.alive.fetch_add(1, SeqCst);
        let env = env.clone();
        Self { id, env }
    }

    /// The start hook.
    pub fn started(&mut self, me: &P::Ref) {
        if let Some(up) = &self.env.up {
            let _ = up.send((self.id, me.clone()));
        }
        if self.env.to_start.fetch_sub(1, SeqCst) == 1 {
            self.env.done.notify_one();
        }
    }

    /// The message handler.
    ///
    /// # Errors
    /// For [`Op::Fail`].
    pub fn handle(&mut self, op: Op) -> Result<(), Boom> {
        let env = &*self.env;
        match op {
            Op::Tick => {
                if env.left.fetch_sub(1, SeqCst) == 1 {
                    env.done.notify_one();
                }
            }
            Op::Panic => panic!("boom"),
            Op::Fail => return Err(Boom),
            Op::Forward(to) => P::cast(&env.routes[&to], Op::Tick),
            Op::Broadcast => env.routes.values().for_each(|to| P::cast(to, Op::Tick)),
        }
        Ok(())
    }
}

impl<P: Peer> Drop for Worker<P> {
    fn drop(&mut self) {
        self.env.alive.fetch_sub(1, SeqCst);
    }
}

pub fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("a number of pages") * 4096
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn spawn_n<P: Peer>(env: &Arc<Env<P>>, n: usize) -> Vec<P::Ref> {
    let mut refs = Vec::with_capacity(n);
    for id in 0..n {
        refs.push(P::spawn(Worker::new(id, env)).await);
    }
    env.done.notified().await;
    refs
}

/// Crash the middle of `n` children: microseconds until every replacement has started and the crashed one's answers a ping.
pub async fn restart<P: Peer>(strategy: Strategy, n: usize, how: fn() -> Op) -> f64 {
    let middle = n / 2;
    let again = if strategy == Strategy::OneForAll {
        n
    } else {
        1
    };
    let rounds = (20_000 / again).clamp(20, 2_000);
    let mut times = Vec::new();
    while times.len() < rounds {
        let (up, mut started) = mpsc::unbounded_channel();
        let mut env = Env::<P>::starting(0);
        env.up = Some(up);
        let env = Arc::new(env);
        let spec = Spec {
            strategy,
            n,
            env: env.clone(),
        };
        let sup = P::supervise(spec).await;
        let mut target = None;
        for _ in 0..n {
            let (id, worker) = started.recv().await.expect("a start");
            target = target.or((id == middle).then_some(worker));
        }
        let mut target = target.expect("the middle one");
        for _ in 0..rounds.min(100) {
            let begun = Instant::now();
            P::cast(&target, how());
            for _ in 0..again {
                let (id, worker) = started.recv().await.expect("a restart");
                target = if id == middle { worker } else { target };
            }
            assert!(P::ping(&target).await, "the replacement is gone");
            times.push(begun.elapsed().as_secs_f64() * 1e6);
        }
        P::shutdown(sup).await;
        env.nobody_left().await;
    }
    median(times)
}

/// Milliseconds to start a supervisor of `n` children, and to stop it in order.
pub async fn tree<P: Peer>(n: usize) -> (f64, f64, f64) {
    let before = resident();
    let env = Arc::new(Env::<P>::starting(n));
    let begun = Instant::now();
    let spec = Spec {
        strategy: Strategy::OneForOne,
        n,
        env: env.clone(),
    };
    let sup = P::supervise(spec).await;
    env.done.notified().await;
    let start = begun.elapsed().as_secs_f64() * 1e3;
    let bytes = resident().saturating_sub(before) as f64 / n as f64;
    let begun = Instant::now();
    P::shutdown(sup).await;
    env.nobody_left().await;
    (start, begun.elapsed().as_secs_f64() * 1e3, bytes)
}

/// Whom a router sends to, and how much.
pub const MAILBOXES: usize = 10_000;
pub const MESSAGES: usize = 500_000;

/// Microseconds for one message through a router to one of them, and for a broadcast to all of them.
pub async fn relay<P: Peer>() -> (f64, f64) {
    let env = Arc::new(Env::<P>::starting(MAILBOXES));
    let boxes = spawn_n(&env, MAILBOXES).await;
    let mut routes = Env::<P>::starting(1);
    routes.routes = boxes.into_iter().enumerate().collect();
    let router = spawn_n(&Arc::new(routes), 1).await.remove(0);
    env.left.store(MESSAGES, SeqCst);
    let begun = Instant::now();
    for n in 0..MESSAGES {
        P::cast(&router, Op::Forward(n * 7919 % MAILBOXES));
        if n % 512 == 511 {
            // A bounded inbox wants a sender that lets others have a turn.
            tokio::task::yield_now().await;
        }
    }
    env.done.notified().await;
    let relayed = begun.elapsed().as_secs_f64() * 1e6 / MESSAGES as f64;
    let mut times = Vec::new();
    for _ in 0..50 {
        env.left.store(MAILBOXES, SeqCst);
        let begun = Instant::now();
        P::cast(&router, Op::Broadcast);
        env.done.notified().await;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    (relayed, median(times))
}
