//! TLS: private lines, certificates of both sides, certificates that change, and everything that may go wrong with them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dhakira::client::{Client, Credentials};
use dhakira::server::{Limits, ServeOptions, Tls, TlsFiles, TokenFile, Tokens};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use tokio::io::AsyncReadExt as _;

use crate::command_line::{code, json, run, stderr};
use crate::support::{TestServer, empty_api};

/// Somebody who vouches for others.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    /// Certificate and key.
    fn vouch_for(&self, names: &[&str]) -> (Vec<u8>, Vec<u8>) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.subject_alt_names.push(SanType::IpAddress("127.0.0.1".parse().unwrap()));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem().into_bytes(), key.serialize_pem().into_bytes())
    }
}

fn files(directory: &Path, client_ca: bool) -> TlsFiles {
    let file = |name: &str| directory.join(name);
    TlsFiles {
        certificate: file("cert.pem"),
        key: file("key.pem"),
        client_ca: client_ca.then(|| file("ca.pem")),
    }
}

fn write(directory: &Path, (certificate, key): &(Vec<u8>, Vec<u8>)) {
    std::fs::write(directory.join("cert.pem"), certificate).unwrap();
    std::fs::write(directory.join("key.pem"), key).unwrap();
}

/// A server with a certificate of an authority for clients and servers alike.
struct Secure {
    directory: tempfile::TempDir,
    authority: Authority,
    server: TestServer,
    reload: Arc<tokio::sync::Notify>,
}

impl Secure {
    async fn start(mutual: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        write(directory.path(), &authority.vouch_for(&["localhost"]));
        std::fs::write(directory.path().join("ca.pem"), authority.pem()).unwrap();
        let options = ServeOptions {
            tls: Some(Arc::new(Tls::open(files(directory.path(), mutual)).unwrap())),
            limits: Limits { handshake_time: Duration::from_millis(400), ..Limits::default() },
            ..ServeOptions::default()
        };
        let reload = options.reload.clone();
        let server = TestServer::with_options(empty_api(), options).await;
        Self { directory, authority, server, reload }
    }

    fn url(&self) -> String {
        format!("https://{}", self.server.address())
    }

    fn credentials(&self) -> Credentials {
        Credentials { ca: Some(self.authority.pem()), ..Credentials::default() }
    }

    async fn works(&self, credentials: &Credentials) -> Result<(), String> {
        works(&self.url(), credentials).await
    }
}

async fn works(url: &str, credentials: &Credentials) -> Result<(), String> {
    let mut client =
        Client::connect_with(url, credentials).await.map_err(|error| error.to_string())?;
    client.list_memories().await.map(drop).map_err(|error| format!("{error} {error:?}"))
}

#[tokio::test]
async fn a_certificate_that_somebody_known_vouches_for_is_enough_and_needed() {
    let secure = Secure::start(false).await;
    secure.works(&secure.credentials()).await.unwrap();
    let stranger = Credentials { ca: Some(Authority::new().pem()), ..Credentials::default() };
    let refused = secure.works(&stranger).await.unwrap_err();
    assert!(refused.contains("invalid peer certificate"), "{refused}");
    let by_system = secure.works(&Credentials::default()).await.unwrap_err();
    assert!(by_system.contains("certificate"), "{by_system}");
    // Plain text to a port with TLS: nothing gets through, and the caller hears that soon.
    let plain = format!("http://{}", secure.server.address());
    let refused = works(&plain, &Credentials::default()).await.unwrap_err();
    assert!(
        refused.contains("Unavailable")
            || refused.contains("Unknown")
            || refused.contains("no Dhakira"),
        "{refused}"
    );
    secure.works(&secure.credentials()).await.unwrap();
}

#[tokio::test]
async fn tls_to_a_port_without_is_told_apart() {
    let server = TestServer::start().await;
    let url = format!("https://{}", server.address());
    let credentials = Credentials { ca: Some(Authority::new().pem()), ..Credentials::default() };
    works(&url, &credentials).await.unwrap_err();
    works(&server.url, &Credentials::default()).await.unwrap();
}

#[tokio::test]
async fn clients_without_a_certificate_or_with_a_wrong_one_are_turned_away() {
    let secure = Secure::start(true).await;
    let with = |identity| Credentials { identity, ..secure.credentials() };
    secure.works(&with(Some(secure.authority.vouch_for(&["client"])))).await.unwrap();
    secure.works(&with(None)).await.unwrap_err();
    secure.works(&with(Some(Authority::new().vouch_for(&["client"])))).await.unwrap_err();
}

#[tokio::test]
async fn certificates_change_while_the_server_runs_and_bad_ones_change_nothing() {
    let secure = Secure::start(false).await;
    let old = secure.credentials();
    let mut long = Client::connect_with(&secure.url(), &old).await.unwrap();
    long.list_memories().await.unwrap();
    let next = Authority::new();
    let new = Credentials { ca: Some(next.pem()), ..Credentials::default() };
    // A certificate without its key, then no certificate at all: those from before go on.
    let (certificate, key) = next.vouch_for(&["localhost"]);
    for bad in [certificate.clone(), b"nothing".to_vec()] {
        std::fs::write(secure.directory.path().join("cert.pem"), bad).unwrap();
        secure.reload.notify_one();
        tokio::time::sleep(Duration::from_millis(300)).await;
        secure.works(&old).await.unwrap();
    }
    write(secure.directory.path(), &(certificate, key));
    secure.reload.notify_one();
    let begin = Instant::now();
    while let Err(error) = secure.works(&new).await {
        assert!(begin.elapsed() < Duration::from_secs(20), "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    secure.works(&old).await.unwrap_err();
    // Connections that are there go on.
    long.list_memories().await.unwrap();
}

#[tokio::test]
async fn who_connects_and_says_nothing_is_let_go() {
    let secure = Secure::start(false).await;
    let mut silent = tokio::net::TcpStream::connect(secure.server.address()).await.unwrap();
    let mut byte = [0];
    let ended = tokio::time::timeout(Duration::from_secs(20), silent.read(&mut byte)).await;
    assert!(matches!(ended.unwrap(), Ok(0) | Err(_)));
    secure.works(&secure.credentials()).await.unwrap();
}

#[tokio::test]
async fn tokens_go_over_tls() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    write(directory.path(), &authority.vouch_for(&["localhost"]));
    let file = TokenFile::new(directory.path().join("tokens.json"));
    let grants = dhakira::grpc::access::Grants(vec!["reader:*".parse().unwrap()]);
    let (token, _) = file.create("t", grants, None).unwrap();
    let options = ServeOptions {
        tls: Some(Arc::new(Tls::open(files(directory.path(), false)).unwrap())),
        tokens: Some(Arc::new(Tokens::open(file).unwrap())),
        ..ServeOptions::default()
    };
    let server = TestServer::with_options(empty_api(), options).await;
    let url = format!("https://{}", server.address());
    let mut credentials = Credentials { ca: Some(authority.pem()), ..Credentials::default() };
    let refused = works(&url, &credentials).await.unwrap_err();
    assert!(refused.contains("requires a token"), "{refused}");
    credentials.token = Some(token);
    works(&url, &credentials).await.unwrap();
}

#[tokio::test]
async fn a_certificate_is_somebody_with_a_role() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    write(directory.path(), &authority.vouch_for(&["localhost"]));
    std::fs::write(directory.path().join("ca.pem"), authority.pem()).unwrap();
    let file = TokenFile::new(directory.path().join("tokens.json"));
    let grants = |text: &str| dhakira::grpc::access::Grants(vec![text.parse().unwrap()]);
    let (known, other) = (authority.vouch_for(&["box"]), authority.vouch_for(&["other"]));
    std::fs::write(directory.path().join("box.pem"), &known.0).unwrap();
    let admit = |certificate: &str| {
        let admit =
            ["tokens", "create", "box", "--grant", "reader:*", "--certificate", certificate];
        run(directory.path(), &[&admit[..], &["--tokens-file", "tokens.json", "--json"]].concat())
    };
    let refused = admit("tokens.json");
    assert!(code(&refused) == 1 && stderr(&refused).contains("tokens.json"), "{refused:?}");
    let admitted = admit("box.pem");
    assert_eq!(code(&admitted), 0, "{}", stderr(&admitted));
    let shown = json(&admitted);
    assert!(shown["certificate_sha256"].is_string() && shown["token"].is_null(), "{shown}");
    assert_eq!(code(&admit("box.pem")), 1, "a certificate is one somebody");
    let (token, _) = file.create("t", grants("reader:*"), None).unwrap();
    let options = ServeOptions {
        tls: Some(Arc::new(Tls::open(files(directory.path(), true)).unwrap())),
        tokens: Some(Arc::new(Tokens::open(file.clone()).unwrap())),
        ..ServeOptions::default()
    };
    let server = TestServer::with_options(empty_api(), options).await;
    let url = format!("https://{}", server.address());
    let with = |identity, token: Option<&str>| Credentials {
        ca: Some(authority.pem()),
        identity: Some(identity),
        token: token.map(str::to_owned),
    };
    works(&url, &with(known.clone(), None)).await.unwrap();
    let nobody = works(&url, &with(other.clone(), None)).await.unwrap_err();
    assert!(nobody.contains("requires a token"), "{nobody}");
    works(&url, &with(other, Some(&token))).await.unwrap();
    // It may do what its role may, and no more.
    let mut client = Client::connect_with(&url, &with(known.clone(), None)).await.unwrap();
    let denied = client.compact(0, &mut |_| ()).await.unwrap_err();
    assert!(format!("{denied} {denied:?}").contains("requires the role admin"), "{denied:?}");
    file.revoke("box").unwrap();
    let begin = Instant::now();
    while works(&url, &with(known.clone(), None)).await.is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(20), "it is still let in");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn files_that_are_no_good_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let fault = |directory: &Path| Tls::open(files(directory, true)).unwrap_err().to_string();
    let missing = fault(directory.path());
    assert!(missing.contains("ca.pem"), "{missing}");
    let authority = Authority::new();
    std::fs::write(directory.path().join("ca.pem"), authority.pem()).unwrap();
    let (certificate, _) = authority.vouch_for(&["a"]);
    let (_, other_key) = authority.vouch_for(&["b"]);
    write(directory.path(), &(certificate.clone(), b"no key".to_vec()));
    let no_key = fault(directory.path());
    assert!(no_key.contains("key.pem") && no_key.contains("private key"), "{no_key}");
    write(directory.path(), &(certificate, other_key));
    let not_together = fault(directory.path());
    assert!(not_together.contains("cert.pem"), "{not_together}");
}
