//! `dhakira certs`: what it makes is accepted by clients, for the hosts that were named and no others; and certificates that clients
//! would refuse are refused by the server.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use dhakira::client::{Client, Credentials};
use dhakira::server::{ServeOptions, Tls, TlsFiles};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

use crate::command_line::{code, run, stderr, stdout};
use crate::support::{TestServer, empty_api};

fn tls(directory: &Path) -> Result<Tls, String> {
    let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    Tls::open(TlsFiles { certificate, key, client_ca: None }).map_err(|error| error.to_string())
}

/// Why a client that trusts the authority of a directory cannot call its server at a host.
async fn call(directory: &Path, host: &str) -> Result<(), String> {
    let tls = Some(Arc::new(tls(directory).unwrap()));
    let options = ServeOptions { tls, ..ServeOptions::default() };
    let server = TestServer::with_options(empty_api(), options).await;
    let ca = Some(std::fs::read(directory.join("ca.pem")).unwrap());
    let credentials = Credentials { ca, ..Credentials::default() };
    let (_, port) = server.address().rsplit_once(':').unwrap();
    let url = format!("https://{host}:{port}");
    let client = Client::connect_with(&url, &credentials).await;
    let mut client = client.map_err(|error| error.to_string())?;
    client.list_memories().await.map(drop).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_accept_what_it_makes_for_the_hosts_that_were_named() {
    let directory = tempfile::tempdir().unwrap();
    let create = |hosts: &[&str], more: &[&str]| {
        let hosts = hosts.iter().flat_map(|host| ["--host", host]);
        let words: Vec<&str> =
            ["certs", "create", "--output", "new/certs"].into_iter().chain(hosts).collect();
        run(directory.path(), &[&words[..], more].concat())
    };
    let made = create(&["127.0.0.1", "localhost"], &[]);
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    let next = stdout(&made);
    let serve = "dhakira serve --tls-cert new/certs/cert.pem --tls-key new/certs/key.pem\n";
    let client = "dhakira memories --server https://127.0.0.1:50051 --ca-file new/certs/ca.pem\n";
    assert_eq!(next, [serve, client].concat());
    let certs = directory.path().join("new/certs");
    let mode = std::fs::metadata(certs.join("key.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    call(&certs, "127.0.0.1").await.unwrap();
    call(&certs, "localhost").await.unwrap();

    let old_key = std::fs::read(certs.join("key.pem")).unwrap();
    let again = create(&["tm.example.org"], &[]);
    assert_eq!(code(&again), 1);
    assert!(stderr(&again).contains("--force"), "{}", stderr(&again));
    assert_eq!(std::fs::read(certs.join("key.pem")).unwrap(), old_key);
    assert_eq!(code(&create(&["tm.example.org", "::1"], &["--force", "--days", "2"])), 0);
    let other_host = call(&certs, "127.0.0.1").await.unwrap_err();
    assert!(other_host.contains("certificate"), "{other_host}");
    for (hosts, more) in [
        (&["https://tm.example.org"][..], &[][..]),
        (&["tm.example.org:50051"], &[]),
        (&["a"], &["--days", "826"]),
        (&[], &[]),
    ] {
        assert_eq!(code(&create(hosts, more)), 2, "{hosts:?} {more:?}");
    }
}

/// The certificate of an authority, self-signed, as `openssl req -x509` makes it.
#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_of_an_authority_is_refused_with_the_way_out() {
    let directory = tempfile::tempdir().unwrap();
    let write = |is_ca| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.is_ca = is_ca;
        let certificate = params.self_signed(&key).unwrap().pem();
        std::fs::write(directory.path().join("cert.pem"), &certificate).unwrap();
        std::fs::write(directory.path().join("ca.pem"), &certificate).unwrap();
        std::fs::write(directory.path().join("key.pem"), key.serialize_pem()).unwrap();
    };
    write(IsCa::Ca(BasicConstraints::Unconstrained));
    let refused = tls(directory.path()).unwrap_err();
    let way_out = ["cert.pem: ", "CA:TRUE", "openssl req -x509", "dhakira certs create"];
    assert!(way_out.iter().all(|it| refused.contains(it)), "{refused}");
    let serve = ["serve", "--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let output = run(directory.path(), &serve);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("dhakira certs create"), "{}", stderr(&output));
    // Self-signed and not an authority: clients that name it with --ca-file accept it.
    write(IsCa::NoCa);
    call(directory.path(), "localhost").await.unwrap();
}
