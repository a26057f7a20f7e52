//! The program.

use std::process::ExitCode;

fn main() -> ExitCode {
    impresario::executor::main_hook();
    impresario::cli::main()
}
