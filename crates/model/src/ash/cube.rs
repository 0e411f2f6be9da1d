//! Counts session samples by any dimensions.

use super::block::{Block, Coder, Dimension, Key};
use std::collections::HashMap;

/// What is counted of the samples that share their keys.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Count {
    /// Samples: sessions seen, one for each instant at which each was seen.
    pub samples: u64,
    /// Processor time in ms, of those samples for which it is known.
    pub cpu_ms: f64,
    /// Samples for which it is known.
    pub cpu_known: u64,
}

impl Count {
    /// Adds another.
    pub fn add(&mut self, other: Self) {
        self.samples += other.samples;
        self.cpu_ms += other.cpu_ms;
        self.cpu_known += other.cpu_known;
    }
}

/// Samples counted by dimensions, and by time where a width is given.
#[derive(Debug, Clone)]
pub struct Cube {
    dimensions: Vec<Dimension>,
    bucket_ms: Option<i64>,
    cells: HashMap<Cell, Count>,
}

/// One place in a cube.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cell {
    /// Start of the stretch of time, in ms since 1970; zero when time is not counted by.
    pub bucket_ms: i64,
    /// What the samples have in common, in the order of the dimensions.
    pub keys: Box<[Key]>,
}

/// Most cells that are counted in a plain array; with more, a map is smaller.
const DENSE: usize = 1 << 20;

impl Cube {
    /// An empty cube.
    pub fn new(dimensions: &[Dimension]) -> Self {
        Self { dimensions: dimensions.to_vec(), bucket_ms: None, cells: HashMap::new() }
    }

    /// The same, counted by stretches of time too, each so many ms wide and starting at a multiple of that.
    #[must_use]
    pub fn by_time(mut self, bucket_ms: i64) -> Self {
        self.bucket_ms = Some(bucket_ms.max(1));
        self
    }

    /// Counts the rows of a block in. It must have the dimensions, and processor time where that is to be counted.
    pub fn add(&mut self, block: &Block) {
        let mut axes: Vec<(usize, &[u32])> = Vec::with_capacity(self.dimensions.len() + 1);
        for dimension in &self.dimensions {
            let Some(coded) = block.dimensions.get(dimension) else { return };
            axes.push((coded.keys.len(), &coded.codes));
        }
        let (buckets, bucket_codes) = self.buckets(block);
        axes.push((buckets.len(), &bucket_codes));
        for (place, count) in counted(&axes, block) {
            let (bucket, codes) = unfold(place, &axes);
            let keys = self.dimensions.iter().zip(codes).map(|(dimension, code)| block.dimensions[dimension].keys[code].clone());
            self.cells.entry(Cell { bucket_ms: buckets[bucket], keys: keys.collect() }).or_default().add(count);
        }
    }

    /// Adds what another cube of the same shape has counted.
    pub fn merge(&mut self, other: &Self) {
        for (cell, count) in &other.cells {
            self.cells.entry(cell.clone()).or_default().add(*count);
        }
    }

    fn buckets(&self, block: &Block) -> (Vec<i64>, Vec<u32>) {
        let Some(width) = self.bucket_ms else { return (vec![0], vec![0; block.len()]) };
        let mut coder = Coder::default();
        let codes = block.at_ms.iter().map(|at| coder.code(at.div_euclid(width) * width)).collect();
        (coder.into_keys(), codes)
    }

    /// The cells, in no particular order.
    pub fn cells(&self) -> impl Iterator<Item = (&Cell, Count)> {
        self.cells.iter().map(|(cell, count)| (cell, *count))
    }

    /// The cells, those with the most samples first; equal ones in the order of their keys.
    pub fn top(&self) -> Vec<(&Cell, Count)> {
        let mut cells: Vec<_> = self.cells().collect();
        cells.sort_by(|a, b| b.1.samples.cmp(&a.1.samples).then_with(|| a.0.cmp(b.0)));
        cells
    }

    /// Everything together.
    pub fn total(&self) -> Count {
        let mut total = Count::default();
        self.cells().for_each(|(_, count)| total.add(count));
        total
    }
}

/// Counts by the place of each row in the space that the axes span.
fn counted(axes: &[(usize, &[u32])], block: &Block) -> Vec<(usize, Count)> {
    let room = axes.iter().try_fold(1_usize, |room, (length, _)| room.checked_mul((*length).max(1)));
    let place = |row: usize| axes.iter().fold(0_usize, |place, (length, codes)| place * (*length).max(1) + codes[row] as usize);
    if room.is_some_and(|room| room <= DENSE) {
        let mut counts = vec![Count::default(); room.unwrap_or(0)];
        (0..block.len()).for_each(|row| count_in(&mut counts[place(row)], block, row));
        return counts.into_iter().enumerate().filter(|(_, count)| count.samples > 0).collect();
    }
    let mut counts: HashMap<usize, Count> = HashMap::new();
    (0..block.len()).for_each(|row| count_in(counts.entry(place(row)).or_default(), block, row));
    counts.into_iter().collect()
}

fn count_in(count: &mut Count, block: &Block, row: usize) {
    count.samples += 1;
    if let Some(cpu_ms) = block.cpu_ms.get(row).filter(|cpu_ms| !cpu_ms.is_nan()) {
        count.cpu_ms += f64::from(*cpu_ms);
        count.cpu_known += 1;
    }
}

/// The bucket and the other codes of a place.
fn unfold(mut place: usize, axes: &[(usize, &[u32])]) -> (usize, Vec<usize>) {
    let mut codes = vec![0; axes.len()];
    for (axis, (length, _)) in axes.iter().enumerate().rev() {
        codes[axis] = place % (*length).max(1);
        place /= (*length).max(1);
    }
    let bucket = codes.pop().unwrap_or(0);
    (bucket, codes)
}

#[cfg(test)]
mod tests {
    use super::super::block::Coded;
    use super::*;
    use proptest::prelude::*;

    fn block(rows: &[(i64, u32, u32, f32)]) -> Block {
        let name = |n: u32| Key::Text(format!("k{n}").into());
        let coded =
            |pick: fn(&(i64, u32, u32, f32)) -> u32| Coded { keys: (0..8).map(name).collect(), codes: rows.iter().map(pick).collect() };
        Block {
            at_ms: rows.iter().map(|row| row.0).collect(),
            dimensions: [(Dimension::User, coded(|row| row.1)), (Dimension::WaitClass, coded(|row| row.2))].into(),
            cpu_ms: rows.iter().map(|row| row.3).collect(),
            ..Block::default()
        }
    }

    proptest! {
        #[test]
        fn it_counts_what_counting_one_by_one_counts(rows in prop::collection::vec((0_i64..50_000, 0_u32..8, 0_u32..8, 0_f32..10.0), 0..200)) {
            let mut cube = Cube::new(&[Dimension::User, Dimension::WaitClass]).by_time(10_000);
            let (first, second) = rows.split_at(rows.len() / 2);
            cube.add(&block(first));
            cube.add(&block(second));
            let mut one_by_one: HashMap<(i64, u32, u32), u64> = HashMap::new();
            rows.iter().for_each(|row| *one_by_one.entry((row.0 / 10_000 * 10_000, row.1, row.2)).or_default() += 1);
            prop_assert_eq!(cube.cells().count(), one_by_one.len());
            for ((bucket_ms, user, class), samples) in one_by_one {
                let keys = [user, class].map(|n| Key::Text(format!("k{n}").into()));
                prop_assert_eq!(cube.cells[&Cell { bucket_ms, keys: keys.into() }].samples, samples);
            }
        }
    }

    #[test]
    fn unknown_processor_time_is_not_counted_as_none() {
        let mut cube = Cube::new(&[Dimension::User]);
        cube.add(&block(&[(0, 1, 0, 5.0), (0, 1, 0, f32::NAN)]));
        assert_eq!(cube.total(), Count { samples: 2, cpu_ms: 5.0, cpu_known: 1 });
    }
}
