//! The split against what Envoy 1.40 did, and laws.

use proptest::prelude::*;

use super::*;

fn two(a: u32, b: u32) -> [Hosts; 2] {
    [Hosts::of(a, 10), Hosts::of(b, 10)]
}

const NO_PANIC: Settings = Settings { overprovisioning: 140, panic_threshold: 0 };

#[test]
fn the_backup_gets_what_ten_to_zero_healthy_hosts_leave_it() {
    let measured = [(10, 0), (9, 0), (8, 0), (7, 2), (6, 16), (5, 30), (4, 44), (3, 58), (2, 72), (1, 86), (0, 100)];
    for (healthy, backup) in measured {
        let got = load(&two(healthy, 10), Settings::default());
        assert_eq!(got.split(), vec![100 - backup, backup], "{healthy} of 10");
        assert_eq!(got.lost_per_mille(&two(healthy, 10)), 0, "{healthy} of 10");
    }
}

#[test]
fn an_aggregate_with_default_panic_in_its_member_sends_to_dead_hosts() {
    let measured = [(7, 0), (6, 0), (5, 0), (4, 336), (3, 294), (2, 224), (1, 126), (0, 0)];
    for (healthy, lost) in measured {
        let members = [vec![Hosts::of(healthy, 10)], vec![Hosts::of(10, 10)]];
        let got = aggregate(&members, Settings::default(), Settings::default());
        assert_eq!(got.lost_per_mille(&two(healthy, 10)), lost, "{healthy} of 10");
        let calm = aggregate(&members, Settings::default(), NO_PANIC);
        assert_eq!(calm.lost_per_mille(&two(healthy, 10)), 0, "{healthy} of 10, member without panic");
    }
}

#[test]
fn panic_splits_as_measured() {
    let measured = [
        (2, 2, [50, 50], 800),
        (4, 0, [50, 50], 800),
        (5, 5, [70, 30], 0),
        (4, 4, [56, 44], 0),
        (0, 0, [50, 50], 1000),
        (0, 3, [50, 50], 850),
        (6, 1, [86, 14], 126),
        (1, 6, [15, 85], 135),
    ];
    for (a, b, split, lost) in measured {
        let got = load(&two(a, b), Settings::default());
        assert_eq!(got.split(), split, "{a},{b}");
        assert_eq!(got.lost_per_mille(&two(a, b)), lost, "{a},{b}");
    }
}

#[test]
fn an_aggregate_hits_dead_hosts_where_one_cluster_does_not() {
    let members = [vec![Hosts::of(4, 10)], vec![Hosts::of(4, 10)]];
    let got = aggregate(&members, Settings::default(), Settings::default());
    assert_eq!(got.split(), [56, 44]);
    assert_eq!(got.lost_per_mille(&two(4, 4)), 600);
}

#[test]
fn without_panic_everything_goes_to_who_is_left_and_nobody_left_is_an_outage() {
    let got = load(&two(4, 0), NO_PANIC);
    assert_eq!((got.split(), got.lost_per_mille(&two(4, 0))), (vec![100, 0], 0));
    let none = load(&two(0, 0), NO_PANIC);
    assert_eq!((none.split(), none.lost_per_mille(&two(0, 0)), none.total_panic), (vec![100, 0], 1000, false));
}

#[test]
fn the_published_rows_that_disagree_with_the_binary_follow_the_formula() {
    let of = |percents: &[u32]| percents.iter().map(|p| Hosts::of(*p, 100)).collect::<Vec<_>>();
    assert_eq!(load(&of(&[25, 25, 20]), NO_PANIC).split(), [37, 35, 28]);
    assert_eq!(load(&of(&[5, 65]), NO_PANIC).split(), [8, 92]);
    assert_eq!(load(&of(&[50, 60]), NO_PANIC).split(), [70, 30]);
    assert_eq!(load(&of(&[25, 100]), NO_PANIC).split(), [35, 65]);
}

#[test]
fn two_of_three_local_hosts_already_spill_and_three_of_four_do_not() {
    assert_eq!(load(&[Hosts::of(2, 3), Hosts::of(1, 1)], NO_PANIC).split(), [93, 7]);
    assert_eq!(load(&[Hosts::of(3, 4), Hosts::of(1, 1)], NO_PANIC).split(), [100, 0]);
}

#[test]
fn an_empty_primary_is_no_reason_for_panic() {
    let hosts = [Hosts::of(0, 0), Hosts::of(1, 1)];
    let got = load(&hosts, Settings::default());
    assert_eq!((got.split(), got.lost_per_mille(&hosts)), (vec![0, 100], 0));
}

#[test]
fn degraded_hosts_wait_for_the_healthy_of_all_priorities() {
    let degraded = |healthy, degraded| Hosts { total: 10, healthy, degraded, excluded: 0 };
    let got = load(&[degraded(0, 10), degraded(10, 0)], Settings::default());
    assert_eq!((got.healthy, got.degraded), (vec![0, 100], vec![0, 0]));
    let got = load(&[degraded(0, 10), degraded(0, 10)], Settings::default());
    assert_eq!((got.healthy, got.degraded), (vec![0, 0], vec![100, 0]));
}

#[test]
fn excluded_hosts_leave_the_denominator() {
    let waiting = Hosts { total: 10, healthy: 5, degraded: 0, excluded: 5 };
    assert_eq!(load(&[waiting, Hosts::of(10, 10)], Settings::default()).split(), [100, 0]);
}

fn any_hosts() -> impl Strategy<Value = Hosts> {
    (0u32..40, 0u32..40, 0u32..40).prop_map(|(h, d, u)| Hosts {
        total: h + d + u,
        healthy: h,
        degraded: d,
        excluded: 0,
    })
}

proptest! {
    #[test]
    fn shares_sum_to_a_hundred_when_there_is_a_host(
        hosts in prop::collection::vec(any_hosts(), 1..6), opf in 100u32..300, threshold in 0u32..=100
    ) {
        prop_assume!(hosts.iter().any(|h| h.total > 0));
        let got = load(&hosts, Settings { overprovisioning: opf, panic_threshold: threshold });
        prop_assert_eq!(got.split().iter().sum::<u32>(), 100);
        prop_assert!(got.pick(u64::from(opf)).is_some());
    }

    #[test]
    fn one_more_healthy_host_never_takes_load_from_its_own_priority(
        healthy in 0u32..20, total in 20u32..40, rest in prop::collection::vec(any_hosts(), 1..4)
    ) {
        let with = |h: u32| {
            let hosts: Vec<Hosts> = std::iter::once(Hosts::of(h, total)).chain(rest.iter().copied()).collect();
            load(&hosts, NO_PANIC).of(0)
        };
        prop_assume!(rest.iter().any(|h| h.healthy > 0));
        prop_assert!(with(healthy) <= with(healthy + 1) + 1, "{} then {}", with(healthy), with(healthy + 1));
    }

    #[test]
    fn without_panic_nothing_goes_to_dead_hosts_while_somebody_lives(
        hosts in prop::collection::vec(any_hosts(), 1..6)
    ) {
        prop_assume!(hosts.iter().any(|h| h.healthy * 140 >= h.total.max(1)));
        prop_assert_eq!(load(&hosts, NO_PANIC).lost_per_mille(&hosts), 0);
    }

    #[test]
    fn a_draw_lands_where_the_load_says(hosts in prop::collection::vec(any_hosts(), 1..6)) {
        prop_assume!(hosts.iter().any(|h| h.total > 0));
        let got = load(&hosts, Settings::default());
        let mut seen = vec![0; hosts.len()];
        (0..100).filter_map(|draw| got.pick(draw)).for_each(|p| seen[p] += 1);
        prop_assert_eq!(seen, got.split());
    }
}
