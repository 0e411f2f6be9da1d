//! A histogram that only grows, as Prometheus wants it.

/// Counts by size. Its bounds are fixed when it is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One count a bound, and one for what is above them all.
    counts: Vec<i64>,
    sum: f64,
}

impl Histogram {
    /// An empty histogram with these upper bounds, in ascending order.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// Adds `times` events of this size.
    #[expect(clippy::cast_precision_loss, reason = "a sum is a double by definition")]
    pub fn add(&mut self, size: f64, times: i64) {
        if times <= 0 || !size.is_finite() {
            return;
        }
        let bucket = self.bounds.partition_point(|bound| *bound < size);
        self.counts[bucket] += times;
        self.sum += size * times as f64;
    }

    /// For every bound (none: without bound) how many events were no larger.
    pub fn cumulative(&self) -> impl Iterator<Item = (Option<f64>, i64)> {
        let mut so_far = 0;
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        bounds.zip(&self.counts).map(move |(bound, count)| {
            so_far += count;
            (bound, so_far)
        })
    }

    /// The sum of all sizes.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// How many events there were.
    pub fn count(&self) -> i64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let mut histogram = Histogram::new(&[1.0, 10.0]);
        histogram.add(1.0, 2);
        histogram.add(1.5, 3);
        histogram.add(1000.0, 1);
        histogram.add(5.0, 0);
        histogram.add(f64::NAN, 7);
        assert_eq!(histogram.cumulative().collect::<Vec<_>>(), [(Some(1.0), 2), (Some(10.0), 5), (None, 6)]);
        assert_eq!((histogram.count(), histogram.sum()), (6, 1006.5));
    }
}
