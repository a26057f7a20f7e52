//! Notices a poll that blocks its thread, from a thread of its own, and says whose poll it is.
//!
//! Whoever polls something of a child writes down, for the thread it does so on, whose it is; the watchdog looks at these notes a
//! few times within its limit. It sees the beginning of a poll at its first look at it, so it is late by one look at most.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either};

use crate::report::{About, Decision, Doing, Voice};

/// How often it looks within its limit.
const LOOKS: u32 = 8;

/// What one thread polls at the moment.
#[derive(Default)]
struct Place(Mutex<Polling>);

#[derive(Default)]
struct Polling {
    /// How often that has changed.
    count: u64,
    who: Option<(Arc<Who>, Doing)>,
}

impl Place {
    fn lock(&self) -> MutexGuard<'_, Polling> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down who is polled now; returns who was.
    fn change(&self, who: Option<(Arc<Who>, Doing)>) -> Option<(Arc<Who>, Doing)> {
        let mut polling = self.lock();
        polling.count += 1;
        std::mem::replace(&mut polling.who, who)
    }
}

struct Who {
    supervisor: Arc<str>,
    about: About,
}

type Places = Mutex<Vec<Weak<Place>>>;

/// The watchdog of one tree. Its thread ends when all copies are dropped.
pub(crate) struct Watchdog {
    /// Those that the thread has not seen yet.
    arrived: Arc<Places>,
    _alive: Sender<()>,
}

thread_local! {
    /// This thread's places, one for each watchdog that looks at it.
    static HERE: RefCell<Vec<(Weak<Watchdog>, Arc<Place>)>> = const { RefCell::new(Vec::new()) };
}

impl Watchdog {
    pub(crate) fn start(limit: Duration, voice: Voice) -> io::Result<Arc<Self>> {
        let (alive, end) = channel();
        let arrived = Arc::<Places>::default();
        let round = Round {
            limit,
            voice,
            arrived: arrived.clone(),
            places: Vec::new(),
        };
        std::thread::Builder::new()
            .name("watchdog".into())
            .spawn(move || round.walk(&end))?;
        let _alive = alive;
        Ok(Arc::new(Self { arrived, _alive }))
    }

    fn here(self: &Arc<Self>) -> Arc<Place> {
        HERE.with_borrow_mut(|here| {
            let mine = |(of, _): &&(Weak<Self>, _)| std::ptr::eq(of.as_ptr(), Arc::as_ptr(self));
            if let Some((_, place)) = here.iter().find(mine) {
                return place.clone();
            }
            here.retain(|(of, _)| of.strong_count() > 0);
            let place = Arc::<Place>::default();
            here.push((Arc::downgrade(self), place.clone()));
            let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
            arrived.push(Arc::downgrade(&place));
            place
        })
    }
}

/// One incarnation in a watchdog's sight, or in nobody's.
#[derive(Clone, Default)]
pub(crate) struct Sight(Option<(Arc<Watchdog>, Arc<Who>)>);

impl Sight {
    pub(crate) fn of(
        watchdog: Option<&Arc<Watchdog>>,
        supervisor: &Arc<str>,
        about: &About,
    ) -> Self {
        Self(watchdog.map(|watchdog| {
            let (supervisor, about) = (supervisor.clone(), about.clone());
            (watchdog.clone(), Arc::new(Who { supervisor, about }))
        }))
    }

    /// Writes down that it is being polled, until what is returned is dropped.
    pub(crate) fn polled(&self, doing: Doing) -> Option<Polled> {
        let (watchdog, who) = self.0.as_ref()?;
        let place = watchdog.here();
        let before = place.change(Some((who.clone(), doing)));
        Some(Polled { place, before })
    }

    /// The future, with every poll of it written down. In nobody's sight it is the future itself.
    pub(crate) fn watch<'a, F>(
        &'a self,
        doing: Doing,
        future: F,
    ) -> Either<F, BoxFuture<'a, F::Output>>
    where
        F: Future<Output: Send> + Send + 'a,
    {
        if self.0.is_none() {
            return Either::Left(future);
        }
        let mut future = Box::pin(future);
        let watched = poll_fn(move |cx| {
            let _polled = self.polled(doing);
            future.as_mut().poll(cx)
        });
        Either::Right(watched.boxed())
    }
}

impl Sight {
    /// The same for a future that outlives whoever looks.
    pub(crate) fn watch_whole<F>(
        self,
        doing: Doing,
        future: F,
    ) -> Either<F, BoxFuture<'static, F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        match self.0 {
            None => Either::Left(future),
            Some(_) => Either::Right(async move { self.watch(doing, future).await }.boxed()),
        }
    }
}

pub(crate) struct Polled {
    place: Arc<Place>,
    before: Option<(Arc<Who>, Doing)>,
}

impl Drop for Polled {
    fn drop(&mut self) {
        self.place.change(self.before.take());
    }
}

/// What the watchdog's thread knows.
struct Round {
    limit: Duration,
    voice: Voice,
    arrived: Arc<Places>,
    places: Vec<(Weak<Place>, Option<Seen>)>,
}

/// A poll that was under way at a look.
struct Seen {
    count: u64,
    who: Arc<Who>,
    doing: Doing,
    since: Instant,
    is_told: bool,
}

impl Round {
    fn walk(mut self, end: &Receiver<()>) {
        let pause = (self.limit / LOOKS).max(Duration::from_millis(1));
        let mut is_over = false;
        // Once more after the end: what was told of is told to its end.
        while !is_over {
            is_over = end.recv_timeout(pause) != Err(RecvTimeoutError::Timeout);
            let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
            self.places
                .extend(arrived.drain(..).map(|place| (place, None)));
            drop(arrived);
            self.look();
        }
    }

    fn look(&mut self) {
        #[expect(
            clippy::disallowed_methods,
            reason = "a blocked thread is a matter of real time, also where the runtime's time stands still"
        )]
        let now = Instant::now();
        let (limit, voice) = (self.limit, &self.voice);
        self.places.retain_mut(|(place, seen)| {
            let Some(place) = place.upgrade() else {
                seen.iter().for_each(|seen| seen.ended(now, voice));
                return false;
            };
            let polling = place.lock();
            let is_same = seen
                .as_ref()
                .is_some_and(|seen| seen.count == polling.count);
            let fresh = polling.who.clone().map(|(who, doing)| Seen {
                count: polling.count,
                who,
                doing,
                since: now,
                is_told: false,
            });
            drop(polling);
            if is_same {
                seen.iter_mut()
                    .for_each(|seen| seen.last(now, limit, voice));
            } else {
                let ended = std::mem::replace(seen, fresh);
                ended.iter().for_each(|seen| seen.ended(now, voice));
            }
            true
        });
    }
}

impl Seen {
    fn last(&mut self, now: Instant, limit: Duration, voice: &Voice) {
        let seen = now.saturating_duration_since(self.since);
        if seen >= limit && !self.is_told {
            self.is_told = true;
            let (about, doing) = (self.who.about.clone(), self.doing);
            voice.report(
                &self.who.supervisor,
                Decision::Blocked { about, doing, seen },
            );
        }
    }

    fn ended(&self, now: Instant, voice: &Voice) {
        if self.is_told {
            let (about, doing) = (self.who.about.clone(), self.doing);
            let seen = now.saturating_duration_since(self.since);
            voice.report(
                &self.who.supervisor,
                Decision::Unblocked { about, doing, seen },
            );
        }
    }
}
