//! The binary of vote-bot.

use std::process::ExitCode;

use emojivoto_runtime::process::{self, Role};
use emojivoto_vote_bot::{Settings, run};

fn main() -> ExitCode {
    process::main(
        "emojivoto-vote-bot",
        env!("CARGO_PKG_DESCRIPTION"),
        Role::Service("vote-bot"),
        async |settings: Settings, process| {
            process.spawn("vote-bot", |lifecycle, telemetry| {
                run(settings.web_host, settings.voting, telemetry, lifecycle)
            });
            Ok(())
        },
    )
}
