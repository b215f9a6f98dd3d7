//! Laws of the director and of the analysis: what holds whatever happens, and cases worked out by hand.

use failctl::judge::drill::{Verdict, findings, verdict};
use failctl::model::duration::Millis;
use failctl::sim::analysis::{Health, Seconds, look, measure};
use failctl::sim::director::Seen;
use failctl::sim::fault::Fault;
use failctl::sim::processors::Use;
use failctl::sim::scenario::{FaultStep, Load, Target, Tolerances};
use failctl::sim::{
    Class, Director, Ending, Expected, Marks, Measured, Observation, Outcome, Record, Run, Samples, Scenario, Step,
    timeline,
};
use proptest::prelude::*;

fn fault(i: usize) -> Fault {
    let text = format!(r#"{{"gatewayDown": {{"cluster": "c{i}"}}}}"#);
    serde_json::from_str(&text).unwrap()
}

fn scenario(faults: usize) -> Scenario {
    let target = Target {
        name: "web".into(),
        failover: None,
        through: None,
        policy: None,
        url: Some("http://127.0.0.1".into()),
        path: None,
        host: None,
        rate: None,
        answers: Default::default(),
    };
    Scenario {
        name: "test".into(),
        targets: vec![target],
        faults: (0..faults).map(|i| FaultStep { fault: fault(i), then_wait: Millis(700) }).collect(),
        load: Load { after: Millis(1000), ..Load::default() },
        tolerances: Tolerances::default(),
        expected: Expected::NoLoss,
        force: false,
    }
}

fn well() -> Observation {
    Observation::Seen(Seen { unwell: vec![], primary_alone: true })
}

/// Answers each step as the world would if all went well.
fn good(step: &Step) -> Observation {
    if matches!(step, Step::Probe(_)) { well() } else { Observation::Done }
}

fn play(scenario: &Scenario, mut world: impl FnMut(&Step) -> Observation) -> Vec<Step> {
    let mut director = Director::new(scenario);
    let mut steps = vec![director.next(Observation::Done)];
    while !matches!(steps[steps.len() - 1], Step::Done(_)) {
        assert!(steps.len() < 1000, "the director ends");
        let seen = world(&steps[steps.len() - 1]);
        steps.push(director.next(seen));
    }
    steps
}

#[test]
fn a_drill_warms_up_checks_breaks_in_order_and_heals_backwards() {
    let steps = play(&scenario(2), good);
    let wait = |s| Step::Wait(Millis(s));
    let expected = vec![
        wait(5000),
        Step::Probe(Millis(5000)),
        Step::Inject(fault(0)),
        wait(700),
        Step::Inject(fault(1)),
        wait(15_000),
        Step::Heal(fault(1)),
        Step::Heal(fault(0)),
        wait(250),
        Step::Probe(Millis(2000)),
        Step::Done(Ending::Completed),
    ];
    assert_eq!(steps, expected);
}

#[test]
fn a_service_that_is_not_well_is_not_broken_further() {
    let sick = || Observation::Seen(Seen { unwell: vec!["web: nobody answers".into()], primary_alone: false });
    let steps = play(&scenario(1), |s| if matches!(s, Step::Probe(_)) { sick() } else { Observation::Done });
    assert!(!steps.iter().any(|s| matches!(s, Step::Inject(_))));
    assert_eq!(steps.last(), Some(&Step::Done(Ending::Refused("web: nobody answers".into()))));
    let mut forced = scenario(1);
    forced.force = true;
    let steps = play(&forced, |s| if matches!(s, Step::Probe(_)) { sick() } else { Observation::Done });
    assert!(steps.contains(&Step::Heal(fault(0))), "--force breaks it, and heals it");
}

#[test]
fn a_primary_that_does_not_come_back_is_waited_for_no_longer_than_asked() {
    let away = || Observation::Seen(Seen { unwell: vec![], primary_alone: false });
    let mut warm = false;
    let steps = play(&scenario(1), |s| match s {
        Step::Probe(_) if !warm => {
            warm = true;
            well()
        }
        Step::Probe(_) => away(),
        _ => Observation::Done,
    });
    let waits = steps.iter().rev().take_while(|s| !matches!(s, Step::Heal(_)));
    let waited: u64 = waits.map(|s| if let Step::Wait(ms) = s { ms.0 } else { 0 }).sum();
    assert_eq!(waited, 1000);
    assert_eq!(steps.last(), Some(&Step::Done(Ending::Completed)));
}

proptest! {
    #[test]
    fn whatever_happens_every_fault_begun_is_healed_once_and_backwards(
        faults in 1usize..4,
        world in proptest::collection::vec(0u8..12, 60),
        force: bool,
    ) {
        let mut scenario = scenario(faults);
        scenario.force = force;
        let mut world = world.into_iter();
        let steps = play(&scenario, |step| match world.next() {
            Some(0) => Observation::Interrupted,
            Some(1) => Observation::Failed("no".into()),
            Some(2) => Observation::Seen(Seen { unwell: vec!["sick".into()], primary_alone: false }),
            _ => good(step),
        });
        let mut broken = Vec::new();
        for step in &steps {
            match step {
                Step::Inject(f) => broken.push(f.clone()),
                Step::Heal(f) => {
                    let last = broken.pop();
                    prop_assert_eq!(last.as_ref(), Some(f));
                }
                _ => {}
            }
        }
        prop_assert!(broken.is_empty(), "left broken: {:?}", broken);
        prop_assert!(matches!(steps.last(), Some(Step::Done(_))));
    }

    #[test]
    fn an_interrupted_drill_never_ends_as_completed(at in 0usize..8) {
        let mut n = 0;
        let steps = play(&scenario(2), |step| {
            n += 1;
            if n == at + 1 { Observation::Interrupted } else { good(step) }
        });
        prop_assert_eq!(steps.last(), Some(&Step::Done(Ending::Interrupted)));
    }

    #[test]
    fn counts_add_up_and_times_are_seen_or_have_a_reason(
        outcomes in proptest::collection::vec(0u8..5, 1..400),
        broken in 0u64..2_000_000,
        lasting in 0u64..2_000_000,
    ) {
        let samples = samples(&outcomes, 10_000);
        let run = Run { samples, ..Run::default() };
        let healing = broken + lasting;
        let marks = Marks {
            broken: Some(broken), fully_broken: Some(broken), healing: Some(healing), healed: Some(healing),
            end: 10_000 * outcomes.len() as u64,
        };
        let m = measure(&run, &marks);
        prop_assert_eq!(m.requests, outcomes.len() as u64);
        prop_assert!(m.requests_in_fault <= m.requests);
        prop_assert!(m.failed_in_fault <= m.failed);
        let answered = run.samples.records.iter().filter(|r| r.by().is_some()).count() as u64;
        prop_assert_eq!(answered + m.failed + m.cut_after_headers, m.requests);
        for time in [&m.detection, &m.failover, &m.failback] {
            prop_assert!(time.millis().is_some() != time.reason().is_some());
        }
        if let Some(ms) = m.failover.millis() {
            // From that moment on nothing but the backup was seen in the fault.
            let late = run.samples.between(broken + ms * 1000 + 1000, healing);
            let backup = |r: &Record| r.by().is_some_and(|by| !m.primary.contains(by));
            let waited = |r: &Record| r.by().is_some() && r.end() >= healing;
            prop_assert!(late.into_iter().all(|r| backup(r) || waited(r)));
        }
        let seconds = timeline::seconds(&run.samples, broken);
        prop_assert_eq!(seconds.iter().map(|s| s.requests).sum::<u64>(), m.requests);
        prop_assert_eq!(seconds.iter().map(|s| s.failed).sum::<u64>(), m.failed);
        prop_assert_eq!(seconds.iter().map(|s| s.cut_after_headers).sum::<u64>(), m.cut_after_headers);
    }
}

fn record(start: u64, latency: u64, kind: u8) -> Record {
    let by = |who: &str| Outcome::Answered { status: 200, by: who.into() };
    let outcome = match kind {
        0 => by("blue"),
        1 => by("green"),
        2 => Outcome::Failed { class: Class::ServerError, status: Some(503) },
        3 => Outcome::Failed { class: Class::CutAfterHeaders, status: Some(200) },
        _ => Outcome::Failed { class: Class::Timeout, status: None },
    };
    Record { start, latency, outcome }
}

fn samples(kinds: &[u8], apart: u64) -> Samples {
    let records = kinds.iter().enumerate().map(|(i, k)| record(i as u64 * apart, 2_000, *k)).collect();
    Samples { records, missed: vec![] }
}

/// A request each 10 ms: blue 1 s, then `fault` for 2 s, then `after` for 1 s.
fn run(fault: impl Fn(u64) -> u8, after: impl Fn(u64) -> u8) -> (Run, Marks) {
    let kind = |i: u64| match i {
        0..100 => 0,
        100..300 => fault(i - 100),
        _ => after(i - 300),
    };
    let kinds: Vec<u8> = (0..400).map(kind).collect();
    let marks = Marks {
        broken: Some(1_000_000),
        fully_broken: Some(1_000_000),
        healing: Some(3_000_000),
        healed: Some(3_050_000),
        end: 4_000_000,
    };
    (Run { samples: samples(&kinds, 10_000), ..Run::default() }, marks)
}

fn measured(fault: impl Fn(u64) -> u8, after: impl Fn(u64) -> u8) -> Measured {
    let (run, marks) = run(fault, after);
    measure(&run, &marks)
}

#[test]
fn a_failover_is_dated_by_the_end_of_the_first_answer_after_which_only_the_backup_answers() {
    // Two blue answers, 28 failures, a green one, another failure at 310 ms, green from 320 ms.
    let m = measured(
        |i| {
            if i < 2 {
                0
            } else if i < 30 || i == 31 {
                2
            } else {
                1
            }
        },
        |i| u8::from(i < 20),
    );
    assert_eq!(m.failover, Seconds::After(322));
    assert_eq!(m.failback, Seconds::After(202));
    assert_eq!((m.failed, m.requests_in_fault, m.cut_after_headers), (29, 200, 0));
    assert_eq!(m.longest_silence, 280);
    assert_eq!(m.marks.t1_first_error, Some(22));
    assert_eq!(m.marks.t3_first_backup_answer, Some(302));
    assert_eq!(m.marks.t4_no_more_errors, Some(322));
    assert_eq!(m.marks.t5_healing, Some(2000));
    assert_eq!(m.marks.t6_first_primary_answer, Some(2202));
    assert_eq!(m.marks.t7_steady, Some(2202));
}

#[test]
fn what_the_primary_answers_once_healing_has_begun_says_nothing_of_the_fault() {
    // Green from the first; for the last 200 ms requests go to blue again, which hangs, and answers when it is healed.
    let (mut run, marks) = run(|i| u8::from(i < 180), |_| 0);
    let healed = marks.healed.unwrap();
    run.samples.records[280..300].iter_mut().for_each(|r| r.latency = healed - r.start);
    let m = measure(&run, &marks);
    assert_eq!(m.failover, Seconds::After(2));
    assert_eq!(m.latency.map(|[_, _, worst]| worst), Some(250_000), "what it cost is not hidden");
    // Nobody stood in, and everybody waited.
    run.samples.records[100..300].iter_mut().for_each(|r| *r = record(r.start, healed - r.start, 0));
    let why = "every request of the fault waited until healing had begun";
    assert_eq!(measure(&run, &marks).failover.reason(), Some(why));
}

#[test]
fn a_time_that_was_not_seen_is_a_reason() {
    let m = measured(|_| 2, |_| 2);
    assert_eq!(m.failover.reason(), Some("no backup answered: every request of the fault failed"));
    assert_eq!(m.failback.reason(), Some("the primary did not answer again before the load ended"));
    assert_eq!(m.detection.reason(), Some("the gateway's Envoy was not asked during the fault"));
    let m = measured(|_| 0, |_| 0);
    assert_eq!(m.failover.reason(), Some("the primary went on answering: the fault did not reach it"));
    // Two minutes of ejection outlast the load: it is the ejection that hides the failback, and that is the reason.
    let (mut run, marks) = run(|_| 1, |_| 1);
    let why = Some("ejected by outlier detection".to_string());
    run.health.push(Health { at: marks.healing.unwrap() + 1, usable: 0, why });
    let hidden = "the Envoy that decides still kept the primary out when the load ended (ejected by outlier detection), which hides the failback";
    assert_eq!(measure(&run, &marks).failback.reason(), Some(hidden));
}

#[test]
fn detection_is_the_first_time_the_gateways_envoy_has_no_primary_host_left() {
    let (mut run, marks) = run(|_| 1, |_| 0);
    let health = |at, usable| Health { at, usable, why: Some("failed active health check".into()) };
    run.health = vec![health(900_000, 0), health(1_200_000, 1), health(1_640_000, 0), health(1_700_000, 0)];
    let m = measure(&run, &marks);
    assert_eq!(m.detection, Seconds::After(640));
    assert_eq!(m.detected_by.as_deref(), Some("failed active health check"));
    run.health.truncate(2);
    let why = "the gateway's Envoy went on using the primary until healing began";
    assert_eq!(measure(&run, &marks).detection.reason(), Some(why));
    run.no_health = Some("port-forward refused".into());
    assert_eq!(measure(&run, &marks).detection.reason(), Some("port-forward refused"));
}

fn judged(m: &Measured, tolerated: Tolerances, expected: Expected) -> Verdict {
    verdict(&findings(m, &Ending::Completed, &tolerated, expected))
}

#[test]
fn an_outage_is_green_only_where_it_was_expected_and_never_otherwise() {
    let outage = measured(|_| 2, |_| 0);
    assert_eq!(
        judged(&outage, Tolerances { max_failed: 10_000, ..Default::default() }, Expected::NoLoss),
        Verdict::Fail
    );
    assert_eq!(judged(&outage, Tolerances::default(), Expected::Outage), Verdict::Pass);
    let smooth = measured(|_| 1, |_| 0);
    assert_eq!(judged(&smooth, Tolerances::default(), Expected::NoLoss), Verdict::Pass);
    assert_eq!(judged(&smooth, Tolerances::default(), Expected::Outage), Verdict::Fail);
}

#[test]
fn where_nobody_is_to_move_the_primary_must_serve_when_the_fault_ends() {
    let stays = |m: &Measured| judged(m, Tolerances::default(), Expected::Stays);
    let unfelt = measured(|_| 0, |_| 0);
    assert_eq!(stays(&unfelt), Verdict::Pass);
    let helped_out = measured(|i| u8::from(i < 50), |_| 0);
    assert_eq!(stays(&helped_out), Verdict::Pass);
    let moved = measured(|_| 1, |_| 0);
    assert_eq!(stays(&moved), Verdict::Fail);
    let lost = measured(|i| if i == 3 { 2 } else { 0 }, |_| 0);
    assert_eq!(stays(&lost), Verdict::Fail);
    let gone = measured(|_| 2, |_| 0);
    let lax = Tolerances { max_failed: 10_000, ..Default::default() };
    assert_eq!(judged(&gone, lax, Expected::Stays), Verdict::Fail);
}

#[test]
fn a_primary_that_hung_to_the_end_of_the_fault_did_not_stay() {
    let (mut late, marks) = run(|_| 0, |_| 0);
    let healing = marks.healing.unwrap();
    for r in late.samples.records.iter_mut().filter(|r| (marks.broken.unwrap()..healing).contains(&r.start)) {
        r.latency = healing - r.start + 1;
    }
    let m = measure(&late, &marks);
    assert_eq!((m.failed, m.primary_at_end), (0, false));
    assert_eq!(judged(&m, Tolerances::default(), Expected::Stays), Verdict::Fail);
}

#[test]
fn a_cut_answer_is_counted_apart_and_a_lost_one_is_judged() {
    let cut = measured(|i| if i == 3 { 3 } else { 1 }, |_| 0);
    assert_eq!((cut.failed, cut.cut_after_headers), (0, 1));
    assert_eq!(judged(&cut, Tolerances::default(), Expected::NoLoss), Verdict::Pass);
    let strict = Tolerances { max_cut: Some(0), ..Default::default() };
    assert_eq!(judged(&cut, strict, Expected::NoLoss), Verdict::Fail);
    let lost = measured(|i| if i == 3 { 2 } else { 1 }, |_| 0);
    assert_eq!(judged(&lost, Tolerances::default(), Expected::NoLoss), Verdict::Fail);
    let lax = Tolerances { max_failed: 1, ..Default::default() };
    assert_eq!(judged(&lost, lax, Expected::NoLoss), Verdict::Pass);
}

#[test]
fn a_limit_on_a_time_fails_when_the_time_is_late_or_was_not_seen() {
    let m = measured(|i| if i < 50 { 0 } else { 1 }, |_| 0);
    let limit = |ms| Tolerances { max_failover: Some(Millis(ms)), ..Default::default() };
    assert_eq!(judged(&m, limit(502), Expected::NoLoss), Verdict::Pass);
    assert_eq!(judged(&m, limit(501), Expected::NoLoss), Verdict::Fail);
    let blind = Tolerances { max_detection: Some(Millis(1)), ..Default::default() };
    assert_eq!(judged(&m, blind, Expected::NoLoss), Verdict::Fail);
}

#[test]
fn what_cannot_be_told_is_inconclusive_and_never_green() {
    let untouched = measured(|_| 0, |_| 0);
    assert_eq!(judged(&untouched, Tolerances::default(), Expected::NoLoss), Verdict::Inconclusive);
    let mut slow = measured(|_| 1, |_| 0);
    slow.missed = 10;
    assert_eq!(judged(&slow, Tolerances::default(), Expected::NoLoss), Verdict::Inconclusive);
    for ending in [Ending::Interrupted, Ending::Refused("x".into()), Ending::Broken("x".into())] {
        let all = findings(&slow, &ending, &Tolerances::default(), Expected::NoLoss);
        assert_eq!(verdict(&all), Verdict::Inconclusive);
    }
    assert_eq!(verdict(&[]), Verdict::Inconclusive);
}

#[test]
fn a_loss_on_a_machine_without_a_moment_to_spare_is_a_doubt_and_a_pass_is_still_a_pass() {
    let mut lost = measured(|i| if i == 3 { 2 } else { 1 }, |_| 0);
    let verdicts = |m: &Measured| judged(m, Tolerances::default(), Expected::NoLoss);
    for (busy, verdict) in [(None, Verdict::Fail), (Some(979), Verdict::Fail), (Some(980), Verdict::Inconclusive)] {
        lost.busy = busy;
        assert_eq!(verdicts(&lost), verdict, "{busy:?}");
    }
    let all = findings(&lost, &Ending::Completed, &Tolerances::default(), Expected::NoLoss);
    assert_eq!(all.iter().map(|f| f.code).collect::<Vec<_>>(), ["FCT0620", "FCT0628"]);
    let mut smooth = measured(|_| 1, |_| 0);
    smooth.busy = Some(1000);
    assert_eq!(verdicts(&smooth), Verdict::Pass);
    // That somebody answered where nobody should is no machine's doing.
    assert_eq!(judged(&smooth, Tolerances::default(), Expected::Outage), Verdict::Fail);
}

/// A machine that was full in some of the seconds from the fault on (at 1 s), for a run that loses the requests of `lost` ms.
fn on_a_machine(full: [bool; 3], lost: std::ops::Range<u64>) -> Measured {
    let (mut run, marks) = run(|i| if lost.contains(&(i * 10)) { 2 } else { 1 }, |_| 0);
    let second = |(i, full): (u64, bool)| Use {
        from: (i + 1) * 1_000_000,
        to: (i + 2) * 1_000_000,
        per_mille: if full { 1000 } else { 400 },
    };
    run.processors = (0..).zip(full).map(second).collect();
    measure(&run, &marks)
}

#[test]
fn what_was_lost_while_the_machine_was_full_is_told_apart_from_what_was_lost_before_and_after() {
    let m = on_a_machine([true, true, false], 1800..1900);
    assert_eq!((m.busy, m.full, m.failed, m.failed_while_full), (Some(800), 2000, 10, 10));
    let all = findings(&m, &Ending::Completed, &Tolerances::default(), Expected::NoLoss);
    assert_eq!(verdict(&all), Verdict::Inconclusive);
    let said = &all.last().unwrap().what;
    assert!(said.contains("had no time left for 2 s") && said.contains("10 of the 10 lost requests"), "{said}");
    // One request lost on an idle machine is lost, whatever else was.
    let m = on_a_machine([false, true, true], 990..1500);
    assert_eq!((m.failed, m.failed_while_full), (51, 50));
    assert_eq!(judged(&m, Tolerances::default(), Expected::NoLoss), Verdict::Fail);
    let lax = Tolerances { max_failed: 1, ..Default::default() };
    assert_eq!(judged(&m, lax, Expected::NoLoss), Verdict::Inconclusive);
    // A second is waited through, and two that are apart are no stretch.
    for full in [[true, false, false], [true, false, true]] {
        let m = on_a_machine(full, 500..600);
        assert_eq!((m.full, m.failed_while_full), (0, 0));
        assert_eq!(judged(&m, Tolerances::default(), Expected::NoLoss), Verdict::Fail);
    }
    assert_eq!(judged(&on_a_machine([true; 3], 0..0), Tolerances::default(), Expected::NoLoss), Verdict::Pass);
}

#[test]
fn a_look_at_the_load_says_who_is_not_well_and_whether_the_primary_is_alone() {
    let blue = ["blue".to_string()].into();
    let see = |kinds: &[u8]| {
        let samples = samples(kinds, 10_000);
        look([("web", &samples, &blue)], 0, 10_000_000)
    };
    assert!(see(&[0, 0, 0]).primary_alone);
    assert!(!see(&[0, 1, 0]).primary_alone);
    assert_eq!(see(&[]).unwell, ["web: no request has ended"]);
    assert_eq!(see(&[0, 2]).unwell, ["web: 1 of 2 requests failed (first: 5xx)"]);
    assert_eq!(see(&[4, 4]).unwell, ["web: nobody answers (all 2 requests failed, first: timeout)"]);
}

#[test]
fn a_scenario_document_says_everything_that_is_wrong_with_it() {
    let body = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let read = |spec: &str| {
        let text = format!(
            r#"{{"apiVersion": "failctl.dev/v1alpha1", "kind": "Scenario", "metadata": {{"name": "x"}}, "spec": {spec}}}"#
        );
        failctl::sim::document::read(body(&text))
    };
    let problems = read(r#"{"faults": [], "load": {"rate": 0, "warmup": "1ms"}}"#).unwrap_err();
    let codes: Vec<_> = problems.iter().map(|p| p.1.code).collect();
    assert_eq!(codes, ["FCT0603", "FCT0604", "FCT0605", "FCT0605"]);
    for burst in [0, 10] {
        let problems = read(&format!(r#"{{"faults": [], "load": {{"rate": 9, "burst": {burst}}}}}"#)).unwrap_err();
        assert_eq!(problems[2].1.what, format!("a burst of {burst} is not between 1 and the rate, 9"));
    }
    let problems = read(r#"{"url": "u", "faults": [{"inject": {"scaleToZero": {"cluster": "a", "deploymnt": "d"}}}]}"#);
    let (pointer, problem) = &problems.unwrap_err()[0];
    assert!(pointer.starts_with("/spec/faults/0/inject"), "{pointer}");
    let what = &problem.what;
    assert!(what.contains("spec.faults[0].inject.scaleToZero") && what.contains("deploymnt"), "{what}");
    let down = r#"[{"inject": {"clusterDown": {"cluster": "a"}}}]"#;
    let problems = read(&format!(r#"{{"targets": [{{"url": "u", "rate": 100001}}], "faults": {down}}}"#)).unwrap_err();
    let said = (problems[0].0.as_str(), problems[0].1.code);
    assert_eq!(said, ("/spec/targets/0/rate", "FCT0605"));
    let two = r#"[{"url": "u", "rate": 7}, {"url": "v"}]"#;
    let two = read(&format!(r#"{{"targets": {two}, "faults": {down}, "load": {{"rate": 9}}}}"#)).unwrap();
    let rates: Vec<_> = two.targets.iter().map(|t| t.rate(&two.load)).collect();
    assert_eq!(rates, [7, 9]);
    let good = read(&format!(r#"{{"url": "u", "faults": {down}, "expected": "outage"}}"#));
    let good = good.unwrap();
    assert_eq!((good.expected, good.fault_name().as_str()), (Expected::Outage, "cluster-down"));
    assert_eq!(good.load, Load::default());
}
