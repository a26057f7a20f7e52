//! A wire that can be cut.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// A wire to an address. Each byte that goes through it, in either direction, counts.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    wire: Arc<Wire>,
    _carrying: JoinSet<()>,
}

#[derive(Default)]
struct Wire {
    /// How many more bytes go through before the next cut.
    left: AtomicI64,
    /// How many cuts are to come, and after how many bytes each.
    cuts: Mutex<(usize, i64)>,
    done: AtomicUsize,
    /// How many bytes have gone through.
    carried: AtomicUsize,
    now: Notify,
}

impl Wire {
    /// How many of these bytes go through, and whether the wire is cut then.
    fn take(&self, bytes: usize) -> (usize, bool) {
        let mut cuts = self.cuts.lock().unwrap();
        let bytes_wanted = i64::try_from(bytes).unwrap();
        let left = self.left.fetch_sub(bytes_wanted, Ordering::SeqCst);
        if cuts.0 == 0 || left > bytes_wanted {
            self.carried.fetch_add(bytes, Ordering::SeqCst);
            return (bytes, false);
        }
        cuts.0 -= 1;
        self.left.store(cuts.1, Ordering::SeqCst);
        self.done.fetch_add(1, Ordering::SeqCst);
        (usize::try_from(left).unwrap_or(0).min(bytes), true)
    }
}

impl Proxy {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Arc::<Wire>::default();
        let mut carrying = JoinSet::new();
        let own = listener.local_addr().unwrap();
        carrying.spawn(accept(listener, address, wire.clone()));
        Self {
            address: own,
            wire,
            _carrying: carrying,
        }
    }

    /// Cuts whatever connection there is after so many more bytes, and so many times.
    pub(crate) fn cut_after(&self, bytes: usize, times: usize) {
        let bytes = i64::try_from(bytes).unwrap();
        let mut cuts = self.wire.cuts.lock().unwrap();
        *cuts = (times, bytes);
        self.wire.left.store(bytes, Ordering::SeqCst);
    }

    /// Cuts whatever connection there is at once, even if nobody says anything.
    pub(crate) fn cut_now(&self) {
        self.wire.done.fetch_add(1, Ordering::SeqCst);
        self.wire.now.notify_waiters();
    }

    /// How many cuts have been made.
    pub(crate) fn cuts(&self) -> usize {
        self.wire.done.load(Ordering::SeqCst)
    }

    /// How many bytes have gone through.
    pub(crate) fn carried(&self) -> usize {
        self.wire.carried.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, address: SocketAddr, wire: Arc<Wire>) {
    let mut connections = JoinSet::new();
    loop {
        let (near, _) = listener.accept().await.unwrap();
        let wire = wire.clone();
        connections.spawn(async move {
            if let Ok(far) = TcpStream::connect(address).await {
                near.set_nodelay(true).unwrap();
                far.set_nodelay(true).unwrap();
                carry(near, far, &wire).await;
            }
        });
    }
}

/// Until either end, or a cut, which both ends feel at once.
async fn carry(mut near: TcpStream, mut far: TcpStream, wire: &Wire) {
    let (mut there, mut back) = ([0; 512], [0; 512]);
    loop {
        let (bytes, to) = tokio::select! {
            () = wire.now.notified() => return,
            read = near.read(&mut there) => (read.map(|n| &there[..n]), &mut far),
            read = far.read(&mut back) => (read.map(|n| &back[..n]), &mut near),
        };
        let Ok(bytes @ [_, ..]) = bytes else { return };
        let (through, is_cut) = wire.take(bytes.len());
        if to.write_all(&bytes[..through]).await.is_err() || is_cut {
            return;
        }
    }
}
