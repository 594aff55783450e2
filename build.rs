//! Compiles the protocol without a system `protoc` and keeps the descriptors for reflection.

use std::error::Error;
use std::path::{Path, PathBuf};

use protox::Compiler;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    // Ratios of times are compared only between programs that were optimised alike.
    println!("cargo:rustc-env=DHAKIRA_OPT_LEVEL={}", std::env::var("OPT_LEVEL")?);
    let mut compiler = Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(protocol_files()?)?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // Encoded here, since the decoded descriptors lose the annotations.
    std::fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure()
        .codec_path("crate::grpc::codec::Codec")
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// The files of the protocol itself, which name those that they need.
fn protocol_files() -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in Path::new("proto/dhakira/v1").read_dir()? {
        files.push(entry?.path());
    }
    files.sort();
    Ok(files)
}
