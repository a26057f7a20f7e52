//! The tools an executor offers.
