//! The binary of vote-bot.

use std::process::ExitCode;

use emojivoto_runtime::process;
use emojivoto_vote_bot::{Settings, run};

fn main() -> ExitCode {
    process::main(
        "emojivoto-vote-bot",
        env!("CARGO_PKG_DESCRIPTION"),
        async |settings: Settings, process| {
            process.spawn("vote-bot", |lifecycle| run(settings, lifecycle));
            Ok(())
        },
    )
}
