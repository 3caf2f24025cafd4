//! The binary of voting-svc.

use std::process::ExitCode;

fn main() -> ExitCode {
    emojivoto_voting_svc::main()
}
