//! Connections to a collector, encrypted when its address says https.

use std::sync::Arc;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{ClientConfig, RootCertStore, crypto::ring};

use super::{
    settings::{Protocol, Target},
    transport::CONNECT_TIMEOUT,
};

/// Connects by http and https. Trusts the authorities that are named, and nobody else; or else the
/// public ones, which are compiled in because an image need not hold any, and those of the machine
/// (`SSL_CERT_FILE`, `SSL_CERT_DIR`).
pub(super) fn connector(target: &Target) -> Result<HttpsConnector<HttpConnector>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    match &target.authorities {
        Some(authorities) => {
            for authority in authorities {
                roots.add(authority.clone())?;
            }
        }
        None if target.endpoint.scheme_str() == Some("https") => {
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
    Ok(match target.protocol {
        Protocol::Grpc => builder.enable_http2().wrap_connector(tcp),
        Protocol::HttpProtobuf => builder.enable_http1().wrap_connector(tcp),
    })
}
