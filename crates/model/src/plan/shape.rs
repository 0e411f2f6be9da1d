//! What makes a plan that plan: its steps and what they read, without costs, constants and figures.

use super::node::Node;
use std::fmt::Write as _;

/// A hash of the shape, stable across versions of pgtend: sixteen hexadecimal digits.
pub fn hash(root: &Node) -> String {
    let mut shape = String::new();
    write_shape(root, &mut shape);
    blake3::hash(shape.as_bytes()).to_hex()[..16].to_owned()
}

fn write_shape(node: &Node, out: &mut String) {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    // Not the schema and not what a step is to the one above: EXPLAIN tells them in some of its forms only.
    let what = [Some(node.title.clone()), node.table.clone(), node.index.clone()];
    what.iter().for_each(|piece| {
        let _never_fails = write!(out, "{}\u{1f}", part(piece));
    });
    // A function scan's name is its function's; an alias is how the statement calls it.
    out.push_str(&part(&node.reads));
    out.push('(');
    node.children.iter().for_each(|child| write_shape(child, out));
    out.push(')');
}

/// The plan in a line.
pub fn one_line(node: &Node) -> String {
    let label = Node { schema: None, alias: None, ..shallow(node) }.label();
    if node.children.is_empty() {
        return label;
    }
    let below: Vec<String> = node.children.iter().map(one_line).collect();
    format!("{label}({})", below.join(", "))
}

fn shallow(node: &Node) -> Node {
    Node { title: node.title.clone(), table: node.table.clone(), index: node.index.clone(), reads: node.reads.clone(), ..Node::default() }
}
