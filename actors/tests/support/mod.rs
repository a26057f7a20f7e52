//! What several tests need.

pub(crate) mod causes;
pub(crate) mod check;
pub(crate) mod plays;
pub(crate) mod requests;
pub(crate) mod slow;
pub(crate) mod trace;
pub(crate) mod troupe;

/// Runs a future in a runtime of its own, in virtual time.
pub(crate) fn virtual_time<R>(work: impl Future<Output = R>) -> R {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(work)
}

/// Panics that belong to a play are not shown: there are thousands of them.
pub(crate) fn expect_panics() {
    let is_played = |text: &str| {
        text.starts_with("an accident at moment")
            || text.ends_with("on purpose")
            || text.ends_with("and then it panicked")
    };
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let show = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let text = panic.payload_as_str().unwrap_or_default();
            if !is_played(text) {
                show(panic);
            }
        }));
    });
}
