//! Mending what a verification found: which way for which damage ([`plan`]), and whether a page of a backup may take the place of a damaged one
//! ([`page`]). Nothing here touches a server or a file.

pub mod page;
pub mod plan;
pub mod report;

#[cfg(test)]
mod tests;
