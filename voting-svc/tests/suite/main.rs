//! The stores that need nothing but files, and the binary, as a container starts it.

mod file;
mod process;
mod ready;
mod replicas;

use std::net::SocketAddr;

use emojivoto_proto::{Shortcode, voting::VotingClient};
use emojivoto_testkit::{Binary, Run, channel};
use tonic::transport::Channel;

const VOTING_SVC: &str = env!("CARGO_BIN_EXE_emojivoto-voting-svc");

fn on_free_ports(settings: &[(&str, &str)]) -> Binary {
    Binary::new(VOTING_SVC).envs(&[("GRPC_PORT", "0"), ("PROM_PORT", "0")]).envs(settings)
}

fn start(settings: &[(&str, &str)]) -> (Run, SocketAddr) {
    let mut run = on_free_ports(settings).start();
    let address = run.address("GRPC_PORT");
    (run, address)
}

fn client(address: SocketAddr) -> VotingClient<Channel> {
    VotingClient::new(channel(address))
}

fn joy() -> Shortcode {
    ":joy:".parse().expect("an emoji")
}
