//! Connections to other servers, encrypted where an address says https.

use std::{sync::Arc, time::Duration};

use ::http::{Uri, Version};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer};

/// How long a connection may take, to leave time for another try.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes connections, by http and https.
pub type Connector = HttpsConnector<HttpConnector>;

/// Connects to a server, which speaks this version of HTTP: 2, or else 1.1. Trusts the authorities that
/// are named, and nobody else; or else the public ones, which are compiled in because an image need
/// not hold any, and those of the machine (`SSL_CERT_FILE`, `SSL_CERT_DIR`).
pub fn connector(
    server: &Uri,
    version: Version,
    authorities: Option<&[CertificateDer<'static>]>,
) -> Result<Connector, rustls::Error> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(authorities) => {
            for authority in authorities {
                roots.add(authority.clone())?;
            }
        }
        None if server.scheme_str() == Some("https") => {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        None => {}
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false); // the TLS layer above it asks for https
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_nodelay(true);
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    Ok(match version {
        Version::HTTP_2 => builder.enable_http2().wrap_connector(tcp),
        _ => builder.enable_http1().wrap_connector(tcp),
    })
}
