use super::*;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn an_idle_child_is_well_however_long() {
    let limits = HangLimits::silence(secs(60))
        .handler(secs(5))
        .whole(secs(300));
    assert_eq!(judge(&limits, &Vitals::default()), Judgement::Well(secs(5)));
}

#[test]
fn each_limit_is_held_apart() {
    let limits = HangLimits::silence(secs(60))
        .handler(secs(5))
        .whole(secs(300));
    let seen = |silent, handling, working| {
        let vitals = Vitals {
            silent,
            handling,
            working,
            ..Vitals::default()
        };
        match judge(&limits, &vitals) {
            Judgement::Hung(symptom) => symptom.to_string(),
            Judgement::Well(again) => format!("well, again after {again:?}"),
        }
    };
    insta::assert_snapshot!([
        seen(Some(secs(1)), Some(secs(1)), None),
        seen(Some(secs(5)), Some(secs(5)), None),
        seen(Some(secs(58)), None, Some(secs(100))),
        seen(Some(secs(60)), None, Some(secs(100))),
        seen(Some(secs(0)), None, Some(secs(299))),
        seen(Some(secs(0)), None, Some(secs(301))),
    ].join("\n"), @r"
    well, again after 4s
    one message was being handled for 5s (limit 5s)
    well, again after 2s
    no progress for 60s (limit 60s)
    well, again after 1s
    one activity was under way for 301s (limit 300s)
    ");
}

#[test]
fn a_zone_protects_until_its_maximum() {
    let limits = HangLimits::silence(secs(10));
    let vitals = |left| Vitals {
        silent: Some(secs(600)),
        protected: Some(left),
        ..Vitals::default()
    };
    assert_eq!(judge(&limits, &vitals(secs(3))), Judgement::Well(secs(3)));
    assert!(matches!(
        judge(&limits, &vitals(Duration::ZERO)),
        Judgement::Hung(_)
    ));
}

#[test]
fn a_step_without_time_is_left_out() {
    let limits = HangLimits::default().steps(Duration::ZERO, secs(2), secs(3));
    let mut steps = Vec::new();
    let mut last = None;
    while let Some((step, wait)) = next_step(&limits, last) {
        steps.push((step, wait));
        last = Some(step);
    }
    let expected = [
        (Step::Cancelled, secs(2)),
        (Step::Killed, secs(3)),
        (Step::Lost, Duration::ZERO),
    ];
    assert_eq!(steps, expected);
}

#[test]
fn limits_that_say_nothing_are_refused() {
    let nothing = HangLimits {
        silence: None,
        ..HangLimits::default()
    };
    let refused = [nothing.check(), HangLimits::silence(Duration::ZERO).check()];
    insta::assert_snapshot!(refused.map(|it| it.unwrap_err().to_string()).join("\n"), @r"
    hang is without a limit, but must be a limit for silence, for a handler or for an activity as a whole
    hang.silence is 0, but must be more than zero
    ");
}
