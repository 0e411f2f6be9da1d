//! How SQLite is going to read a table: agreed on when a statement is prepared, carried out when it runs.

use super::filter::Operator;

/// What was agreed on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// The columns that are used, by place.
    pub(super) used: Vec<usize>,
    /// Comparisons whose values come when it runs, in their order.
    pub(super) comparisons: Vec<(usize, Operator)>,
    /// The columns by which rows are put together.
    pub(super) groups: Vec<usize>,
    /// Whether groups are sorted, and of each column whether it goes down.
    pub(super) sorted: Option<Vec<bool>>,
    /// Whether one row of each group is enough.
    pub(super) distinct: bool,
}

const OPERATORS: [(char, Operator); 5] = [
    ('=', Operator::Equal),
    ('<', Operator::Less),
    ('l', Operator::LessOrEqual),
    ('>', Operator::Greater),
    ('g', Operator::GreaterOrEqual),
];

impl Plan {
    /// As a text that SQLite keeps.
    pub(super) fn write(&self) -> String {
        let numbers = |numbers: &[usize]| numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let letter = |operator: Operator| OPERATORS.iter().find(|(_, known)| *known == operator).map_or('=', |(letter, _)| *letter);
        let comparisons: Vec<String> = self.comparisons.iter().map(|(field, operator)| format!("{}{field}", letter(*operator))).collect();
        let sorted = self.sorted.as_ref().map_or(String::new(), |down| down.iter().map(|down| if *down { 'd' } else { 'u' }).collect());
        let distinct = if self.distinct { "distinct" } else { "" };
        format!("{};{};{};{sorted};{distinct}", numbers(&self.used), comparisons.join(","), numbers(&self.groups))
    }

    /// From that text.
    pub(super) fn read(text: &str) -> Self {
        let mut parts = text.split(';');
        let mut part = || parts.next().unwrap_or_default();
        let numbers = |text: &str| text.split(',').filter_map(|number| number.parse().ok()).collect();
        let comparison = |text: &str| {
            let mut letters = text.chars();
            let letter = letters.next()?;
            let operator = OPERATORS.iter().find(|(known, _)| *known == letter)?.1;
            Some((letters.as_str().parse().ok()?, operator))
        };
        let used = numbers(part());
        let comparisons = part().split(',').filter_map(comparison).collect();
        let groups = numbers(part());
        let sorted = Some(part()).filter(|text| !text.is_empty()).map(|text| text.chars().map(|letter| letter == 'd').collect());
        Self { used, comparisons, groups, sorted, distinct: part() == "distinct" }
    }

    /// Columns that are used and not grouped by.
    pub(super) fn others(&self) -> Vec<usize> {
        self.used.iter().copied().filter(|field| !self.groups.contains(field)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        let plan = Plan {
            used: vec![0, 1, 14],
            comparisons: vec![(1, Operator::GreaterOrEqual), (1, Operator::Less), (9, Operator::Equal)],
            groups: vec![14, 3],
            sorted: Some(vec![true, false]),
            distinct: true,
        };
        assert_eq!(Plan::read(&plan.write()), plan);
        assert_eq!(Plan::read(&Plan::default().write()), Plan::default());
        assert_eq!(plan.others(), [0, 1]);
    }
}
