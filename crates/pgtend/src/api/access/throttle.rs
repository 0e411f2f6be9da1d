//! Wrong tokens, counted by address: each is answered late, and many of them with a refusal.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How late a wrong token is answered.
const DELAY: Duration = Duration::from_millis(300);
/// Wrong tokens from one address within [`PERIOD`] that are answered at all.
const MOST: u32 = 10;
const PERIOD: Duration = Duration::from_secs(60);
/// Addresses that are remembered; beyond, all are forgotten, which costs nothing but patience with them.
const ADDRESSES: usize = 4096;

/// What a wrong token gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The usual answer, after this time.
    Late(Duration),
    /// A refusal, with the seconds after which it may be tried again.
    Enough(u64),
}

/// Wrong tokens by address.
#[derive(Debug, Default)]
pub(in crate::api) struct Throttle(Mutex<HashMap<Option<IpAddr>, (u32, Instant)>>);

impl Throttle {
    /// Counts a wrong token.
    pub(super) fn wrong_token(&self, address: Option<IpAddr>) -> Verdict {
        self.at(address.map(network), Instant::now())
    }

    fn at(&self, address: Option<IpAddr>, now: Instant) -> Verdict {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= ADDRESSES {
            counts.clear();
        }
        let (count, since) = counts.entry(address).or_insert((0, now));
        if now.duration_since(*since) >= PERIOD {
            (*count, *since) = (0, now);
        }
        *count = count.saturating_add(1);
        match *count {
            ..=MOST => Verdict::Late(DELAY),
            _ => Verdict::Enough((PERIOD - now.duration_since(*since)).as_secs().max(1)),
        }
    }
}

/// Whoever has one IPv6 address has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_wrong_tokens_of_one_network_are_refused_for_a_while() {
        let throttle = Throttle::default();
        let begin = Instant::now();
        let one = Some(network("2001:db8::1".parse().unwrap()));
        let same = Some(network("2001:db8::ffff:2".parse().unwrap()));
        let other = Some(network("192.0.2.1".parse().unwrap()));
        for n in 0..MOST {
            let address = if n % 2 == 0 { one } else { same };
            assert_eq!(throttle.at(address, begin), Verdict::Late(DELAY));
        }
        assert_eq!(throttle.at(one, begin + Duration::from_secs(20)), Verdict::Enough(40));
        assert_eq!(throttle.at(other, begin), Verdict::Late(DELAY));
        assert_eq!(throttle.at(one, begin + PERIOD), Verdict::Late(DELAY));
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), "192.0.2.1".parse::<IpAddr>().unwrap());
    }
}
