//! Each kind of mistake, with the place it points at, what it says, and what it advises.

mod names;
mod sections;
mod shapes;
mod values;

use impresario::config::Problem;

use super::marked::{Expected, has_problems};

fn each(cases: &[(&str, Expected)]) {
    for (marked, expected) in cases {
        has_problems(marked, &[*expected], not_yet);
    }
}

/// What this version does not do is checked like everything else.
fn not_yet(problem: &Problem) -> bool {
    problem
        .message
        .ends_with("is not available in this version")
}
