//! Compiles the two `.proto` files without a system `protoc`.
//!
//! Each goes to a folder of its own below `OUT_DIR`: they share a package, hence a file name. For
//! `Voting.proto` only messages are generated; see `src/voting.rs` for its service.

use std::{env, error::Error, fs, path::Path};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    let out = env::var("OUT_DIR")?;
    println!("cargo:rerun-if-changed=ballot.tsv");
    for (file, service) in [("Emoji", true), ("Voting", false)] {
        let proto = format!("{file}.proto");
        println!("cargo:rerun-if-changed={proto}");
        let descriptors = protox::compile([&proto], ["."])?;
        let dir = Path::new(&out).join(file);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("descriptors.bin"), descriptors.encode_to_vec())?;
        tonic_prost_build::configure()
            .build_server(service)
            .build_client(service)
            .codec_path("crate::codec::SmallCodec")
            .extern_path(
                ".emojivoto.v1.ListAllEmojiResponse",
                "crate::shared::Shared<crate::emoji::EmojiList>",
            )
            .out_dir(dir)
            .compile_fds(descriptors)?;
    }
    Ok(())
}
