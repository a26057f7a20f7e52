//! Between a store and its server: a line that breaks where it is told to.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// What happens to the next commit that comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The line breaks before the server hears of it.
    Lost,
    /// The line breaks before its answer comes back.
    Unanswered,
    /// The server never hears of it, and nobody is told.
    Stalled,
}

#[derive(Default)]
struct State {
    trouble: Mutex<Option<Trouble>>,
    /// How many connections are still to be broken off at once.
    refuse: AtomicU32,
    open: Mutex<Vec<TcpStream>>,
}

pub(super) struct Proxy {
    state: Arc<State>,
    pub(super) address: String,
}

const ASKED: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";
const ANSWERED: &[u8] = b"C\0\0\0\x0bCOMMIT\0";

impl Proxy {
    pub(super) fn before(server: &str) -> Self {
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
                for (from, to, sign) in [(&client, &server, ASKED), (&server, &client, ANSWERED)] {
                    let (from, to, proxy) = (copy(from), copy(to), proxy.clone());
                    std::thread::spawn(move || proxy.pump(from, to, sign));
                }
            }
        });
        Self { state, address }
    }

    /// Breaks every line there is.
    pub(super) fn cut(&self) {
        for line in self.state.open().drain(..) {
            let _ = line.shutdown(Shutdown::Both);
        }
    }

    /// Breaks off the next connections at once.
    pub(super) fn refuse(&self, connections: u32) {
        self.state.refuse.store(connections, Ordering::SeqCst);
    }

    pub(super) fn trouble(&self, trouble: Trouble) {
        *self.state.trouble.lock().expect("no panic") = Some(trouble);
    }

    /// Whether the last trouble has come to pass.
    pub(super) fn had_trouble(&self) -> bool {
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

    fn pump(&self, mut from: TcpStream, mut to: TcpStream, sign: &[u8]) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let bytes = &buffer[..count];
            let at = bytes.windows(sign.len()).position(|some| some == sign);
            let trouble = at.and_then(|at| Some((at, self.strikes(sign)?)));
            let bytes = trouble.map_or(bytes, |(at, _)| &bytes[..at]);
            if to.write_all(bytes).is_err() {
                break;
            }
            match trouble {
                Some((_, Trouble::Stalled)) => return,
                Some(_) => break,
                None => {}
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }

    /// The trouble that is due where this sign is seen.
    fn strikes(&self, sign: &[u8]) -> Option<Trouble> {
        let mut due = self.trouble.lock().expect("no panic");
        due.take_if(|trouble| (*trouble == Trouble::Unanswered) == (sign == ANSWERED))
    }
}
