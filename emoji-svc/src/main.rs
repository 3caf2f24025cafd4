//! The binary of emoji-svc.

use std::process::ExitCode;

fn main() -> ExitCode {
    emojivoto_emoji_svc::main()
}
