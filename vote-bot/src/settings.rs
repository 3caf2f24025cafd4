//! What the vote bot can be told.

use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

use clap::Args;
use http::{
    HeaderValue, Uri,
    uri::{Authority, PathAndQuery, Scheme},
};

/// The settings of vote-bot.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Address of web: host:port, or a URL with http:// or https://
    #[arg(long, env)]
    pub web_host: WebHost,

    /// How, and how long, to vote.
    #[command(flatten)]
    pub voting: VotingSettings,
}

/// How, and how long, to vote.
#[derive(Debug, Clone, Args)]
pub struct VotingSettings {
    /// Value of the Host header, if it should differ from that of WEB_HOST
    #[arg(long, env, value_parser = host_override)]
    pub host_override: Option<HeaderValue>,

    /// Votes per second
    #[arg(long, env, default_value = "1", value_parser = request_rate)]
    pub request_rate: f64,

    /// Seconds after which the bot ends; 0, or nothing at all: never
    #[arg(long, env, value_parser = ttl)]
    pub ttl: Option<Duration>,

    /// Number that makes the bot pick the same emoji each time it runs
    #[arg(long, env, value_parser = seed)]
    pub seed: Option<u64>,
}

impl VotingSettings {
    /// Whether, and after how long, the bot ends.
    pub(crate) fn time_to_live(&self) -> Option<Duration> {
        self.ttl.filter(|ttl| !ttl.is_zero())
    }
}

/// Where web is: `web-svc:80`, `http://web:8080`, `https://emojivoto.example`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebHost {
    scheme: Scheme,
    authority: Authority,
}

/// The text does not say where web is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected host:port or an http:// or https:// URL without a path, such as web-svc:80")]
pub struct InvalidWebHost;

impl WebHost {
    /// The address of something below web. `path` is a path with, perhaps, a query.
    pub(crate) fn uri(&self, path: &str) -> Result<Uri, http::Error> {
        let path: PathAndQuery = path.parse()?;
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
    }
}

impl FromStr for WebHost {
    type Err = InvalidWebHost;

    fn from_str(text: &str) -> Result<Self, InvalidWebHost> {
        let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = url.parse().map_err(|_| InvalidWebHost)?;
        let (has_path, parts) =
            (!matches!(uri.path(), "" | "/") || uri.query().is_some(), uri.into_parts());
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(InvalidWebHost);
        };
        // `host:` has a port that is missing, `host` has none and needs none.
        let bad_port = authority.port_u16().is_none() && authority.as_str() != authority.host();
        let web = scheme == Scheme::HTTP || scheme == Scheme::HTTPS;
        if has_path || bad_port || !web || authority.host().is_empty() || text.contains('#') {
            return Err(InvalidWebHost);
        }
        Ok(Self { scheme, authority })
    }
}

impl From<SocketAddr> for WebHost {
    fn from(address: SocketAddr) -> Self {
        let authority = address.to_string().parse().expect("a socket address is an authority");
        Self { scheme: Scheme::HTTP, authority }
    }
}

impl fmt::Display for WebHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

fn host_override(text: &str) -> Result<HeaderValue, &'static str> {
    const EXPECTED: &str = "expected a host name, with or without a port";
    text.parse::<Authority>().map_err(|_| EXPECTED)?;
    text.parse().map_err(|_| EXPECTED)
}

/// Above what a bot could send, and below what a timer could tell apart.
const MAX_RATE: f64 = 1_000_000.0;

fn request_rate(text: &str) -> Result<f64, &'static str> {
    let rate: Option<f64> = text.parse().ok();
    rate.filter(|rate| *rate >= 0.001 && *rate <= MAX_RATE)
        .ok_or("expected votes per second, a number from 0.001 to 1000000")
}

fn ttl(text: &str) -> Result<Duration, &'static str> {
    text.parse().map(Duration::from_secs).map_err(|_| "expected a whole number of seconds")
}

fn seed(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "expected a whole number from 0 to 18446744073709551615")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_is_a_host_and_port_or_a_url() {
        for (text, url) in [
            ("web-svc:80", "http://web-svc:80/api/list"),
            ("web-svc.emojivoto:80", "http://web-svc.emojivoto:80/api/list"),
            ("web", "http://web/api/list"),
            ("[::1]:8080", "http://[::1]:8080/api/list"),
            ("http://web:8080/", "http://web:8080/api/list"),
            ("https://emojivoto.example", "https://emojivoto.example/api/list"),
        ] {
            let web: WebHost = text.parse().expect(text);
            assert_eq!(web.uri("/api/list").expect("a URI").to_string(), url);
        }
        for text in [
            "",
            ":80",
            "web:",
            "web:http",
            "ftp://web",
            "http://",
            "web:80/path",
            "http://web/?q",
            "a b",
            "http://web#x",
        ] {
            assert_eq!(text.parse::<WebHost>(), Err(InvalidWebHost), "{text:?}");
        }
    }

    #[test]
    fn rates_are_positive_and_finite() {
        for (text, rate) in [("1", 1.0), ("0.5", 0.5), ("5000", 5_000.0)] {
            assert_eq!(request_rate(text), Ok(rate));
        }
        for text in ["", "0", "-1", "NaN", "inf", "1e9", "fast"] {
            request_rate(text).expect_err(text);
        }
    }
}
