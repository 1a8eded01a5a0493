//! An API that refuses, hangs, is away, or comes back as another one.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use sonde_tests::kubernetes::{
    Asked, Fault,
    manifest::{Pod, uid},
};

use crate::scene::{Scene, cgroup, get, id};

#[test]
fn every_refusal_is_counted_and_asked_again() {
    for (fault, reason) in [
        (Fault::Status(400, 0), "refused"),
        (Fault::Status(403, 0), "forbidden"),
        (Fault::Status(429, 0), "throttled"),
        (Fault::Status(500, 0), "server_error"),
        (Fault::Status(503, 0), "server_error"),
        (Fault::Garbage, "malformed"),
        (Fault::Hang, "timeout"),
    ] {
        for asked in [Asked::List, Asked::Watch] {
            if asked == Asked::Watch && fault == Fault::Garbage {
                continue;
            }
            let mut scene = Scene::begin(|api| {
                api.apply(Pod::new(1, "a").json());
                api.fail(asked, fault.clone());
            });
            scene.until_pods(1);
            scene.until_up();
            assert_eq!(
                scene.failures(reason),
                1,
                "{fault:?} of {asked:?}: {:#?}",
                scene.numbers()
            );
        }
    }
}

#[test]
fn the_server_may_ask_for_a_pause() {
    let begun = Instant::now();
    let mut scene = Scene::begin(|api| api.fail(Asked::List, Fault::Status(429, 1)));
    scene.until_up();
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_server_that_ends_each_watch_at_once_is_not_asked_all_the_time() {
    let mut scene = Scene::begin(|api| {
        for _ in 0..1000 {
            api.fail(Asked::Watch, Fault::EndAtOnce);
        }
    });
    thread::sleep(Duration::from_secs(1));
    scene.take();
    // A pause of 50 ms at least, once they have grown.
    let asked = scene.api.asked(Asked::Watch).len();
    assert!((2..30).contains(&asked), "{asked}");
    assert_eq!(scene.lists(), 1);
}

#[test]
fn a_token_that_is_replaced_is_read_again() {
    let mut scene = Scene::begin(|api| api.apply(Pod::new(1, "a").json()));
    scene.until_up();
    scene.api.replace_token("second").expect("a file");
    // The old one isn't taken any more; kube reads the file once a minute.
    let begun = Instant::now();
    scene.api.cut_watches();
    scene.api.apply(Pod::new(2, "b").json());
    scene.until_pods(2);
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(scene.failures("unauthorized") >= 1);
    assert_eq!(scene.lists(), 1);
}

#[test]
fn a_server_with_another_authority_is_trusted_once_the_file_says_so() {
    let mut scene = Scene::begin(|api| api.apply(Pod::new(1, "a").json()));
    scene.until_up();
    scene.api.replace_authority().expect("certificates");
    scene.api.apply(Pod::new(2, "b").json());
    scene.until_pods(2);
    assert!(scene.failures("connect") >= 1);
}

#[test]
fn a_server_that_nobody_vouches_for_is_told_nothing() {
    let mut scene = Scene::begin(|_| {});
    scene.until_up();
    let asked = |scene: &Scene| scene.api.asked(Asked::Watch).len();
    let before = asked(&scene);
    let authority = scene.account().join("ca.crt");
    scene.api.replace_authority().expect("certificates");
    let right = fs::read(&authority).expect("a file");
    let stranger = tempfile::tempdir().expect("a directory");
    let other = sonde_tests::kubernetes::ApiServer::start(stranger.path()).expect("a server");
    fs::copy(stranger.path().join("ca.crt"), &authority).expect("a file");
    let failures = scene.failures("connect");
    scene.until("failures", |scene| {
        (scene.failures("connect") > failures + 8).then_some(())
    });
    drop(other);
    fs::write(&authority, right).expect("a file");
    scene.until_up();
    assert!(asked(&scene) > before);
}

#[test]
fn services_are_renamed_when_the_api_comes_back() {
    let mut scene = Scene::begin(|_| {});
    scene.until_up();
    scene.api.go_away();
    scene.until("the outage", |scene| {
        (scene.number("sonde.kubernetes.up", None) == 0).then_some(())
    });
    let pod = Pod::new(1, "cart-5d4f8c7b9-x2x9k").of_deployment("cart");
    scene.api.apply(pod.running("containerd", &id(1)).json());
    scene.process(10, &cgroup(&uid(1), &id(1)));
    let old = scene.owner(10);
    assert_eq!(get(&old, "service.name").as_deref(), Some("server"));
    thread::sleep(Duration::from_millis(500));
    assert_eq!(scene.processes.renew(1), []);
    scene.api.come_back().expect("a server");
    let renewed = scene.until("the pod", |scene| scene.processes.renew(2).pop());
    assert_eq!(renewed.old, old);
    assert_eq!(get(&renewed.new, "service.name").as_deref(), Some("cart"));
    assert_eq!(scene.owner(10), renewed.new);
    assert!(scene.failures("connect") >= 1);
    scene.until_up();
}

#[test]
fn files_that_are_missing_are_waited_for() {
    let mut scene = Scene::begin(|api| api.replace_token("first").expect("a file"));
    scene.until_up();
    let token = scene.account().join("token");
    let kept = fs::read(&token).expect("a file");
    scene.api.replace_token("second").expect("a file");
    fs::remove_file(&token).expect("a file");
    scene.api.cut_watches();
    scene.until("failures", |scene| {
        (scene.failures("configuration") >= 2).then_some(())
    });
    assert_ne!(kept, b"second");
    scene.api.replace_token("second").expect("a file");
    scene.until_up();
}

#[test]
fn fault_28_objects_that_are_none_are_passed_over() {
    let mut scene = Scene::begin(|api| {
        let mut nameless = Pod::new(1, "a").json();
        nameless["metadata"]["name"] = serde_json::json!("");
        api.apply(nameless);
        let mut odd = Pod::new(2, "b").json();
        odd["spec"]["containers"] = serde_json::json!([{"name": "", "image": ":::"}]);
        odd["status"]["containerStatuses"] =
            serde_json::json!([{"name": "x", "containerID": "://"}]);
        api.apply(odd);
    });
    scene.until_up();
    scene.until_pods(1);
}

#[test]
fn the_thread_ends_with_its_owner() {
    let mut scene = Scene::begin(|_| {});
    scene.until_up();
    let Scene {
        api, kubernetes, ..
    } = scene;
    drop(kubernetes);
    let before = api.asked(Asked::Watch).len();
    api.cut_watches();
    thread::sleep(Duration::from_millis(300));
    assert_eq!(api.asked(Asked::Watch).len(), before);
}
