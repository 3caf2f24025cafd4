//! What web can be told.

use std::{net::SocketAddr, time::Duration};

use clap::{Args, ValueEnum};
use emojivoto_runtime::settings::{HostPort, port, timeout};

/// The settings of web.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Port of the web server; 0 takes any free port
    #[arg(long, env, default_value = "8080", value_parser = port)]
    pub web_port: u16,

    /// Where the backends are.
    #[command(flatten)]
    pub backends: Backends,

    /// What the pages show, and how long they may take.
    #[command(flatten)]
    pub front_end: FrontEnd,
}

/// Where the backends are, and which of their replicas are called.
#[derive(Debug, Clone, Args)]
pub struct Backends {
    /// Address of emoji-svc, host:port; several, separated by commas, where the policy is least_request
    #[arg(long, env, required = true, value_delimiter = ',')]
    pub emojisvc_host: Vec<HostPort>,

    /// Address of voting-svc, host:port; several, separated by commas, where the policy is least_request
    #[arg(long, env, required = true, value_delimiter = ',')]
    pub votingsvc_host: Vec<HostPort>,

    /// Which replica of a backend gets a call
    #[arg(long, env, default_value = "pick_first")]
    pub grpc_lb_policy: LbPolicy,
}

/// Which replica of a backend gets a call. The names are those that gRPC and Envoy have for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum LbPolicy {
    /// The one that the connection leads to, of which there is one; a service mesh may decide otherwise for each call
    PickFirst,
    /// Of two, the one with fewer calls in flight; each address that the host has is connected to
    LeastRequest,
}

/// Calls that go to one replica cannot go to several addresses.
#[derive(Debug, thiserror::Error)]
#[error("{0}: expected one address; several need GRPC_LB_POLICY=least_request")]
pub(crate) struct SeveralAddresses(&'static str);

impl Backends {
    /// One of each, at these addresses.
    pub fn at(emoji: SocketAddr, voting: SocketAddr) -> Self {
        Self {
            emojisvc_host: vec![emoji.into()],
            votingsvc_host: vec![voting.into()],
            grpc_lb_policy: LbPolicy::PickFirst,
        }
    }

    /// Whether there are as many addresses as the policy can do with.
    pub(crate) fn check(&self) -> Result<(), SeveralAddresses> {
        let hosts =
            [("EMOJISVC_HOST", &self.emojisvc_host), ("VOTINGSVC_HOST", &self.votingsvc_host)];
        match hosts.into_iter().find(|(_, addresses)| addresses.len() > 1) {
            Some((setting, _)) if self.grpc_lb_policy == LbPolicy::PickFirst => {
                Err(SeveralAddresses(setting))
            }
            _ => Ok(()),
        }
    }
}

/// What the pages show, and how long they may take.
#[derive(Debug, Clone, Args)]
pub struct FrontEnd {
    /// How long a backend may take to answer a call
    #[arg(long, env, default_value = "5s", value_parser = timeout)]
    pub grpc_timeout: Duration,

    /// A line of text above every page
    #[arg(long, env)]
    pub message_of_the_day: Option<String>,

    /// How many may watch the live leaderboard at a time
    #[arg(long, env, default_value = "500")]
    pub max_viewers: usize,
}
