//! A proxy in front of a PostgreSQL server that cuts its connections: at a chosen moment of an append, or all of them.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The statement, as the client sends it.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";
/// The answer to it.
const COMMITTED: &[u8] = b"C\0\0\0\x0bCOMMIT\0";
/// What only a connection that appends to the commit log sends.
const APPENDS: &[u8] = b"INSERT INTO log (";

const PASS: u8 = 0;

/// When to cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Cut {
    /// The next COMMIT of an append does not reach the server.
    BeforeCommit = 1,
    /// The answer to it does not reach the client.
    BeforeAnswer = 2,
    /// The answer to it never comes, and the connection stays open.
    SilenceForAnswer = 3,
}

/// A proxy; it lives as long as the process.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    cut: AtomicU8,
    /// What goes through it; `None` while nothing may.
    open: Mutex<Option<Vec<Weak<TcpStream>>>>,
}

/// One of its connections.
struct Connection {
    client: Arc<TcpStream>,
    server: Arc<TcpStream>,
    gate: Arc<Gate>,
    /// Whether it has appended to the log.
    appends: AtomicBool,
}

impl Proxy {
    pub(crate) fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let gate = Gate { cut: AtomicU8::new(PASS), open: Mutex::new(Some(Vec::new())) };
        let gate = Arc::new(gate);
        let shared = Arc::clone(&gate);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = Arc::new(client.unwrap());
                // Where the server is gone, so is the client.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", to))
                    && shared.admits(&client)
                {
                    // What it passes on must not wait for an acknowledgement of what it passed on before.
                    for stream in [&*client, &server] {
                        let _ = stream.set_nodelay(true);
                    }
                    let (server, gate) = (Arc::new(server), Arc::clone(&shared));
                    let appends = AtomicBool::new(false);
                    Connection { client, server, gate, appends }.run();
                }
            }
        });
        Self { port, gate }
    }

    /// Cuts at the next append.
    pub(crate) fn arm(&self, cut: Cut) {
        self.gate.cut.store(cut as u8, Ordering::SeqCst);
    }

    /// Cuts no more.
    pub(crate) fn disarm(&self) {
        self.gate.cut.store(PASS, Ordering::SeqCst);
    }

    /// Whether the cut has happened.
    pub(crate) fn has_cut(&self) -> bool {
        self.gate.cut.load(Ordering::SeqCst) == PASS
    }

    /// Ends all connections, and lets none through.
    pub(crate) fn close(&self) {
        let open = self.gate.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        for stream in open.into_iter().flatten().filter_map(|it| it.upgrade()) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn open(&self) {
        let mut open = self.gate.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get_or_insert_default();
    }
}

impl Gate {
    fn admits(&self, client: &Arc<TcpStream>) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = open.as_mut() else { return false };
        open.retain(|it| it.strong_count() > 0);
        open.push(Arc::downgrade(client));
        true
    }
}

impl Connection {
    fn run(self) {
        let this = Arc::new(self);
        let back = Arc::clone(&this);
        std::thread::spawn(move || {
            this.pass((&this.client, &this.server), COMMIT, &[Cut::BeforeCommit])
        });
        let cuts = &[Cut::BeforeAnswer, Cut::SilenceForAnswer];
        std::thread::spawn(move || back.pass((&back.server, &back.client), COMMITTED, cuts));
    }

    fn pass(&self, (mut from, mut to): (&TcpStream, &TcpStream), what: &[u8], cuts: &[Cut]) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = from.read(&mut buffer).unwrap_or(0);
            let has = |what: &[u8]| buffer[..count].windows(what.len()).any(|it| it == what);
            if has(APPENDS) {
                self.appends.store(true, Ordering::SeqCst);
            }
            let is_it = self.appends.load(Ordering::SeqCst) && has(what);
            let cut = &self.gate.cut;
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
}
