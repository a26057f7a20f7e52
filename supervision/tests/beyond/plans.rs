//! Plans of faults: which are refused, and how words are read.

use std::time::Duration;

use supervision::SupervisorSpec;
use supervision::fault::{Fault, FaultKind, FaultPlan, Point, When};

use crate::bed::{ms, virtual_time};

#[test]
fn plans_that_make_no_sense_are_refused() {
    let fault = |target: &str| Fault::new(target, Point::Handle, FaultKind::Error);
    let when = |when: When| fault("root/a").when(when);
    let all = When::default;
    let block = |time| Fault::new("root/a", Point::Handle, FaultKind::Block(time));
    let plans = [
        fault(""),
        fault("a//b"),
        fault("root/a").incarnations(0..=2),
        fault("root/a").incarnations(std::ops::RangeInclusive::new(3, 2)),
        when(When {
            chance: f64::NAN,
            ..all()
        }),
        when(When {
            chance: 1.5,
            ..all()
        }),
        when(When {
            nth: Some(0),
            ..all()
        }),
        when(When {
            every: Some(0),
            ..all()
        }),
        when(When {
            nth: Some(1),
            every: Some(2),
            ..all()
        }),
        when(When {
            at_most: Some(0),
            ..all()
        }),
        block(Duration::ZERO),
        block(Duration::from_secs(3_600)),
    ];
    let mut refused = plans
        .map(|plan| plan.check().unwrap_err().to_string())
        .to_vec();
    let many = vec![fault("a"); 1_001];
    let many = FaultPlan {
        seed: 1,
        faults: many,
    };
    refused.push(many.check().unwrap_err().to_string());
    for (word, time) in [("explode", None), ("block", None), ("kill", Some(ms(1)))] {
        refused.push(FaultKind::read(word, time).unwrap_err().to_string());
    }
    refused.push("noon".parse::<Point>().unwrap_err().to_string());
    insta::assert_snapshot!(refused.join("\n"), @r#"
    fault.target is empty in a part for ``, but must be a path
    fault.target is empty in a part for `a//b`, but must be a path
    fault.incarnations is 0..=2 for `root/a`, but must be a range from 1 on
    fault.incarnations is 3..=2 for `root/a`, but must be a range from 1 on
    fault.chance is NaN for `root/a`, but must be from 0 to 1
    fault.chance is 1.5 for `root/a`, but must be from 0 to 1
    fault.nth is 0 for `root/a`, but must be from 1 on
    fault.every is 0 for `root/a`, but must be from 1 on
    fault.every is set beside fault.nth for `root/a`, but must be left out there
    fault.at_most is 0 for `root/a`, but must be from 1 on
    fault.time is 0 for `root/a`, but must be more than zero
    fault.time is 3600s for `root/a`, but must be at most 60s
    faults is 1001 faults, but must be at most 1000
    fault.kind is `explode`, but must be panic, error, hang, block, slow, kill, drop, duplicate, start_failure or refuse_stop
    fault.time is missing for `block`, but must be given
    fault.time is 1ms for `kill`, but must be left out: only block and slow take one
    fault.point is `noon`, but must be start, handle, stop or deliver
    "#);
    virtual_time(|bed| async move {
        let plan = FaultPlan::new(1).fault(fault("a//b"));
        let root = bed
            .root()
            .faults(plan)
            .start(SupervisorSpec::default())
            .await;
        insta::assert_snapshot!(root.expect_err("a wrong plan"), @"fault.target is empty in a part for `a//b`, but must be a path");
    });
}

#[test]
fn words_of_a_file_are_read() {
    let words = [
        ("panic", None),
        ("error", None),
        ("hang", None),
        ("block", Some(ms(1))),
        ("slow", Some(ms(1))),
        ("delay", Some(ms(1))),
        ("kill", None),
        ("drop", None),
        ("duplicate", None),
        ("start_failure", None),
        ("refuse_stop", None),
    ];
    let read = words.map(|(word, time)| {
        let (kind, point) = FaultKind::read(word, time).expect("a word");
        format!(
            "{word}: {kind} at {}",
            point.map_or("any".into(), |point| point.to_string())
        )
    });
    insta::assert_snapshot!(read.join("\n"), @r#"
    panic: panic at any
    error: error at any
    hang: hang at any
    block: block 1ms at any
    slow: slow 1ms at any
    delay: slow 1ms at any
    kill: kill at any
    drop: drop at deliver
    duplicate: duplicate at deliver
    start_failure: error at start
    refuse_stop: hang at stop
    "#);
}
