//! Risk: the password of the database, and every text, is sent to somebody else.

use std::fs;
use std::path::Path;
use std::time::Duration;

use dhakira::store::{Realm, RealmOptions, StoreError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::support::postgres::Postgres;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Gives a running server a certificate.
fn encrypt(postgres: &Postgres, authority: &Authority, host: &str) {
    let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    postgres.primary.write_file("server.crt", &certificate.pem());
    postgres.primary.write_file("server.key", &key.serialize_pem());
    postgres.primary.sql("postgres", "ALTER SYSTEM SET ssl = on");
    postgres.primary.sql("postgres", "SELECT pg_reload_conf()");
    postgres.primary.wait_for("postgres", "SHOW ssl", "on");
    // It loads the files a moment after it is told to.
    std::thread::sleep(Duration::from_millis(500));
}

fn options(postgres: &Postgres, database: &str, parameters: &str) -> RealmOptions {
    let known = postgres.options(database);
    let port = postgres.primary.port;
    let url = format!("postgres://dhakira@127.0.0.1:{port}/{database}?{parameters}");
    RealmOptions { url: url.parse().unwrap(), ..known }
}

fn write(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_database_is_verified_as_its_address_says() {
    let Some(postgres) = Postgres::start(0) else { return };
    let database = postgres.database();
    Realm::init(&postgres.options(&database), "test").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (ours, foreign) = (authority(), authority());
    let root = write(directory.path(), "ours.pem", &ours.pem());
    let wrong = write(directory.path(), "foreign.pem", &foreign.pem());
    let connect = |parameters: &str| Realm::connect(options(&postgres, &database, parameters));
    let encrypted = |parameters: &str| connect(parameters).unwrap().mode().unwrap().encrypted;
    // The server does not encrypt yet.
    assert!(!encrypted("sslmode=prefer") && !encrypted("sslmode=disable"));
    let error = connect("sslmode=require").err().unwrap();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    encrypt(&postgres, &ours, "127.0.0.1");
    assert!(encrypted("") && encrypted("sslmode=require"));
    assert!(encrypted(&format!("sslmode=verify-full&sslrootcert={root}")));
    assert!(!encrypted("sslmode=disable"));
    for mode in ["require", "verify-ca", "verify-full"] {
        let error = connect(&format!("sslmode={mode}&sslrootcert={wrong}")).err().unwrap();
        assert!(error.to_string().contains("certificate"), "{mode}: {error}");
    }
    // The name of another host is wrong for verify-full alone.
    encrypt(&postgres, &ours, "elsewhere.example");
    assert!(encrypted(&format!("sslmode=verify-ca&sslrootcert={root}")));
    let error = connect(&format!("sslmode=verify-full&sslrootcert={root}")).err().unwrap();
    assert!(error.to_string().contains("certificate"), "{error}");
    for (parameters, expected) in [
        ("sslmode=verify-full&sslrootcert=%2Fnowhere.pem", "/nowhere.pem"),
        ("sslmode=require&sslcert=a.pem", "go together"),
    ] {
        let error = connect(parameters).err().unwrap();
        assert!(matches!(error, StoreError::Refused { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}
