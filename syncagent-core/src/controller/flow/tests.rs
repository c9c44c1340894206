use proptest::prelude::*;

use super::*;

/// A server, as the rate of answers that it makes of so many requests at once; none: it refuses.
type Server<'a> = &'a dyn Fn(f64) -> Option<f64>;

/// Plays a server against a flow that always has more to do, for so many seconds.
struct Play {
    flow: Flow,
    now: Duration,
    chance: u64,
}

impl Play {
    fn new(most: usize) -> Self {
        Self {
            flow: Flow::new(most),
            now: Duration::ZERO,
            chance: 7,
        }
    }

    /// Between 0.9 and 1.1, the same every time.
    fn noise(&mut self) -> f64 {
        self.chance = self
            .chance
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let unit = f64::from(u32::try_from(self.chance >> 32).unwrap()) / f64::from(u32::MAX);
        0.9 + 0.2 * unit
    }

    /// Returns how many answers a second there were in the second half of the time, and the limit at the end.
    fn run(&mut self, server: Server<'_>, seconds: u64) -> (f64, usize) {
        let end = self.now + Duration::from_secs(seconds);
        let middle = self.now + Duration::from_secs(seconds) / 2;
        let mut given = 0.0;
        let mut noise = 1.0;
        let mut turn = 0;
        while self.now < end {
            #[expect(clippy::cast_precision_loss, reason = "it is small")]
            let under_way = self.flow.limit() as f64;
            if turn % 50 == 0 {
                noise = self.noise();
            }
            turn += 1;
            match server(under_way) {
                Some(rate) => {
                    self.now += Duration::from_secs_f64(1.0 / (rate * noise));
                    self.flow.heard(Sign::Answered, true, self.now);
                    given += f64::from(u8::from(self.now > middle));
                }
                None => {
                    self.now += Duration::from_millis(100);
                    self.flow.heard(Sign::Refused, true, self.now);
                }
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "it is small")]
        let half = seconds as f64 / 2.0;
        (given / half, self.flow.limit())
    }
}

/// So many workers, each of whom answers so many requests a second.
fn pool(workers: f64, each: f64) -> impl Fn(f64) -> Option<f64> {
    move |under_way| Some(under_way.min(workers) * each)
}

#[test]
fn what_is_far_away_gets_as_many_as_may_be() {
    // Each request takes 50 ms, however many there are.
    let (rate, limit) = Play::new(64).run(&pool(1e9, 20.0), 60);
    assert_eq!(limit, 64);
    assert!(rate > 0.9 * 64.0 * 20.0, "{rate}");
}

#[test]
fn a_server_that_is_full_gets_no_more_than_it_can_use() {
    for workers in [4.0, 10.0, 24.0, 40.0] {
        let (rate, limit) = Play::new(256).run(&pool(workers, 50.0), 120);
        assert!(rate > 0.9 * workers * 50.0, "{workers}: {rate}");
        #[expect(clippy::cast_precision_loss, reason = "it is small")]
        let limit = limit as f64;
        assert!(limit <= 1.5 * workers + 6.0, "{workers}: {limit}");
    }
}

#[test]
fn a_server_that_breaks_down_under_load_is_spared() {
    // Beyond 20 every further request costs all the others.
    let server = |under_way: f64| {
        let beyond = (under_way - 20.0).max(0.0);
        Some(under_way.min(20.0) * 50.0 / (1.0 + beyond * beyond / 100.0))
    };
    let (rate, limit) = Play::new(256).run(&server, 120);
    assert!(rate > 0.8 * 20.0 * 50.0, "{rate}");
    assert!((12..=30).contains(&limit), "{limit}");
}

#[test]
fn refusals_halve_it_and_no_oftener_than_once_a_second() {
    let mut flow = Flow::new(64);
    let at = Duration::from_millis;
    let limits: Vec<_> = [0, 100, 999, 1000, 2500, 4000, 9000, 20_000]
        .into_iter()
        .map(|time| {
            flow.heard(Sign::Refused, true, at(time));
            flow.limit()
        })
        .collect();
    assert_eq!(limits, [24, 24, 24, 12, 6, 3, 2, 1]);
}

#[test]
fn what_gets_lost_leaves_as_many_as_at_the_start() {
    let mut flow = Flow::new(64);
    for second in 0..10 {
        flow.heard(Sign::Silent, true, Duration::from_secs(second));
    }
    assert_eq!(flow.limit(), 48);
    // Who was refused before is not given more for it.
    flow.heard(Sign::Refused, true, Duration::from_secs(20));
    flow.heard(Sign::Silent, true, Duration::from_secs(30));
    assert_eq!(flow.limit(), 24);
}

#[test]
fn a_server_that_takes_only_so_many_is_served_without_pause() {
    let server = |under_way: f64| (under_way <= 30.0).then_some(under_way * 20.0);
    let mut play = Play::new(256);
    let (rate, limit) = play.run(&server, 120);
    assert!(rate > 0.8 * 30.0 * 20.0, "{rate}");
    assert!(limit <= 38, "{limit}");
}

#[test]
fn a_server_that_gets_slower_is_given_less_and_more_again() {
    let mut play = Play::new(128);
    let (before, _) = play.run(&pool(60.0, 20.0), 60);
    let (meanwhile, few) = play.run(&pool(8.0, 20.0), 60);
    let (after, many) = play.run(&pool(60.0, 20.0), 120);
    assert!(meanwhile > 0.8 * 8.0 * 20.0, "{meanwhile}");
    assert!(few < many, "{few} {many}");
    assert!(after > 0.8 * before, "{before} {after}");
}

#[test]
fn little_to_do_teaches_nothing() {
    let mut flow = Flow::new(64);
    for n in 0..10_000 {
        flow.heard(Sign::Answered, n % 20 != 0, Duration::from_millis(n));
    }
    assert_eq!(flow.limit(), 48);
}

proptest! {
    #![proptest_config(crate::controller::chance::cases(32))]

    #[test]
    fn it_stays_within_its_bounds(most in 1_usize..200, told in prop::collection::vec((any::<bool>(), any::<bool>(), 0_u64..2000), 0..2000)) {
        let mut flow = Flow::new(most);
        let mut now = Duration::ZERO;
        for (given, full, micros) in told {
            now += Duration::from_micros(micros);
            flow.heard(if given { Sign::Answered } else { Sign::Refused }, full, now);
            prop_assert!((1..=most).contains(&flow.limit()));
        }
    }

    #[test]
    fn any_pool_is_used_well(workers in 2.0_f64..60.0, each in 1.0_f64..50.0) {
        let (rate, _) = Play::new(64).run(&pool(workers, each), 120);
        prop_assert!(rate > 0.85 * workers.min(64.0) * each, "{rate} of {}", workers * each);
    }
}
