//! Addresses of other services, as the manifests write them: `emoji-svc:8080`.

use std::{fmt, net::SocketAddr, str::FromStr};

use http::uri::Authority;

/// A host and a port, without a scheme: `emoji-svc:8080`, `127.0.0.1:8080`, `[::1]:8080`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort(Authority);

/// The text is not a host and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected host:port without a scheme, such as emoji-svc:8080")]
pub struct InvalidHostPort;

impl FromStr for HostPort {
    type Err = InvalidHostPort;

    fn from_str(text: &str) -> Result<Self, InvalidHostPort> {
        let authority: Authority = text.parse().map_err(|_| InvalidHostPort)?;
        let usable = !authority.host().is_empty()
            && authority.port_u16().is_some_and(|port| port != 0)
            && !text.contains('@');
        usable.then_some(Self(authority)).ok_or(InvalidHostPort)
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        Self(address.to_string().parse().expect("a socket address is an authority"))
    }
}

impl From<HostPort> for Authority {
    fn from(address: HostPort) -> Self {
        address.0
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_a_port_are_needed_and_enough() {
        for text in [
            "emoji-svc:8080",
            "emoji-svc.emojivoto:8080",
            "localhost:1",
            "127.0.0.1:8080",
            "[::1]:65535",
        ] {
            assert_eq!(text.parse::<HostPort>().map(|a| a.to_string()), Ok(text.to_owned()));
        }
        for text in [
            "",
            ":8080",
            "emoji-svc",
            "emoji-svc:",
            "emoji-svc:0",
            "emoji-svc:65536",
            "emoji-svc:http",
            "http://emoji-svc:8080",
            "emoji-svc:8080/",
            "user@emoji-svc:8080",
            "emoji svc:8080",
            "::1:8080",
        ] {
            assert_eq!(text.parse::<HostPort>(), Err(InvalidHostPort), "{text:?}");
        }
    }
}
