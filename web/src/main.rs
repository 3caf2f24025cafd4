//! The binary of web.

use std::process::ExitCode;

fn main() -> ExitCode {
    emojivoto_web::main()
}
