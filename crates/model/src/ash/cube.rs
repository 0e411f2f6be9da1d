//! Counts session samples by any dimensions.

use super::block::{Block, Coder, Dimension, Key};
use rustc_hash::FxHashMap;

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

    /// Adds a sample and its processor time, NaN where that is unknown.
    fn add_one(&mut self, cpu_ms: f32) {
        self.samples += 1;
        if !cpu_ms.is_nan() {
            self.cpu_ms += f64::from(cpu_ms);
            self.cpu_known += 1;
        }
    }
}

/// Samples counted by dimensions, and by time where a width is given.
#[derive(Debug, Clone)]
pub struct Cube {
    dimensions: Vec<Dimension>,
    bucket_ms: Option<i64>,
    /// What has occurred in each dimension.
    keys: Vec<Coder<Key>>,
    /// The stretches of time.
    buckets: Coder<i64>,
    /// Axis by axis, the place of what was there before together with a code; those of the last axis are places in `cells`.
    places: Vec<FxHashMap<(u32, u32), u32>>,
    cells: Vec<(Cell, Count)>,
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

/// How many values an axis of a block has, and the value of each row.
type Axis<'a> = (usize, &'a [u32]);

impl Cube {
    /// An empty cube.
    pub fn new(dimensions: &[Dimension]) -> Self {
        Self {
            dimensions: dimensions.to_vec(),
            bucket_ms: None,
            keys: vec![Coder::default(); dimensions.len()],
            buckets: Coder::default(),
            places: vec![FxHashMap::default(); dimensions.len() + 1],
            cells: Vec::new(),
        }
    }

    /// The same, counted by stretches of time too, each so many ms wide and starting at a multiple of that.
    #[must_use]
    pub fn by_time(mut self, bucket_ms: i64) -> Self {
        self.bucket_ms = Some(bucket_ms.max(1));
        self
    }

    /// Counts the rows of a block in. It must have the dimensions, and processor time where that is to be counted.
    pub fn add(&mut self, block: &Block) {
        let mut axes: Vec<Axis<'_>> = Vec::with_capacity(self.dimensions.len() + 1);
        for dimension in &self.dimensions {
            let Some(coded) = block.dimensions.get(dimension) else { return };
            axes.push((coded.keys.len(), &coded.codes));
        }
        let (buckets, bucket_codes) = self.buckets(block);
        axes.extend(bucket_codes.as_deref().map(|codes| (buckets.len(), codes)));
        let codes = self.codes(block, buckets);
        let mut cell = vec![0; axes.len()];
        for (place, count) in counted(&axes, block) {
            unfold(place, &axes, &mut cell);
            cell.iter_mut().zip(&codes).for_each(|(code, known)| *code = known[*code as usize]);
            self.count(&cell, count);
        }
    }

    /// The starts of a block's stretches of time and the stretch of each row, which often follow one another; none when time is not
    /// counted by.
    fn buckets(&self, block: &Block) -> (Vec<i64>, Option<Vec<u32>>) {
        let Some(width) = self.bucket_ms else { return (Vec::new(), None) };
        let mut coder = Coder::default();
        let (mut bucket, mut code) = (i64::MIN, 0);
        let codes = block.at_ms.iter().map(|at| {
            if !(bucket..bucket.saturating_add(width)).contains(at) {
                bucket = at.div_euclid(width) * width;
                code = coder.code(bucket);
            }
            code
        });
        let codes = codes.collect();
        (coder.into_keys(), Some(codes))
    }

    /// Of each axis of a block the codes that its values have in the cube.
    fn codes(&mut self, block: &Block, buckets: Vec<i64>) -> Vec<Vec<u32>> {
        let dimensions = self.dimensions.iter().zip(&mut self.keys);
        let mut codes: Vec<Vec<u32>> =
            dimensions.map(|(dimension, coder)| block.dimensions[dimension].keys.iter().map(|key| coder.code_of(key)).collect()).collect();
        codes.push(buckets.into_iter().map(|bucket| self.buckets.code(bucket)).collect());
        codes
    }

    fn count(&mut self, codes: &[u32], count: Count) {
        let mut place = 0;
        for (known, code) in self.places.iter_mut().zip(codes) {
            let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
            place = *known.entry((place, *code)).or_insert(next);
        }
        if let Some((_, counted)) = self.cells.get_mut(place as usize) {
            return counted.add(count);
        }
        let (codes, bucket) = codes.split_at(self.dimensions.len());
        let keys = self.keys.iter().zip(codes).map(|(coder, code)| coder.key(*code).clone()).collect();
        let bucket_ms = bucket.first().map_or(0, |code| *self.buckets.key(*code));
        self.cells.push((Cell { bucket_ms, keys }, count));
    }

    /// What a cell of it has in one of its dimensions.
    pub fn key<'a>(&self, cell: &'a Cell, dimension: Dimension) -> &'a Key {
        key_in(&self.dimensions, &cell.keys, dimension)
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

/// What keys in the order of these dimensions have in one of them.
pub fn key_in<'a>(dimensions: &[Dimension], keys: &'a [Key], dimension: Dimension) -> &'a Key {
    let place = dimensions.iter().position(|known| *known == dimension);
    place.and_then(|place| keys.get(place)).unwrap_or(&Key::None)
}

/// Counts by the place of each row in the space that the axes span.
fn counted(axes: &[Axis<'_>], block: &Block) -> Vec<(usize, Count)> {
    let room = axes.iter().try_fold(1_usize, |room, (length, _)| room.checked_mul((*length).max(1)));
    if let Some(room) = room.filter(|room| *room <= DENSE) {
        let mut counts = vec![Count::default(); room];
        each_place(axes, block, |place, cpu_ms| counts[place].add_one(cpu_ms));
        return counts.into_iter().enumerate().filter(|(_, count)| count.samples > 0).collect();
    }
    let mut counts: FxHashMap<usize, Count> = FxHashMap::default();
    each_place(axes, block, |place, cpu_ms| counts.entry(place).or_default().add_one(cpu_ms));
    counts.into_iter().collect()
}

/// The place and the processor time of each row; some rows at a time, axis after axis, which is what processors are quick at.
fn each_place(axes: &[Axis<'_>], block: &Block, mut each: impl FnMut(usize, f32)) {
    let mut places = [0_usize; 1024];
    for start in (0..block.len()).step_by(places.len()) {
        let rows = start..block.len().min(start + places.len());
        places.fill(0);
        for (length, codes) in axes {
            let codes = &codes[rows.clone()];
            places.iter_mut().zip(codes).for_each(|(place, code)| *place = *place * (*length).max(1) + *code as usize);
        }
        match block.cpu_ms.get(rows.clone()) {
            Some(known) => places.iter().zip(known).for_each(|(place, cpu_ms)| each(*place, *cpu_ms)),
            None => places.iter().take(rows.len()).for_each(|place| each(*place, f32::NAN)),
        }
    }
}

/// The values of a place on each axis.
fn unfold(mut place: usize, axes: &[Axis<'_>], values: &mut [u32]) {
    for ((length, _), value) in axes.iter().zip(values).rev() {
        *value = u32::try_from(place % (*length).max(1)).unwrap_or(u32::MAX);
        place /= (*length).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::Coded;
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

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
                let wanted = Cell { bucket_ms, keys: keys.into() };
                let found = cube.cells().find(|(cell, _)| **cell == wanted).map(|(_, count)| count.samples);
                prop_assert_eq!(found, Some(samples));
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
