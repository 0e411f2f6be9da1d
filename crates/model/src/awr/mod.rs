//! Reports over a period of the past, as Oracle's Automatic Workload Repository has them: everything pure, from [`crate::past::Past`] alone.

pub mod active;
pub mod change;
pub mod compare;
mod compare_page;
pub mod forecast;
pub mod known;
pub mod lists;
pub mod measure;
pub mod page;
pub mod period;
pub mod plan_changes;
pub mod report;
pub mod request;
pub mod section;
pub mod text;
pub mod trend;
mod trend_metrics;

#[cfg(test)]
pub mod scenario;
#[cfg(test)]
mod tests;
