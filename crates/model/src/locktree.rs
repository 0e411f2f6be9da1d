//! Who waits for whom: the waits of sessions for one another as trees, with those that everybody waits for at the roots.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One session in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Process id; 0 stands for a prepared transaction.
    pub pid: i64,
    /// Others that it waits for besides the one above it: it is in one place only, however many hold it up.
    pub also: Vec<i64>,
    /// Those that wait for it.
    pub waiters: Vec<Node>,
    /// Whether it waits in a circle: a deadlock that PostgreSQL has not resolved yet, or that formed while it was looked at.
    pub in_circle: bool,
}

impl Node {
    /// How many sessions wait below it.
    pub fn victims(&self) -> usize {
        self.waiters.iter().map(|waiter| 1 + waiter.victims()).sum()
    }
}

/// The trees, the one with the most victims first. A session is below the one of those it waits for that is nearest to a root.
pub fn trees(waits: &BTreeMap<i64, Vec<i64>>) -> Vec<Node> {
    let waits: BTreeMap<i64, BTreeSet<i64>> = waits
        .iter()
        .map(|(pid, blockers)| (*pid, blockers.iter().copied().filter(|blocker| blocker != pid).collect()))
        .filter(|(_, blockers): &(i64, BTreeSet<i64>)| !blockers.is_empty())
        .collect();
    let mut behind: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for (pid, blockers) in &waits {
        for blocker in blockers {
            behind.entry(*blocker).or_default().insert(*pid);
        }
    }
    let mut forest = Forest { waits: &waits, behind: &behind, parent: BTreeMap::new() };
    let free: Vec<i64> = behind.keys().copied().filter(|pid| !waits.contains_key(pid)).collect();
    let mut trees = forest.grow(&free, false);
    // What no root leads to waits in a circle: the one that holds up most stands for its root.
    while let Some(first) = forest.most_in_the_way() {
        trees.extend(forest.grow(&[first], true));
    }
    trees.sort_by_key(|tree| std::cmp::Reverse(tree.victims()));
    trees
}

struct Forest<'a> {
    waits: &'a BTreeMap<i64, BTreeSet<i64>>,
    behind: &'a BTreeMap<i64, BTreeSet<i64>>,
    /// The place of every session that has one: below whom; none for roots.
    parent: BTreeMap<i64, Option<i64>>,
}

impl Forest<'_> {
    fn grow(&mut self, roots: &[i64], in_circle: bool) -> Vec<Node> {
        let mut queue: VecDeque<i64> = roots.iter().copied().collect();
        self.parent.extend(roots.iter().map(|root| (*root, None)));
        let mut children: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        while let Some(pid) = queue.pop_front() {
            for waiter in self.behind.get(&pid).into_iter().flatten() {
                if !self.parent.contains_key(waiter) {
                    self.parent.insert(*waiter, Some(pid));
                    children.entry(pid).or_default().push(*waiter);
                    queue.push_back(*waiter);
                }
            }
        }
        roots.iter().map(|root| self.node(*root, &children, in_circle)).collect()
    }

    fn node(&self, pid: i64, children: &BTreeMap<i64, Vec<i64>>, in_circle: bool) -> Node {
        let above = self.parent.get(&pid).copied().flatten();
        let also = self.waits.get(&pid).into_iter().flatten().copied().filter(|blocker| Some(*blocker) != above).collect();
        let waiters = children.get(&pid).into_iter().flatten().map(|waiter| self.node(*waiter, children, false)).collect();
        Node { pid, also, waiters, in_circle }
    }

    fn most_in_the_way(&self) -> Option<i64> {
        let unplaced = self.behind.iter().filter(|(pid, _)| !self.parent.contains_key(pid));
        unplaced.max_by_key(|(_, waiters)| waiters.len()).map(|(pid, _)| *pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(waits: &[(i64, &[i64])]) -> String {
        fn show(node: &Node, depth: usize, text: &mut String) {
            let circle = if node.in_circle { " (circle)" } else { "" };
            let also = if node.also.is_empty() { String::new() } else { format!(" also {:?}", node.also) };
            text.push_str(&format!("{}{}{also}{circle}\n", "  ".repeat(depth), node.pid));
            node.waiters.iter().for_each(|waiter| show(waiter, depth + 1, text));
        }
        let waits = waits.iter().map(|(pid, blockers)| (*pid, blockers.to_vec())).collect();
        let mut text = String::new();
        trees(&waits).iter().for_each(|tree| show(tree, 0, &mut text));
        text
    }

    #[test]
    fn a_queue_stands_behind_its_holder_once_each() {
        let queue: &[(i64, &[i64])] = &[(2, &[1]), (3, &[1, 2]), (4, &[1, 2, 3]), (9, &[4])];
        assert_eq!(shown(queue), "1\n  2\n  3 also [2]\n  4 also [2, 3]\n    9\n");
    }

    #[test]
    fn the_tree_with_most_victims_comes_first() {
        assert_eq!(shown(&[(2, &[1]), (12, &[11]), (13, &[12])]), "11\n  12\n    13\n1\n  2\n");
    }

    #[test]
    fn a_deadlock_has_a_root_too() {
        assert_eq!(shown(&[(1, &[2]), (2, &[1]), (3, &[1])]), "1 also [2] (circle)\n  2\n  3\n");
    }

    #[test]
    fn parallel_workers_do_not_wait_for_themselves_and_prepared_transactions_are_roots() {
        assert_eq!(shown(&[(5, &[5])]), "");
        assert_eq!(shown(&[(5, &[0])]), "0\n  5\n");
    }
}
