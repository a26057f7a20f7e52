//! The scripted provider: deterministic, offline, for the first run, tests and experiments.
