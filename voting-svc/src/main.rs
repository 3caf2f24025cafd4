//! The binary of voting-svc.

use std::process::ExitCode;

use emojivoto_runtime::process::{self, Role};
use emojivoto_voting_svc::{Settings, serve, store::MemoryStore};

fn main() -> ExitCode {
    process::main(
        "emojivoto-voting-svc",
        env!("CARGO_PKG_DESCRIPTION"),
        Role::Service("voting"),
        async |settings: Settings, process| {
            let listener = process.listen("GRPC_PORT", settings.grpc_port).await?;
            let store = MemoryStore::default();
            process.spawn("voting", |lifecycle, telemetry| {
                serve(settings.poll, store, listener, telemetry, lifecycle)
            });
            Ok(())
        },
    )
}
