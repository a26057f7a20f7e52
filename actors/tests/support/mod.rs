//! What several tests need.

pub(crate) mod check;
pub(crate) mod plays;
pub(crate) mod requests;
pub(crate) mod trace;
pub(crate) mod troupe;

/// Runs a future in a runtime of its own, in virtual time.
pub(crate) fn virtual_time<R>(work: impl Future<Output = R>) -> R {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(work)
}
