//! The binary of web.

use std::process::ExitCode;

use emojivoto_runtime::process::{self, Role};
use emojivoto_web::{Settings, serve};

fn main() -> ExitCode {
    process::main(
        "emojivoto-web",
        env!("CARGO_PKG_DESCRIPTION"),
        Role::Service("web"),
        async |settings: Settings, process| {
            let listener = process.listen("WEB_PORT", settings.web_port).await?;
            process.spawn("web", |lifecycle, telemetry| {
                serve(settings.backends, settings.front_end, listener, telemetry, lifecycle)
            });
            Ok(())
        },
    )
}
