//! Which paths a Rust file mentions (`tokio::spawn`), with `use` followed and macros looked into.
//!
//! It works on tokens, because that is all there is inside a macro call; it knows no types, so a method reached through a value
//! escapes it. What is banned here has a path.

use std::collections::HashMap;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::UseTree;
use syn::visit::Visit;

/// A path in full, as far as the file's imports tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    pub path: String,
    /// From 1.
    pub line: usize,
}

impl Mention {
    /// Whether this is the item, or something in it, or everything of a module that it is in.
    pub fn reaches(&self, item: &str) -> bool {
        let inside = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        inside(&self.path, item) || self.path.strip_suffix("::*").is_some_and(|module| inside(item, module))
    }
}

/// Every path that a file mentions, in order of lines.
pub fn mentioned(file: &syn::File) -> Vec<Mention> {
    let mut imports = Imports::default();
    imports.visit_file(file);
    let mut mentions = imports.mentions;
    scan(file.to_token_stream(), &imports.names, &mut mentions);
    mentions.sort_by(|one, other| (one.line, &one.path).cmp(&(other.line, &other.path)));
    mentions.dedup();
    mentions
}

/// What the `use` declarations bring in: the local name, and the path behind it.
#[derive(Default)]
struct Imports {
    names: HashMap<String, String>,
    mentions: Vec<Mention>,
}

impl Visit<'_> for Imports {
    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        self.add("", &item.tree);
    }
}

impl Imports {
    fn add(&mut self, prefix: &str, tree: &UseTree) {
        let join = |name: &syn::Ident| if prefix.is_empty() { name.to_string() } else { format!("{prefix}::{name}") };
        match tree {
            UseTree::Path(path) => self.add(&join(&path.ident), &path.tree),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add(prefix, tree)),
            UseTree::Name(name) if name.ident == "self" => {
                let local = prefix.rsplit("::").next().unwrap_or(prefix).to_owned();
                self.bring(local, prefix.to_owned(), name.ident.span());
            }
            UseTree::Name(name) => self.bring(name.ident.to_string(), join(&name.ident), name.ident.span()),
            UseTree::Rename(rename) => {
                let path = if rename.ident == "self" { prefix.to_owned() } else { join(&rename.ident) };
                self.bring(rename.rename.to_string(), path, rename.ident.span());
            }
            UseTree::Glob(glob) => {
                let line = glob.star_token.spans[0].start().line;
                self.mentions.push(Mention { path: format!("{prefix}::*"), line });
            }
        }
    }

    fn bring(&mut self, local: String, path: String, span: proc_macro2::Span) {
        self.mentions.push(Mention { path: path.clone(), line: span.start().line });
        self.names.insert(local, path);
    }
}

/// Finds `a::b::c` in a stream of tokens, groups and macro arguments included.
fn scan(tokens: TokenStream, imports: &HashMap<String, String>, mentions: &mut Vec<Mention>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut index = 0;
    while index < tokens.len() {
        match &tokens[index] {
            TokenTree::Group(group) => scan(group.stream(), imports, mentions),
            TokenTree::Ident(first) if !is_member(&tokens, index) => {
                let line = first.span().start().line;
                let first = first.to_string();
                let mut path = imports.get(&first).cloned().unwrap_or(first);
                while let Some(next) = path_continues(&tokens, index) {
                    path.push_str("::");
                    path.push_str(&next);
                    index += 3;
                }
                mentions.push(Mention { path, line });
            }
            _ => {}
        }
        index += 1;
    }
}

/// `.name` is a field or a method, not a path.
fn is_member(tokens: &[TokenTree], index: usize) -> bool {
    let is_dot =
        |back: usize| index.checked_sub(back).is_some_and(|at| matches!(&tokens[at], TokenTree::Punct(punct) if punct.as_char() == '.'));
    is_dot(1) && !is_dot(2)
}

fn path_continues(tokens: &[TokenTree], index: usize) -> Option<String> {
    let is_colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    match tokens.get(index + 3) {
        Some(TokenTree::Ident(next)) if is_colon(index + 1) && is_colon(index + 2) => Some(next.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(text: &str, item: &str) -> Vec<usize> {
        let file = syn::parse_file(text).unwrap();
        let mentions = mentioned(&file);
        mentions.iter().filter(|mention| mention.reaches(item)).map(|mention| mention.line).collect()
    }

    #[test]
    fn a_path_is_found_however_it_is_written() {
        let ways = [
            "fn f() { tokio::spawn(g()); }",
            "fn f() { ::tokio::spawn(g()); }",
            "use tokio::spawn; ",
            "use tokio::{select, spawn}; ",
            "use tokio::spawn as start; ",
            "use tokio::*; ",
            "use tokio as t; fn f() { t::spawn(g()); }",
            "fn f() { select! { _ = tokio::spawn(g()) => {} } }",
            "fn f() { handles.extend((0..3).map(tokio::spawn)); }",
        ];
        for way in ways {
            assert!(!reached(way, "tokio::spawn").is_empty(), "{way}");
        }
    }

    #[test]
    fn what_only_looks_like_it_is_left_alone() {
        let others = [
            "fn f() { agent::tasks::spawn(g()); }",
            "fn f() { self.tokio.spawn(g()); }",
            "use agent::tasks::spawn; fn f() { spawn(g()); }",
            "fn f() { tokio::spawn_elsewhere(); tokio::select!(); }",
            "fn f() { println!(\"tokio::spawn\"); } // tokio::spawn",
        ];
        for other in others {
            assert!(reached(other, "tokio::spawn").is_empty(), "{other}");
        }
    }

    #[test]
    fn imports_are_followed_and_lines_are_right() {
        let text =
            "use std::time::{self, Duration};\nuse jiff::Timestamp;\n\nfn f() {\n    time::Instant::now();\n    Timestamp::now();\n}\n";
        assert_eq!(reached(text, "std::time::Instant"), [5]);
        assert_eq!(reached(text, "jiff::Timestamp::now"), [6]);
        assert_eq!(reached(text, "std::time::Duration"), [1]);
    }
}
