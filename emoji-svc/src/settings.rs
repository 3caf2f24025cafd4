//! What the emoji service can be told.

use clap::Args;
use emojivoto_runtime::settings::port;

/// The settings of emoji-svc.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Port of the gRPC server; 0 takes any free port
    #[arg(long, env, default_value = "8080", value_parser = port)]
    pub grpc_port: u16,
}
