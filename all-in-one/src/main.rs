//! The binary of the whole suite: `cargo run --release`.

use std::process::ExitCode;

use emojivoto::{Settings, Suite};
use emojivoto_runtime::process::{self, Role};

fn main() -> ExitCode {
    process::main(
        "emojivoto",
        env!("CARGO_PKG_DESCRIPTION"),
        Role::Suite,
        async |settings: Settings, process| {
            let suite = Suite::start(process, settings).await?;
            process.say(&suite.banner());
            Ok(())
        },
    )
}
