//! Lists, pages, watches, bookmarks, versions that are forgotten.

use std::{thread, time::Duration};

use sonde::enrich::kubernetes::Update;
use sonde_tests::kubernetes::{
    Asked, Fault,
    manifest::{NODE, Pod, uid},
};

use crate::scene::{Scene, cgroup, get, id};

#[test]
fn only_pods_of_this_node_are_asked_for() {
    let mut scene = Scene::begin(|api| {
        api.apply(Pod::new(1, "here").json());
        api.apply(Pod::new(2, "there").on("node-2").json());
        api.apply(Pod::new(3, "over").phase("Succeeded").json());
    });
    scene.until_up();
    assert_eq!(scene.processes.counters().pods, 1);
    let mut asked = scene.api.asked(Asked::List);
    asked.extend(scene.api.asked(Asked::Watch));
    assert_eq!(asked.len(), 2);
    for request in asked {
        assert!(
            request.contains(&format!("spec.nodeName%3D{NODE}")),
            "{request}"
        );
    }
}

#[test]
fn pods_come_change_and_go() {
    let mut scene = Scene::begin(|_| {});
    scene.until_up();
    let pod = || Pod::new(1, "cart-5d4f8c7b9-x2x9k").of_deployment("cart");
    scene.api.apply(pod().phase("Pending").json());
    scene.until_pods(1);
    scene.process(10, &cgroup(&uid(1), &id(1)));
    let early = scene.owner(10);
    assert_eq!(get(&early, "service.name").as_deref(), Some("cart"));
    assert_eq!(get(&early, "k8s.container.name"), None);
    scene.api.apply(pod().running("containerd", &id(1)).json());
    let renewed = scene.until("its container", |scene| {
        Some(scene.processes.renew(1)).filter(|renewed| !renewed.is_empty())
    });
    assert!(renewed[0].is_renamed());
    let late = scene.owner(10);
    assert_eq!(get(&late, "k8s.container.name").as_deref(), Some("web"));
    scene.api.delete(&uid(1));
    scene.until_pods(0);
    assert_eq!(scene.owner(10), late);
}

#[test]
fn a_pod_that_ends_is_forgotten() {
    let mut scene = Scene::begin(|api| api.apply(Pod::new(1, "backup").json()));
    scene.until_pods(1);
    scene.until_up();
    scene
        .api
        .apply(Pod::new(1, "backup").phase("Succeeded").json());
    scene.until_pods(0);
}

#[test]
fn a_watch_that_the_server_ends_goes_on_where_it_was() {
    let mut scene = Scene::begin(|api| api.apply(Pod::new(1, "a").json()));
    scene.until_up();
    thread::sleep(Duration::from_millis(1100));
    scene.api.go_away();
    scene.api.come_back().expect("a server");
    scene.api.apply(Pod::new(2, "b").json());
    scene.until_pods(2);
    assert_eq!(scene.lists(), 1);
}

#[test]
fn a_watch_that_is_cut_within_a_line_loses_nothing() {
    let mut scene = Scene::begin(|_| {});
    for round in 0..5 {
        scene.until("another watch", |scene| {
            let begun = scene.number("sonde.kubernetes.watches", None);
            (begun > round).then_some(())
        });
        scene.api.cut_watches();
        let number = u32::try_from(round).expect("few");
        scene
            .api
            .apply(Pod::new(number, &format!("pod-{number}")).json());
        scene.until_pods(usize::try_from(round).expect("few") + 1);
    }
    assert_eq!(scene.lists(), 1);
    let applied = scene
        .updates
        .iter()
        .filter(|it| matches!(it, Update::Applied(_)));
    assert_eq!(applied.count(), 5, "each is told once");
}

#[test]
fn a_bookmark_moves_the_version_on() {
    let mut scene = Scene::begin(|api| api.apply(Pod::new(1, "a").json()));
    scene.until_up();
    scene.api.bookmark();
    scene.until("the bookmark", |scene| {
        (scene.number("sonde.kubernetes.events", Some("bookmark")) == 1).then_some(())
    });
    // Everything before the bookmark is forgotten: without it this would be too old.
    scene.api.forget();
    scene.api.cut_watches();
    scene.until("another watch", |scene| {
        (scene.number("sonde.kubernetes.watches", None) == 2).then_some(())
    });
    assert_eq!((scene.lists(), scene.failures("expired")), (1, 0));
}

#[test]
fn a_version_that_is_forgotten_leads_to_a_new_list_in_pages() {
    let mut scene = Scene::begin(|api| api.apply(Pod::new(0, "first").json()));
    scene.until_up();
    // 250 pods come and one goes while nobody watches.
    scene.api.go_away();
    scene.api.delete(&uid(0));
    for number in 1..=250 {
        scene
            .api
            .apply(Pod::new(number, &format!("pod-{number}")).json());
    }
    scene.api.forget();
    scene.api.come_back().expect("a server");
    scene.until_pods(250);
    scene.until_up();
    assert_eq!((scene.lists(), scene.failures("expired")), (2, 1));
    let lists = scene.api.asked(Asked::List);
    assert_eq!(lists.len(), 1 + 3, "{lists:#?}");
    assert!(
        lists[0].contains("resourceVersion=0") && !lists[0].contains("limit="),
        "{lists:#?}"
    );
    assert!(
        lists[1..].iter().all(|list| list.contains("limit=100")),
        "{lists:#?}"
    );
    assert!(
        lists[2..].iter().all(|list| list.contains("continue=")),
        "{lists:#?}"
    );
}

#[test]
fn a_version_may_be_refused_by_an_event_as_well() {
    let mut scene = Scene::begin(|api| {
        api.apply(Pod::new(1, "a").json());
        api.fail(Asked::Watch, Fault::GoneEvent);
    });
    scene.until("another list", |scene| (scene.lists() == 2).then_some(()));
    scene.until_up();
    assert_eq!(scene.failures("expired"), 1);
    assert_eq!(scene.processes.counters().pods, 1);
}

#[test]
fn a_list_whose_continuation_is_forgotten_begins_anew() {
    let mut scene = Scene::begin(|api| {
        for number in 0..150 {
            api.apply(Pod::new(number, &format!("pod-{number}")).json());
        }
        api.fail(Asked::Watch, Fault::Status(410, 0));
    });
    scene.until("the first list", |scene| (scene.lists() == 1).then_some(()));
    scene.api.fail(Asked::List, Fault::Status(410, 0));
    scene.until_up();
    scene.until_pods(150);
    assert!(scene.failures("expired") >= 1);
}
