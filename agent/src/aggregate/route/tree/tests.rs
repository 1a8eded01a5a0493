use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn parts(path: &str) -> Vec<&str> {
    path.split('/').skip(1).collect()
}

fn learnt(limits: TreeLimits, paths: &[String]) -> Tree<String> {
    let mut tree = Tree::new(limits);
    for path in paths {
        let _ = tree.teach(&parts(path));
        if let Some(end) = tree.end(&parts(path)) {
            end.get_or_insert_with(|| path.clone());
        }
        tree.nodes();
    }
    tree
}

const SMALL: TreeLimits = TreeLimits {
    names: 3,
    nodes: 10_000,
};

fn paths() -> impl Strategy<Value = Vec<String>> {
    let segment = prop_oneof![
        6 => "[a-f]", 1 => "[a-e]\\.css", 1 => "[a-e]\\.js",
        1 => Just("{id}".to_owned()), 1 => Just("{uuid}".to_owned()),
    ];
    let path = prop::collection::vec(segment, 0..5).prop_map(|segments| {
        segments
            .iter()
            .fold(String::new(), |path, s| path + "/" + s)
    });
    prop::collection::vec(path, 0..120)
}

#[test]
fn names_are_names_until_there_are_too_many() {
    let path = |name: &str| format!("/users/{name}/posts");
    let mut paths = ["a", "b", "c"].map(path).to_vec();
    let mut tree = learnt(SMALL, &paths);
    assert_eq!(
        tree.template(&parts("/users/a/posts")).join("/"),
        "users/a/posts"
    );
    let Taught::Merged(mut gone) = tree.teach(&parts("/users/d/posts")) else {
        panic!("nothing was merged");
    };
    gone.sort();
    paths.sort();
    assert_eq!(gone, paths);
    assert_eq!(
        tree.template(&parts("/users/e/posts")).join("/"),
        "users/{name}/posts"
    );
    assert_eq!(tree.nodes(), 3);
}

#[test]
fn files_leave_other_names_alone() {
    let files = ["a", "b", "c", "d"].map(|name| format!("/{name}.css"));
    let tree = learnt(
        SMALL,
        &[&files[..], &["/api/x".into(), "/a.js".into()]].concat(),
    );
    for (path, template) in [
        ("/z.css", "{name}.css"),
        ("/a.js", "a.js"),
        ("/api/x", "api/x"),
        ("/new", "new"),
    ] {
        assert_eq!(tree.template(&parts(path)).join("/"), template);
    }
}

#[test]
fn paths_that_may_not_exist_teach_nothing() {
    let mut tree: Tree<()> = Tree::new(SMALL);
    for name in ["a", "b", "c", "d", "e", "f"] {
        tree.reserve(&[name]);
    }
    assert_eq!(tree.template(&["a"]), ["a"]);
    for name in ["a", "b", "c"] {
        assert_eq!(tree.teach(&[name]), Taught::Unchanged);
    }
    assert_eq!(tree.teach(&["d"]), Taught::Merged(Vec::new()));
    assert_eq!(tree.template(&["f"]), ["{name}"]);
}

#[test]
fn a_full_tree_stays_as_it_is() {
    let limits = TreeLimits { names: 3, nodes: 4 };
    let mut tree = learnt(limits, &["/a/b".into(), "/c/d".into(), "/e".into()]);
    assert_eq!(tree.nodes(), 4);
    assert!(tree.end(&["e"]).is_none());
    assert!(tree.end(&["a", "b"]).is_some());
}

proptest! {
    /// The order in which paths come, and how often, changes nothing once all have come.
    #[test]
    fn the_same_paths_teach_the_same(
        (paths, shuffled) in paths().prop_flat_map(|paths| {
            let twice = [paths.clone(), paths.clone()].concat();
            (Just(paths), Just(twice).prop_shuffle())
        }),
    ) {
        let templates = |tree: &Tree<String>| -> BTreeSet<String> {
            paths.iter().map(|path| tree.template(&parts(path)).join("/")).collect()
        };
        let (one, other) = (learnt(SMALL, &paths), learnt(SMALL, &shuffled));
        prop_assert_eq!(templates(&one), templates(&other));
        prop_assert_eq!(one.nodes(), other.nodes());
    }

    /// Every path that was learnt has an end, and no place has too many names.
    #[test]
    fn every_place_is_bounded(paths in paths()) {
        fn widest(node: &Node<String>) -> usize {
            let here = Kind::all().map(|kind| node.count(kind)).max().unwrap_or(0);
            node.children.values().map(widest).fold(here, usize::max)
        }
        let mut tree = learnt(SMALL, &paths);
        prop_assert!(widest(&tree.root) <= SMALL.names);
        for path in &paths {
            prop_assert!(tree.end(&parts(path)).is_some());
        }
    }
}
