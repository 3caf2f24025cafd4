//! Where to export to, see <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use crate::export::env::{Environment, InvalidSetting, millis, one_of, pairs};

/// The address of a collector, and what it expects.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) endpoint: Uri,
    pub(crate) protocol: Protocol,
    /// They may hold tokens, so the values are marked as sensitive.
    pub(crate) headers: HeaderMap,
    pub(crate) gzip: bool,
    /// How long an export may take, with everything that is tried again.
    pub(crate) timeout: Duration,
    /// The only authorities that are trusted, if any are named.
    pub(crate) authorities: Option<Vec<CertificateDer<'static>>>,
}

/// How to export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    HttpProtobuf,
}

impl Target {
    /// Nothing when no endpoint is set. A variable of the signal wins over the general one.
    pub(super) fn from_env(
        env: &Environment,
        signal: &str,
        path: &str,
    ) -> Result<Option<Self>, InvalidSetting> {
        let protocols =
            one_of(&[("grpc", Protocol::Grpc), ("http/protobuf", Protocol::HttpProtobuf)]);
        let protocol = env.parse_exporter(signal, "PROTOCOL", protocols)?;
        let headers = env.parse_exporter(signal, "HEADERS", header_map)?.unwrap_or_default();
        let compressions = one_of(&[("gzip", true), ("none", false)]);
        let gzip = env.parse_exporter(signal, "COMPRESSION", compressions)?.unwrap_or(false);
        let timeout = env.parse_exporter(signal, "TIMEOUT", millis)?;
        let timeout = timeout.unwrap_or(Duration::from_secs(10));
        let authorities = env.parse_exporter(signal, "CERTIFICATE", certificates)?;
        let base = env.parse("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)?;
        let own = env.parse(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"), endpoint)?;

        let whole = own.is_some();
        let Some(address) = own.or(base) else { return Ok(None) };
        let protocol = protocol.unwrap_or_else(|| Protocol::spoken_at(&address));
        let endpoint = match protocol {
            Protocol::HttpProtobuf if !whole => below(&address, path),
            _ => address, // that of a signal is used as it is, and gRPC has paths of its own
        };
        Ok(Some(Self { endpoint, protocol, headers, gzip, timeout, authorities }))
    }
}

impl Protocol {
    /// The specification's default was gRPC, and is HTTP now; people write either port and expect it
    /// to work. So the port decides: 4318 is that of HTTP.
    fn spoken_at(address: &Uri) -> Self {
        if address.port_u16() == Some(4318) { Self::HttpProtobuf } else { Self::Grpc }
    }
}

/// An URL, or `host:port`, which stands for `http://host:port`: both are written everywhere.
fn endpoint(text: &str) -> Result<Uri, &'static str> {
    let expected = "expected an address such as collector:4317 or https://collector:4318, \
        without user and password (those belong in OTEL_EXPORTER_OTLP_HEADERS)";
    let has_scheme = text.contains("://");
    let url = if has_scheme { text.to_owned() } else { format!("http://{text}") };
    let uri: Uri = url.parse().map_err(|_| expected)?;
    let usable = matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.authority().is_some_and(|authority| {
            let (host, port) = (authority.host(), authority.port_u16());
            // Without either, it would be port 80, where no collector listens.
            let no_port = authority.as_str() == host && has_scheme;
            !host.is_empty() && !text.contains('@') && (no_port || port.is_some_and(|p| p != 0))
        });
    usable.then_some(uri).ok_or(expected)
}

/// The path of a signal below the address of the collector.
fn below(base: &Uri, path: &str) -> Uri {
    let mut parts = base.clone().into_parts();
    let path = format!("{}{path}", base.path().trim_end_matches('/'));
    parts.path_and_query = Some(path.try_into().expect("two paths are a path"));
    parts.try_into().expect("it differs from an URI in its path only")
}

fn header_map(text: &str) -> Result<HeaderMap, &'static str> {
    let expected = "expected name=value,name=value with percent-encoded values of HTTP headers";
    let mut headers = HeaderMap::new();
    for (name, value) in pairs(text).map_err(|_| expected)? {
        let name = HeaderName::try_from(name).map_err(|_| expected)?;
        let mut value = HeaderValue::try_from(value).map_err(|_| expected)?;
        value.to_str().map_err(|_| expected)?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let expected = "expected a file with certificates in PEM";
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(format!("{expected}: it holds none")),
        Err(error) => Err(format!("{expected}: {error}")),
    }
}
