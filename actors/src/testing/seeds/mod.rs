//! Whole teams drawn from seeds, played in virtual time through whatever goes wrong, and what holds of them however it goes.
//!
//! [`trial`] draws what befalls a seed, [`troupe`] who plays and what the models say, [`person`] what people do meanwhile; [`plays`]
//! plays it, [`trace`] notes what was really done, and [`check`], [`causes`] and [`requests`] hold it against the journal.
//! [`examine`] does all of it, twice.

pub mod causes;
pub mod check;
pub mod examine;
mod garbage;
pub mod person;
pub mod plays;
pub mod requests;
pub mod trace;
pub mod trial;
pub mod troupe;

/// Runs a future in a runtime of its own, in virtual time.
///
/// # Panics
/// When there can be no runtime.
pub fn virtual_time<R>(work: impl Future<Output = R>) -> R {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(work)
}

/// Panics that belong to a play are not shown: there are thousands of them.
pub fn expect_panics() {
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
