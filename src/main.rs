//! The program.

use std::process::ExitCode;

fn main() -> ExitCode {
    impresario::cli::main()
}
