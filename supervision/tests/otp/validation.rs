//! B. Validation: nothing may start before the whole set is valid.

use std::time::Duration;

use supervision::{
    AdminError, AutoShutdown, Backoff, ChildSpec, DynamicSpec, Flags, Kind, Restart, Shutdown,
    SpecError, Strategy, template,
};

use super::plays;
use crate::bed::{Bed, cast, children, virtual_time};

/// The reason for which this set is refused; nothing of it was started.
async fn refusal(bed: &Bed, flags: Flags, children: Vec<ChildSpec>) -> String {
    let spec = supervision::SupervisorSpec { flags, children };
    let error = bed.root().start(spec).await.expect_err("it is refused");
    bed.expect("");
    error.to_string()
}

fn significant_flags() -> Flags {
    Flags::default().auto_shutdown(AutoShutdown::AnySignificant)
}

#[test]
fn b1_two_children_of_one_id_are_refused_before_any_starts() {
    plays(
        "sup one_for_one 3 5 never
         child a permanent 1000 false ok 0
         child b permanent 1000 false ok 0
         child a permanent 1000 false ok 0
         go",
        "boot error bad_spec duplicate_child_name",
    );
    virtual_time(|bed| async move {
        let twice = vec![bed.player("a").spec(), bed.player("a").spec()];
        assert_eq!(
            refusal(&bed, Flags::default(), twice).await,
            "two children are called `a`: give one of them another id"
        );
    });
}

/// Negative numbers, missing starts and unknown words are no values of our types; they end where text is read.
#[test]
fn b2_words_that_are_none_are_refused_with_the_field_and_what_it_takes() {
    let said = |error: SpecError| error.to_string();
    assert_eq!(
        said("sometimes".parse::<Restart>().expect_err("no word")),
        "restart is `sometimes`, but must be permanent, transient or temporary"
    );
    for time in ["-1", "soon", "brutal", ""] {
        assert_eq!(
            said(time.parse::<Shutdown>().expect_err("no time")),
            format!("shutdown is `{time}`, but must be kill, infinity or milliseconds from 0")
        );
    }
    assert_eq!(
        said("manager".parse::<Kind>().expect_err("no kind")),
        "kind is `manager`, but must be worker or supervisor"
    );
    assert_eq!(
        said("some_for_one".parse::<Strategy>().expect_err("no strategy")),
        "strategy is `some_for_one`, but must be one_for_one, one_for_all or rest_for_one"
    );
    assert_eq!(
        said("some".parse::<AutoShutdown>().expect_err("no mode")),
        "auto_shutdown is `some`, but must be never, any_significant or all_significant"
    );
}

#[test]
fn b2_words_that_are_some_are_read() {
    assert_eq!("permanent".parse(), Ok(Restart::Permanent));
    assert_eq!("transient".parse(), Ok(Restart::Transient));
    assert_eq!("temporary".parse(), Ok(Restart::Temporary));
    assert_eq!("kill".parse(), Ok(Shutdown::Kill));
    assert_eq!("infinity".parse(), Ok(Shutdown::Infinity));
    assert_eq!(
        "250".parse(),
        Ok(Shutdown::After(Duration::from_millis(250)))
    );
    assert_eq!("worker".parse(), Ok(Kind::Worker));
    assert_eq!("supervisor".parse(), Ok(Kind::Supervisor));
    assert_eq!("one_for_one".parse(), Ok(Strategy::OneForOne));
    assert_eq!("one_for_all".parse(), Ok(Strategy::OneForAll));
    assert_eq!("rest_for_one".parse(), Ok(Strategy::RestForOne));
    assert_eq!("never".parse(), Ok(AutoShutdown::Never));
    assert_eq!("any_significant".parse(), Ok(AutoShutdown::AnySignificant));
    assert_eq!("all_significant".parse(), Ok(AutoShutdown::AllSignificant));
}

#[test]
fn b2_offences_are_found_before_anything_starts() {
    let second = Duration::from_secs(1);
    virtual_time(|bed| async move {
        let (a, nameless) = (bed.player("a").spec(), bed.player("").spec());
        assert_eq!(
            refusal(&bed, Flags::default(), vec![a.clone(), nameless]).await,
            "id is \"\", but must be a name"
        );
        let timeless = Flags::default().intensity(1, Duration::ZERO);
        assert_eq!(
            refusal(&bed, timeless, vec![a.clone()]).await,
            "period is 0, but must be more than zero"
        );
        let roomless = Flags {
            max_children: 0,
            ..Flags::default()
        };
        assert_eq!(
            refusal(&bed, roomless, vec![]).await,
            "max_children is 0, but must be at least 1"
        );
        let crowded = Flags {
            max_children: 1,
            ..Flags::default()
        };
        assert_eq!(
            refusal(&bed, crowded, vec![a.clone(), bed.player("b").spec()]).await,
            "more than 1 children: raise max_children or start another supervisor"
        );
        let restless = a.clone().backoff(Backoff::new(Duration::ZERO, second));
        assert_eq!(
            refusal(&bed, Flags::default(), vec![restless]).await,
            "backoff.base is 0, but must be more than zero"
        );
        let upside_down = a.backoff(Backoff::new(second * 2, second));
        assert_eq!(
            refusal(&bed, Flags::default(), vec![upside_down]).await,
            "backoff.cap is 1s, but must be at least the base, 2s"
        );
    });
}

#[test]
fn b2_a_refused_addition_leaves_the_others_alone() {
    virtual_time(|bed| async move {
        let root = bed.start(Flags::default(), &[&bed.player("a")]).await;
        let refused = root.start_child(bed.player("").spec()).await;
        let Err(AdminError::Invalid(SpecError::Invalid { field, .. })) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(field, "id");
        assert_eq!(children(&root).await, "a:running#1");
        root.stop().await;
    });
}

#[test]
fn b4_significant_children_must_be_able_to_end_the_supervisor() {
    plays(
        "sup one_for_one 5 100 never
         child a transient 1000 true ok 0
         go",
        "boot error bad_spec bad_combination",
    );
    plays(
        "sup one_for_one 5 100 any_significant
         child a permanent 1000 true ok 0
         go",
        "boot error bad_spec bad_combination",
    );
    plays(
        "sup one_for_one 5 100 any_significant
         child a permanent 1000 false ok 0
         go
         add b permanent 1000 true ok 0
         which",
        "start a
         boot ok
         reply add bad_combination
         children a:running",
    );
    virtual_time(|bed| async move {
        let permanent = bed.player("a").spec().significant();
        assert_eq!(
            refusal(&bed, significant_flags(), vec![permanent.clone()]).await,
            "child `a` cannot be significant: it is permanent"
        );
        let transient = permanent.restart(Restart::Transient);
        assert_eq!(
            refusal(&bed, Flags::default(), vec![transient.clone()]).await,
            "child `a` cannot be significant: auto_shutdown is never"
        );
        let root = bed
            .root()
            .start(cast(Flags::default(), &[]))
            .await
            .expect("it starts");
        let refused = root
            .start_child(transient)
            .await
            .expect_err("it is refused");
        assert!(matches!(
            refused,
            AdminError::Invalid(SpecError::Significant { .. })
        ));
        root.stop().await;
    });
}

#[test]
fn b4_a_dynamic_supervisor_has_one_template() {
    virtual_time(|bed| async move {
        let none = DynamicSpec::<()>::new(Flags::default());
        assert_eq!(none.seat().expect_err("none"), SpecError::Templates(0));
        let player = bed.player("a");
        let (one, other) = (player.clone(), player.clone());
        let two = DynamicSpec::new(Flags::default())
            .template(template("a"), move |()| one.start())
            .template(template("b"), move |()| other.start());
        let error = two.start(bed.root()).await.expect_err("two");
        assert_eq!(
            error.to_string(),
            "a dynamic supervisor takes exactly one template, 2 were given"
        );
        let mut significant = template("a");
        significant.significant = true;
        let spec = DynamicSpec::new(significant_flags());
        let spec = spec.template(significant, move |()| player.start());
        assert!(matches!(spec.seat(), Err(SpecError::Significant { .. })));
    });
}
