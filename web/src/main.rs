//! The binary of web. Called `emojivoto-vote-bot`, it is the bot, as `docs/decisions/0007-two-names-for-one-binary.md` says.

use std::process::ExitCode;

use emojivoto_runtime::process::{self, Role};
use emojivoto_web::{Settings, serve};

fn main() -> ExitCode {
    if process::is_called(emojivoto_vote_bot::BINARY) {
        return emojivoto_vote_bot::main();
    }
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
