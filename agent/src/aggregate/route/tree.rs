//! What stands where in a service's paths: a prefix tree that takes names for values once there
//! are too many of them in one place.
//!
//! Only how many different names were seen decides, never when or how often. So whatever the
//! order in which the same paths come, also after a restart, the tree becomes the same, as long as
//! it has room.

use std::collections::HashMap;

use super::kind::{Kind, Kinds};

/// Bounds of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TreeLimits {
    /// Most different names of one kind in one place.
    pub(super) names: usize,
    /// Most nodes.
    pub(super) nodes: usize,
}

/// Path templates with something at the end of each.
#[derive(Debug)]
pub(super) struct Tree<T> {
    root: Node<T>,
    /// Nodes below the root.
    nodes: usize,
    limits: TreeLimits,
}

/// What teaching a path came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taught<T> {
    /// All templates are what they were.
    Unchanged,
    /// Names have become values; what stood at the ends of their templates.
    Merged(Vec<T>),
}

#[derive(Debug)]
struct Node<T> {
    /// By segment.
    children: HashMap<Box<str>, Self>,
    /// The kinds of names that are values here.
    values: Kinds,
    /// Some path that led here is sure to exist.
    sure: bool,
    end: Option<T>,
}

impl<T> Tree<T> {
    pub(super) fn new(limits: TreeLimits) -> Self {
        Self {
            root: Node::new(),
            nodes: 0,
            limits,
        }
    }

    /// Takes in a path that is sure to exist.
    pub(super) fn teach(&mut self, segments: &[&str]) -> Taught<T> {
        if !self.insert(segments, true) {
            return Taught::Unchanged;
        }
        let (mut merged, mut gone) = (false, Vec::new());
        let mut node = &mut self.root;
        for segment in segments {
            if let Some(kind) = Kind::of(segment)
                && !node.values.has(kind)
                && node.count(kind) > self.limits.names
            {
                node.merge(kind, self.limits.names, &mut gone);
                merged = true;
            }
            match node.child(segment) {
                Some(child) => node = child,
                None => break,
            }
        }
        if !merged {
            return Taught::Unchanged;
        }
        self.nodes = self.root.descendants();
        Taught::Merged(gone)
    }

    /// Makes room for a path that may exist or not, if there is any.
    pub(super) fn reserve(&mut self, segments: &[&str]) {
        self.insert(segments, false);
    }

    /// Adds what is missing on the way; whether a node is sure now that was not before.
    fn insert(&mut self, segments: &[&str], sure: bool) -> bool {
        let mut changed = false;
        let mut node = &mut self.root;
        for segment in segments {
            let key = node.key(segment);
            if !node.children.contains_key(key) {
                if self.nodes >= self.limits.nodes {
                    break;
                }
                self.nodes += 1;
                node.children.insert(key.into(), Node::new());
            }
            let Some(child) = node.children.get_mut(key) else {
                break;
            };
            changed |= sure && !child.sure;
            child.sure |= sure;
            node = child;
        }
        changed
    }

    /// What stands at the end of a path; `None` where the path isn't in the tree.
    pub(super) fn end(&mut self, segments: &[&str]) -> Option<&mut Option<T>> {
        let mut node = &mut self.root;
        for segment in segments {
            node = node.child(segment)?;
        }
        Some(&mut node.end)
    }

    /// The template of a path, as far as it is known.
    pub(super) fn template<'a>(&self, segments: &[&'a str]) -> Vec<&'a str> {
        let mut node = Some(&self.root);
        let key = |segment: &&'a str| {
            let key = node.map_or(*segment, |node| node.key(segment));
            node = node.and_then(|node| node.children.get(key));
            key
        };
        segments.iter().map(key).collect()
    }

    /// Nodes that are held.
    #[cfg(test)]
    pub(super) fn nodes(&self) -> usize {
        assert_eq!(self.nodes, self.root.descendants());
        self.nodes
    }
}

impl<T> Node<T> {
    fn new() -> Self {
        Self {
            children: HashMap::new(),
            values: Kinds::default(),
            sure: false,
            end: None,
        }
    }

    /// Under what a segment stands here.
    fn key<'a>(&self, segment: &'a str) -> &'a str {
        match Kind::of(segment) {
            Some(kind) if self.values.has(kind) => kind.placeholder(),
            _ => segment,
        }
    }

    fn child(&mut self, segment: &str) -> Option<&mut Self> {
        let key = self.key(segment);
        self.children.get_mut(key)
    }

    /// Names of a kind that are sure to be here.
    fn count(&self, kind: Kind) -> usize {
        let children = self.children.iter();
        children
            .filter(|(key, child)| child.sure && Kind::of(key) == Some(kind))
            .count()
    }

    fn descendants(&self) -> usize {
        let children = self.children.values();
        children.map(|child| 1 + child.descendants()).sum()
    }

    /// Takes the names of a kind for values from now on: what is below them becomes one.
    fn merge(&mut self, kind: Kind, names: usize, gone: &mut Vec<T>) {
        self.values.insert(kind);
        let same = self
            .children
            .extract_if(|key, _| Kind::of(key) == Some(kind));
        let same: Vec<_> = same.map(|(_, child)| child).collect();
        for mut child in same {
            child.clear_ends(gone);
            self.absorb_child(kind.placeholder(), child, names, gone);
        }
    }

    fn absorb_child(&mut self, key: &str, child: Self, names: usize, gone: &mut Vec<T>) {
        match self.children.get_mut(key) {
            Some(held) => held.absorb(child, names, gone),
            None => {
                self.children.insert(key.into(), child);
            }
        }
    }

    /// Adds what is below another node to this one.
    fn absorb(&mut self, other: Self, names: usize, gone: &mut Vec<T>) {
        self.sure |= other.sure;
        for kind in Kind::all() {
            if other.values.has(kind) && !self.values.has(kind) {
                self.merge(kind, names, gone);
            }
        }
        for (key, child) in other.children {
            let key = self.key(&key).to_owned();
            self.absorb_child(&key, child, names, gone);
        }
        for kind in self.crowded(names) {
            self.merge(kind, names, gone);
        }
    }

    /// Kinds of which there are too many names.
    fn crowded(&self, names: usize) -> Vec<Kind> {
        if self.children.len() <= names {
            return Vec::new();
        }
        let mut counts = [0; Kind::COUNT];
        for (key, child) in &self.children {
            let kind = Kind::of(key).filter(|_| child.sure);
            if let Some(count) = kind.and_then(|kind| counts.get_mut(kind.index())) {
                *count += 1;
            }
        }
        let kinds = Kind::all().zip(counts);
        kinds
            .filter(|(_, count)| *count > names)
            .map(|(kind, _)| kind)
            .collect()
    }

    fn clear_ends(&mut self, gone: &mut Vec<T>) {
        gone.extend(self.end.take());
        for child in self.children.values_mut() {
            child.clear_ends(gone);
        }
    }
}

#[cfg(test)]
mod tests;
