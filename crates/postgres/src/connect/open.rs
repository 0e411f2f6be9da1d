//! Goes through the hosts of a target until a session will do, as libpq does.

use super::attempt::{Attempt, Failure, Left, Opened};
use super::dial::Endpoint;
use super::secure::steps;
use super::startup::Bounds;
use super::target::Wants;
use pgtend_model::error::{Error, Kind, Result, Retry};

/// Opens a connection to the first server of the target that will do.
///
/// # Errors
/// What went wrong, at which address; when several were tried, all of it.
pub async fn open(attempt: Attempt<'_>) -> Result<(Opened, Endpoint)> {
    let rounds: &[Wants] = match &attempt.target.wants {
        Wants::PreferStandby => &[Wants::Standby, Wants::Any],
        wants => std::slice::from_ref(wants),
    };
    let mut failures = Vec::new();
    for wants in rounds {
        failures.clear();
        if let Some(done) = one_round(attempt, *wants, &mut failures).await {
            return done;
        }
    }
    Err(summary(failures))
}

/// Tries every endpoint once; none when all failed in ways that leave another to try.
async fn one_round(attempt: Attempt<'_>, wants: Wants, failures: &mut Vec<Error>) -> Option<Result<(Opened, Endpoint)>> {
    for host in shuffled(attempt.target.hosts.clone(), attempt.target.shuffle) {
        let endpoints = match Endpoint::of(&host).await {
            Ok(endpoints) => shuffled(endpoints, attempt.target.shuffle),
            Err(error) => {
                failures.push(error.at(host.to_string()));
                continue;
            }
        };
        for endpoint in endpoints {
            let mut outcome = at_endpoint(attempt, &endpoint).await;
            if matches!(outcome, Err(Failure { left: Left::BoundsAtStartup, .. })) {
                outcome = at_endpoint(Attempt { bounds: Bounds::AtStartup, ..attempt }, &endpoint).await;
            }
            match outcome {
                Ok(opened) => match unfit(&opened, wants) {
                    None => return Some(Ok((opened, endpoint))),
                    Some(error) => failures.push(error.at(endpoint.to_string())),
                },
                Err(Failure { error, left: Left::OtherEndpoint }) => failures.push(error.at(endpoint.to_string())),
                Err(Failure { error, .. }) => return Some(Err(error.at(endpoint.to_string()))),
            }
        }
    }
    None
}

/// Tries an endpoint with and without TLS, as far as the mode allows both and the first failure makes sense of the second.
async fn at_endpoint(attempt: Attempt<'_>, endpoint: &Endpoint) -> Result<Opened, Failure> {
    let mut steps = steps(attempt.target.tls.mode, endpoint).iter();
    let Some(first) = steps.next() else { unreachable!("every mode makes an attempt") };
    let failure = match attempt.run(endpoint, *first).await {
        Err(failure) if failure.left == Left::OtherEncryption => failure,
        outcome => return outcome,
    };
    let Some(second) = steps.next() else { return Err(failure) };
    match attempt.run(endpoint, *second).await {
        Ok(opened) => Ok(opened),
        Err(other) => Err(both(failure, other)),
    }
}

/// The first failure counts; the second is told where it says something else.
fn both(mut first: Failure, second: Failure) -> Failure {
    if second.error.what != first.error.what && second.error.kind != Kind::Unsupported {
        first.error.what = format!("{}; on the second attempt, with the other encryption: {}", first.error.what, second.error.what);
    }
    first.left = second.left;
    first
}

/// Why a server that let us in is not the one that is wanted.
fn unfit(opened: &Opened, wants: Wants) -> Option<Error> {
    let (fits, found) = match wants {
        Wants::Any | Wants::PreferStandby => (true, ""),
        Wants::ReadWrite => (!opened.read_only, "the server is read-only"),
        Wants::ReadOnly => (opened.read_only, "the server is not read-only"),
        Wants::Primary => (!opened.standby, "the server is a standby"),
        Wants::Standby => (opened.standby, "the server is a primary"),
    };
    let hint = "target_session_attrs asks for another sort of server; it may become one after a failover";
    (!fits).then(|| Error::new(Kind::Conflict, found).hint(hint))
}

fn shuffled<T>(mut items: Vec<T>, wanted: bool) -> Vec<T> {
    if wanted {
        items.sort_by_cached_key(|_| getrandom::u32().unwrap_or_default());
    }
    items
}

/// One error for all failed endpoints.
fn summary(failures: Vec<Error>) -> Error {
    let mut failures = failures.into_iter();
    let Some(first) = failures.next() else { return Error::new(Kind::Unreachable, "the host name has no address") };
    let others: Vec<Error> = failures.collect();
    let Some(last) = others.last() else { return first };
    if others.iter().all(|other| other.what == first.what) {
        let places: Vec<&str> = std::iter::once(&first).chain(&others).map(|error| error.place.as_str()).collect();
        return Error { place: places.join(", "), ..first };
    }
    // A server that answered says more than one that did not.
    let telling = std::iter::once(&first).chain(&others).find(|error| error.kind != Kind::Unreachable).unwrap_or(last);
    let told: Vec<String> = std::iter::once(&first).chain(&others).map(|error| format!("{}: {}", error.place, error.what)).collect();
    let retry = if std::iter::once(&first).chain(&others).any(|error| error.retry == Retry::Later) { Retry::Later } else { Retry::Never };
    Error::new(telling.kind, format!("no server will do: {}", told.join("; "))).hint(&telling.hint).retry(retry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: Kind, what: &str, place: &str) -> Error {
        Error::new(kind, what).at(place).hint(format!("hint of {place}"))
    }

    #[test]
    fn one_failure_stands_alone_and_equal_ones_are_told_once() {
        let refused = |place| failure(Kind::Unreachable, "nothing listens there", place);
        assert_eq!(summary(vec![refused("a:1")]), refused("a:1"));
        let both = summary(vec![refused("a:1"), refused("b:1")]);
        assert_eq!((both.what.as_str(), both.place.as_str()), ("nothing listens there", "a:1, b:1"));
    }

    #[test]
    fn of_several_failures_the_most_telling_gives_kind_and_hint() {
        let error = summary(vec![
            failure(Kind::Unreachable, "nothing listens there", "a:1"),
            failure(Kind::Rejecting, "it is starting up", "b:1"),
            failure(Kind::Unreachable, "nothing answers", "c:1"),
        ]);
        assert_eq!((error.kind, error.hint.as_str()), (Kind::Rejecting, "hint of b:1"));
        assert_eq!(error.what, "no server will do: a:1: nothing listens there; b:1: it is starting up; c:1: nothing answers");
    }
}
