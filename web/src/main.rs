//! The binary of web.

use std::process::ExitCode;

use emojivoto_runtime::process;
use emojivoto_web::{Settings, serve};

fn main() -> ExitCode {
    process::main(
        "emojivoto-web",
        env!("CARGO_PKG_DESCRIPTION"),
        async |settings: Settings, process| {
            let listener = process::listen("WEB_PORT", settings.web_port).await?;
            process.spawn("web", |lifecycle| serve(settings.front_end, listener, lifecycle));
            Ok(())
        },
    )
}
