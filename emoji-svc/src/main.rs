//! The binary of emoji-svc.

use std::process::ExitCode;

use emojivoto_emoji_svc::{Settings, serve};
use emojivoto_runtime::process::{self, Role};

fn main() -> ExitCode {
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
