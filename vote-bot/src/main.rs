//! The binary of vote-bot.

use std::process::ExitCode;

fn main() -> ExitCode {
    emojivoto_vote_bot::main()
}
