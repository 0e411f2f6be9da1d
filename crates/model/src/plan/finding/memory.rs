//! What did not fit into memory.

use super::context::{Context, Step};
use super::{Finding, Problem, Severity, count};
use crate::units::show_bytes;

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    context.executed().filter_map(|(step, _)| sort(context, step).or_else(|| hash(context, step)).or_else(|| file(context, step))).collect()
}

fn sort(context: &Context<'_>, step: &Step<'_>) -> Option<Finding> {
    let sort = step.node.sort.as_ref().filter(|sort| sort.on_disk)?;
    let what = format!("the sort did not fit into work_mem and went to disk: {} ({})", show_bytes(sort.space_kb * 1024.0), sort.method);
    let advice = format!(
        "an index in this order needs no sort; or raise work_mem for this statement (SET LOCAL work_mem): in memory it takes two to three \
         times {}",
        show_bytes(sort.space_kb * 1024.0)
    );
    let problem = Problem::SortOnDisk { method: sort.method.clone(), disk_kb: sort.space_kb };
    Some(context.at(step, Severity::of_share(context.share(step.node)), problem, what, advice))
}

fn hash(context: &Context<'_>, step: &Step<'_>) -> Option<Finding> {
    let hash = step.node.hash.as_ref().filter(|hash| hash.batches > 1.0)?;
    let what = match hash.planned_batches.filter(|planned| *planned < hash.batches) {
        Some(planned) => {
            format!(
                "the hash table was done in {} parts, where {} were planned: there were more rows than expected",
                count(hash.batches),
                count(planned)
            )
        }
        None => format!("the hash table did not fit into memory and was done in {} parts", count(hash.batches)),
    };
    let advice = "raise work_mem or hash_mem_multiplier for this statement or role (SET LOCAL), or join fewer columns and rows".to_owned();
    let problem = Problem::HashOnDisk { batches: hash.batches, planned_batches: hash.planned_batches, memory_kb: hash.peak_memory_kb };
    Some(context.at(step, Severity::of_share(context.share(step.node)), problem, what, advice))
}

/// Blocks that the step itself wrote: those of the steps below are counted there.
fn file(context: &Context<'_>, step: &Step<'_>) -> Option<Finding> {
    let node = step.node;
    // A join writes the parts of its hash table's other side; that is told at the hash.
    if matches!(node.node_type.as_str(), "Hash Join") {
        return None;
    }
    let written = |node: &crate::plan::Node| node.buffers.as_ref().map_or(0.0, |buffers| buffers.temp_written);
    let blocks = written(node) - node.children.iter().map(written).sum::<f64>();
    if blocks < 1.0 {
        return None;
    }
    let what = format!("its rows did not fit into work_mem: {} blocks of temporary files", count(blocks));
    let advice = "raise work_mem for this statement or role (SET LOCAL work_mem), or keep fewer columns and rows".to_owned();
    Some(context.at(step, Severity::of_share(context.share(node)), Problem::TemporaryFile { blocks }, what, advice))
}
