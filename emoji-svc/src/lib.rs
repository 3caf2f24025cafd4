//! The gRPC service that knows the ballot: `emojivoto.v1.EmojiService`.

mod service;
mod settings;

use std::process::ExitCode;

use emojivoto_proto::{
    MAX_REQUEST_BYTES,
    emoji::{self, emoji_service_server::EmojiServiceServer},
};
use emojivoto_runtime::{
    Error, Lifecycle, grpc,
    process::{self, Role},
};
use emojivoto_telemetry::Telemetry;
use service::Ballot;
pub use settings::Settings;
use tokio::net::TcpListener;

/// All that the binary's `main` does.
pub fn main() -> ExitCode {
    process::main(
        "emojivoto-emoji-svc",
        env!("CARGO_PKG_DESCRIPTION"),
        Role::Service("emoji"),
        async |settings: Settings, process| {
            let listener = process.listen("GRPC_PORT", settings.grpc_port).await?;
            process.spawn("emoji", |lifecycle, telemetry| serve(listener, telemetry, lifecycle));
            Ok(())
        },
    )
}

/// Serves the ballot on `listener` until told to stop.
pub async fn serve(
    listener: TcpListener,
    telemetry: Telemetry,
    lifecycle: Lifecycle,
) -> Result<(), Error> {
    let service =
        EmojiServiceServer::new(Ballot::new()).max_decoding_message_size(MAX_REQUEST_BYTES);
    let server = grpc::Server::new(service, emoji::DESCRIPTORS, &telemetry);
    lifecycle.ready(); // it needs nobody
    server.serve(listener, lifecycle).await
}
