//! The program.

fn main() {
    impresario::executor::main_hook();
}
