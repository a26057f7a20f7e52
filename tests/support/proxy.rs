//! Between a store and its database, or a client and its node: a line that breaks where it is told to.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// What happens to a commit that comes by, or to the transaction that would end with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The line breaks before the server hears that a transaction begins.
    Unbegun,
    /// The line breaks before the server hears of it.
    Lost,
    /// The line breaks before its answer comes back.
    Unanswered,
    /// The server never hears of it, and nobody is told.
    Stalled,
    /// The line breaks before the answer comes back that says that something was made.
    Made,
}

#[derive(Default)]
struct State {
    /// With the commits that still come by before it.
    trouble: Mutex<Option<(u32, Trouble)>>,
    /// How many connections are still to be broken off at once.
    refuse: AtomicU32,
    /// How many will be, after the trouble.
    after: AtomicU32,
    open: Mutex<Vec<TcpStream>>,
}

pub(crate) struct Proxy {
    state: Arc<State>,
    pub(crate) address: String,
}

impl Trouble {
    /// What it happens at, and whether that is said to the server and not by it.
    fn sign(self) -> (&'static [u8], bool) {
        match self {
            Self::Unbegun => (b"Q\0\0\0\x0aBEGIN\0", true),
            Self::Lost | Self::Stalled => (b"Q\0\0\0\x0bCOMMIT\0", true),
            Self::Unanswered => (b"C\0\0\0\x0bCOMMIT\0", false),
            Self::Made => (b"HTTP/1.1 201", false),
        }
    }
}

impl Proxy {
    pub(crate) fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (state, server) = (Arc::new(State::default()), server.to_owned());
        let proxy = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if proxy.refuses() {
                    continue;
                }
                let server = TcpStream::connect(&server).expect("the server");
                proxy.open().extend([copy(&client), copy(&server)]);
                for (from, to, asks) in [(&client, &server, true), (&server, &client, false)] {
                    let (from, to, proxy) = (copy(from), copy(to), proxy.clone());
                    std::thread::spawn(move || proxy.pump(from, to, asks));
                }
            }
        });
        Self { state, address }
    }

    /// Breaks every line there is.
    pub(crate) fn cut(&self) {
        for line in self.state.open().drain(..) {
            let _ = line.shutdown(Shutdown::Both);
        }
    }

    /// Breaks off the next connections at once.
    pub(crate) fn refuse(&self, connections: u32) {
        self.state.refuse.store(connections, Ordering::SeqCst);
    }

    /// What happens to the `nth` commit from now on.
    pub(crate) fn trouble(&self, nth: u32, trouble: Trouble) {
        *self.state.trouble.lock().expect("no panic") = Some((nth, trouble));
    }

    /// Breaks off so many connections once the trouble has come to pass.
    pub(crate) fn refuse_after(&self, connections: u32) {
        self.state.after.store(connections, Ordering::SeqCst);
    }

    /// Whether the last trouble has come to pass.
    pub(crate) fn had_trouble(&self) -> bool {
        self.state.trouble.lock().expect("no panic").is_none()
    }
}

fn copy(line: &TcpStream) -> TcpStream {
    line.try_clone().expect("another handle")
}

impl State {
    fn open(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().expect("no panic")
    }

    fn refuses(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        let (set, get) = (Ordering::SeqCst, Ordering::SeqCst);
        self.refuse.fetch_update(set, get, less).is_ok()
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream, asks: bool) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let bytes = &buffer[..count];
            let struck = self.strikes(bytes, asks);
            let bytes = struck.map_or(bytes, |(at, _)| &bytes[..at]);
            if to.write_all(bytes).is_err() {
                break;
            }
            match struck {
                Some((_, Trouble::Stalled)) => return,
                Some(_) => break,
                None => {}
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }

    /// The trouble that is due somewhere in these bytes.
    fn strikes(&self, bytes: &[u8], asks: bool) -> Option<(usize, Trouble)> {
        let mut due = self.trouble.lock().expect("no panic");
        let (nth, trouble) = due.as_mut()?;
        let (sign, is_asked) = trouble.sign();
        let mut places = bytes.windows(sign.len());
        let at = places.position(|some| is_asked == asks && some == sign)?;
        *nth -= 1;
        let (_, trouble) = due.take_if(|(nth, _)| *nth == 0)?;
        let more = self.after.swap(0, Ordering::SeqCst);
        self.refuse.fetch_add(more, Ordering::SeqCst);
        Some((at, trouble))
    }
}
