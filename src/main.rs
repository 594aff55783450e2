//! The `dhakira` program: parse, run, print the error chain, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    dhakira::cli::main()
}
