//! The binary of voting-svc.

use std::process::ExitCode;

use emojivoto_runtime::process::{self, Role};
use emojivoto_voting_svc::{Settings, Transfer, serve, store::AnyStore};

fn main() -> ExitCode {
    process::main_or(
        "emojivoto-voting-svc",
        env!("CARGO_PKG_DESCRIPTION"),
        Role::Service("voting"),
        async |settings: Settings, process| {
            let listener = process.listen("GRPC_PORT", settings.grpc_port).await?;
            let store = AnyStore::open(&settings.store.votes_store, settings.store.once())?;
            process.spawn("voting", |lifecycle, telemetry| {
                serve(settings.poll, store.into(), listener, telemetry, lifecycle)
            });
            Ok(())
        },
        |transfer: Transfer, settings| transfer.run(&settings.store),
    )
}
