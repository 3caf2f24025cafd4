//! The ports that a process listens on.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use emojivoto_telemetry::Hosted;
use tokio::net::TcpListener;

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// One service, for everybody: it listens by IPv6 and IPv4, on every interface.
    Service(&'static str),
    /// All services at once, for nobody but this machine: they listen by IPv4, on loopback.
    Suite,
}

impl Role {
    /// The name under which it logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Service(name) => name,
            Self::Suite => "emojivoto",
        }
    }

    pub(super) fn hosted(self) -> Hosted {
        match self {
            Self::Service(_) => Hosted::One,
            Self::Suite => Hosted::Several,
        }
    }

    /// How many servers it has, at most, besides the admin server.
    pub(super) fn servers(self) -> usize {
        match self {
            Self::Service(_) => 1,
            Self::Suite => 3,
        }
    }

    /// Listens on a port. `setting` names where it comes from, for the error.
    pub(super) async fn listen(
        self,
        setting: &'static str,
        port: u16,
    ) -> Result<TcpListener, CannotListen> {
        let bind = |address| TcpListener::bind(SocketAddr::new(address, port));
        let listener = match self {
            Self::Suite => bind(Ipv4Addr::LOCALHOST.into()).await,
            Self::Service(_) => match bind(Ipv6Addr::UNSPECIFIED.into()).await {
                // Some hosts have IPv6 switched off.
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                    bind(Ipv4Addr::UNSPECIFIED.into()).await
                }
                result => result,
            },
        };
        let listener = listener.map_err(|source| CannotListen { setting, port, source })?;
        if let Ok(address) = listener.local_addr() {
            tracing::info!("{setting}: listening on {address}");
        }
        Ok(listener)
    }
}

/// A port could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: cannot listen on port {port}: {}", reason(.source))]
pub struct CannotListen {
    setting: &'static str,
    port: u16,
    source: io::Error,
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "it is taken".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not".to_owned(),
        _ => error.to_string(),
    }
}
