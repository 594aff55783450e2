//! Compiles the protocol without a system `protoc` and keeps the descriptors for reflection.

use std::error::Error;
use std::path::PathBuf;

use prost::Message as _;

const PROTO_FILES: [&str; 5] = [
    "dhakira/v1/memory.proto",
    "dhakira/v1/unit.proto",
    "dhakira/v1/lookup.proto",
    "dhakira/v1/alignment.proto",
    "dhakira/v1/admin.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(PROTO_FILES, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .codec_path("crate::grpc::codec::Codec")
        .compile_fds(descriptors)?;
    Ok(())
}
