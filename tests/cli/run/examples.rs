//! Every file in examples/teams is checked and run.
