//! Where the mistakes are made: memories, files of all kinds, and servers that are not what they should be.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use dhakira::server::{ServeOptions, Tls, TlsFiles, TokenFile, Tokens};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType,
    date_time_ymd,
};

use crate::command_line::{code, run, stderr};
use crate::crash::Process;
use crate::support::{TestServer, empty_api};

const SMALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/small.tsv");

pub(super) struct World {
    directory: tempfile::TempDir,
    /// Names in the tables, and what they are in this run.
    names: Vec<(String, String)>,
    _process: Process,
    _servers: Vec<TestServer>,
}

impl World {
    pub(super) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        files(root);
        for memory in ["mine", "law"] {
            let words = ["import", "--memory", memory, SMALL];
            for data in ["dhakira-data", "served"] {
                let made = run(root, &[&words[..], &["--data", data]].concat());
                assert_eq!(code(&made), 3, "{}", stderr(&made));
            }
        }
        let process = Process::start(&root.join("served"));
        let mut names = vec![
            ("[DIR]".to_owned(), root.display().to_string()),
            ("[PID]".to_owned(), process.child.id().to_string()),
        ];
        let mut servers = Vec::new();
        let mut add = |name: &str, address: &str| {
            let (_, port) = address.rsplit_once(':').unwrap();
            names.push((format!("[{name}-PORT]"), port.to_owned()));
        };
        add("PLAIN", process.url.trim_start_matches("http://"));
        for (name, options) in secure_servers(root).into_iter().chain([access(root)]) {
            let server = TestServer::with_options(empty_api(), options).await;
            add(name, server.address());
            servers.push(server);
        }
        let metrics = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        add("METRICS", &metrics.local_addr().unwrap().to_string());
        let options = ServeOptions { http: Some(metrics), ..ServeOptions::default() };
        servers.push(TestServer::with_options(empty_api(), options).await);
        add(
            "HTTP",
            &other_program("HTTP/1.0 404 File not found\r\nServer: SimpleHTTP\r\n\r\n<html>"),
        );
        add("SSH", &other_program("SSH-2.0-OpenSSH_9.6\r\n"));
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        add("CLOSED", &closed.to_string());
        Self { directory, names, _process: process, _servers: servers }
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A word of a table with what its names are in this run.
    pub(super) fn filled(&self, word: &str) -> String {
        let names = self.names.iter();
        names.fold(word.to_owned(), |word, (name, value)| word.replace(name, value))
    }

    /// A message with the names in place of what they are.
    pub(super) fn named(&self, message: &str) -> String {
        let names = self.names.iter();
        names.fold(message.to_owned(), |message, (name, value)| message.replace(value, name))
    }
}

/// Something that answers every connection with the same bytes.
fn other_program(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            // Whoever goes away first does not matter.
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

/// A server that requires a token.
fn access(root: &Path) -> (&'static str, ServeOptions) {
    let file = TokenFile::new(root.join("tokens.json"));
    let grants = |text: &str| dhakira::grpc::access::Grants(vec![text.parse().unwrap()]);
    let (reader, _) = file.create("reader", grants("reader:*"), None).unwrap();
    fs::write(root.join("reader.token"), reader).unwrap();
    let (gone, _) = file.create("gone", grants("reader:*"), None).unwrap();
    fs::write(root.join("revoked.token"), gone).unwrap();
    file.revoke("gone").unwrap();
    let tokens = Some(Arc::new(Tokens::open(file).unwrap()));
    ("TOKENS", ServeOptions { tokens, ..ServeOptions::default() })
}

/// Servers with TLS: right, expired, self-signed, for another host, for clients with certificates.
fn secure_servers(root: &Path) -> Vec<(&'static str, ServeOptions)> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "an authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::write(root.join("ca.pem"), authority.pem()).unwrap();
    let params = |host: &str| {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        if host == "localhost" {
            params.subject_alt_names.push(SanType::IpAddress("127.0.0.1".parse().unwrap()));
        }
        params
    };
    let write = |name: &str, certificate: String, key: &KeyPair| {
        let file = |kind: &str| root.join(format!("{name}-{kind}.pem"));
        fs::write(file("cert"), certificate).unwrap();
        fs::write(file("key"), key.serialize_pem()).unwrap();
        TlsFiles { certificate: file("cert"), key: file("key"), client_ca: None }
    };
    let key = KeyPair::generate().unwrap();
    let signed = |params: CertificateParams| params.signed_by(&key, &authority).unwrap().pem();
    let mut expired = params("localhost");
    expired.not_before = date_time_ymd(2020, 1, 1);
    expired.not_after = date_time_ymd(2021, 1, 1);
    let mut early = params("localhost");
    early.not_before = date_time_ymd(2096, 1, 1);
    early.not_after = date_time_ymd(2097, 1, 1);
    let self_signed = params("localhost").self_signed(&key).unwrap().pem();
    let known = write("server", signed(params("localhost")), &key);
    let mutual = TlsFiles { client_ca: Some(root.join("ca.pem")), ..known.clone() };
    let files = [
        ("TLS", known),
        ("EXPIRED", write("expired", signed(expired), &key)),
        ("EARLY", write("early", signed(early), &key)),
        ("SELF-SIGNED", write("self-signed", self_signed, &key)),
        ("OTHER-HOST", write("other", signed(params("tm.example.org")), &key)),
        ("MUTUAL", mutual),
    ];
    let options = |files| {
        let tls = Some(Arc::new(Tls::open(files).unwrap()));
        ServeOptions { tls, ..ServeOptions::default() }
    };
    files.map(|(name, files)| (name, options(files))).into()
}

/// Files that are not what they should be.
fn files(root: &Path) {
    let write = |name: &str, bytes: &[u8]| fs::write(root.join(name), bytes).unwrap();
    fs::copy(SMALL, root.join("small.tsv")).unwrap();
    write("empty.tmx", b"");
    write("columns.tsv", b"one\ttwo\nx\ty\n");
    write("words.txt", b"just a line\nand another one\n");
    write("page.html", b"<html><body>x</body></html>");
    write("binary.tmx", &[0, 159, 146, 150, 0, 1, 2, 3, 255, 254, 0]);
    write("broken.tmx", b"<?xml version=\"1.0\"?>\n<tmx version=\"1.4\"><header srclang=\"ar\"/><body>\n<tu><tuv xml:lang=\"ar\"><seg>x</seg>");
    write("french.tmx", b"<?xml version=\"1.0\"?>\n<tmx version=\"1.4\"><header srclang=\"fr\" datatype=\"plaintext\" segtype=\"sentence\" o-tmf=\"x\" adminlang=\"en\" creationtool=\"x\" creationtoolversion=\"1\"/><body>\n<tu><tuv xml:lang=\"fr\"><seg>oui</seg></tuv><tuv xml:lang=\"de\"><seg>ja</seg></tuv></tu>\n</body></tmx>\n");
    write("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01");
    write("document.pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n");
    write("latin1.tsv", b"ar\ten\nx\tcaf\xe9\n");
    write("cut.tmx.gz", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b]);
    write("rows.tsv", "ar\ten\n\u{643}\u{62a}\u{627}\u{628}\n".as_bytes());
    write("long.tsv", format!("ar\ten\n{}\ty\n", "x".repeat(1 << 20)).as_bytes());
    write("taken.tmx", b"something else");
    write("settings.toml", b"lisen = \"127.0.0.1:1\"\n");
    write("bad.toml", b"listen = \n");
    write("not-a-certificate.pem", b"hello\n");
    write("file", b"not a directory\n");
    write("job.txt", b"Save the changes\n");
    fs::create_dir(root.join("empty-folder")).unwrap();
    fs::create_dir(root.join("not-data")).unwrap();
    write("not-data/notes.txt", b"x");
}
