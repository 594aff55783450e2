//! A proxy in front of a PostgreSQL server that cuts its connections at a chosen moment of a commit.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// The statement, as the client sends it.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";
/// The answer to it.
const COMMITTED: &[u8] = b"C\0\0\0\x0bCOMMIT\0";

const PASS: u8 = 0;

/// When to cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Cut {
    /// The next COMMIT does not reach the server.
    BeforeCommit = 1,
    /// The answer to the next COMMIT does not reach the client.
    BeforeAnswer = 2,
    /// The answer to the next COMMIT never comes, and the connection stays open.
    SilenceForAnswer = 3,
}

/// A proxy; it lives as long as the process.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    cut: Arc<AtomicU8>,
}

impl Proxy {
    pub(crate) fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Arc::<AtomicU8>::default();
        let shared = Arc::clone(&cut);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                // Where the server is gone, so is the client.
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                let pair = || (client.try_clone().unwrap(), server.try_clone().unwrap());
                let ((from, to), there) = (pair(), Arc::clone(&shared));
                std::thread::spawn(move || pass((from, to), COMMIT, &there, &[Cut::BeforeCommit]));
                let ((to, from), back) = (pair(), Arc::clone(&shared));
                let cuts = &[Cut::BeforeAnswer, Cut::SilenceForAnswer];
                std::thread::spawn(move || pass((from, to), COMMITTED, &back, cuts));
            }
        });
        Self { port, cut }
    }

    /// Cuts at the next commit.
    pub(crate) fn arm(&self, cut: Cut) {
        self.cut.store(cut as u8, Ordering::SeqCst);
    }

    /// Whether the cut has happened.
    pub(crate) fn has_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst) == PASS
    }
}

fn pass((mut from, mut to): (TcpStream, TcpStream), what: &[u8], cut: &AtomicU8, cuts: &[Cut]) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut buffer).unwrap_or(0);
        let is_it = buffer[..count].windows(what.len()).any(|it| it == what);
        let is_armed = |kind: &&Cut| {
            cut.compare_exchange(**kind as u8, PASS, Ordering::SeqCst, Ordering::SeqCst).is_ok()
        };
        let now = if is_it { cuts.iter().find(is_armed) } else { None };
        if now == Some(&Cut::SilenceForAnswer) {
            // Until the client closes it.
            let _ = to.read(&mut buffer);
        }
        if now.is_some() || count == 0 || to.write_all(&buffer[..count]).is_err() {
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
    }
}
