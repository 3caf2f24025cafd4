//! Redis with TLS, and a certificate that its owner has signed.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use emojivoto_e2e::free_ports;

use crate::{outages::vote, redis::Redis, suite::voting};

#[tokio::test]
async fn redis_may_be_encrypted() {
    let mut authority = CertificateParams::new(vec![]).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key"));
    let authority = authority.expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])
        .and_then(|parameters| parameters.signed_by(&key, &authority))
        .expect("a certificate");

    let directory = tempfile::tempdir().expect("a folder");
    let file = |name: &str, content: String| {
        let path = directory.path().join(name);
        fs::write(&path, content).expect("a file");
        path.to_str().expect("a path").to_owned()
    };
    let authority = file("ca.pem", authority.pem());
    let [port] = free_ports().map(|port| port.to_string());
    let _redis = Redis::start(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &file("cert.pem", certificate.pem()),
        "--tls-key-file",
        &file("key.pem", key.serialize_pem()),
        "--tls-ca-cert-file",
        &authority,
        "--tls-auth-clients",
        "no",
    ])
    .await;

    let url = format!("rediss://localhost:{port}");
    let svc = voting(&url, &[("SSL_CERT_FILE", &authority)]);
    svc.becomes(true).await;
    vote(&svc).await.expect("a vote");

    // Nobody else is trusted.
    let mut svc = voting(&url, &[]);
    let line = svc.run.line("not ready: votes cannot be stored");
    assert!(line.contains("UnknownIssuer"), "{line}");
}
