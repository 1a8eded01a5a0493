//! The table of pods.

use serde_json::json;

use super::*;
use crate::enrich::kubernetes::pod::tests::{ID, deployment_pod, pod};

const UID: &str = "2c48913c-b29f-11e7-9350-020968147796";

fn numbered(number: usize) -> Arc<Pod> {
    let mut object = deployment_pod();
    object["metadata"]["uid"] = json!(format!("{number:08x}-b29f-11e7-9350-020968147796"));
    object["status"]["containerStatuses"] = json!([]);
    Arc::new(pod(&object).unwrap())
}

fn in_pod(uid: &str) -> Placement {
    Placement::of_path(&format!("/kubepods/pod{uid}/{ID}"))
}

#[test]
fn a_pod_is_found_by_its_uid_and_by_its_containers() {
    let mut pods = Pods::default();
    let mut losses = Losses::default();
    let shop = Arc::new(pod(&deployment_pod()).unwrap());
    pods.apply(Update::Applied(Arc::clone(&shop)), &mut losses);
    for placement in [in_pod(UID), Placement::of_path(&format!("/docker/{ID}"))] {
        let member = pods.find(&placement, None).unwrap();
        assert_eq!(member.container().map(|name| &**name), Some("web"));
    }
    let elsewhere = in_pod("00000000-b29f-11e7-9350-020968147796");
    assert_eq!(pods.find(&elsewhere, None), None);
    assert_eq!(pods.find(&Placement::default(), None), None);
    // The runtime's files know a container before the API has its id.
    let mut object = deployment_pod();
    object["status"]["containerStatuses"] = json!([]);
    let early = Update::Applied(Arc::new(pod(&object).unwrap()));
    pods.apply(early, &mut losses);
    let name = |pods: &Pods, known| {
        let member = pods.find(&in_pod(UID), known).unwrap();
        member.container().map(ToString::to_string)
    };
    assert_eq!(name(&pods, None), None);
    assert_eq!(name(&pods, Some("web")).as_deref(), Some("web"));
    pods.apply(Update::Deleted(UID.into()), &mut losses);
    assert_eq!((pods.len(), pods.find(&in_pod(UID), None)), (0, None));
}

#[test]
fn only_what_is_new_is_a_change() {
    let mut pods = Pods::default();
    let mut losses = Losses::default();
    let list = || Update::Listed(vec![numbered(1), numbered(2)]);
    pods.apply(list(), &mut losses);
    assert!(pods.take_changed());
    pods.apply(list(), &mut losses);
    assert!(!pods.take_changed());
    pods.apply(Update::Listed(vec![numbered(2)]), &mut losses);
    assert_eq!(pods.len(), 1);
}

#[test]
fn pods_are_bounded_and_what_has_no_room_is_counted() {
    let mut pods = Pods::default();
    let mut losses = Losses::default();
    for number in 0..CAPACITY + 3 {
        pods.apply(Update::Applied(numbered(number)), &mut losses);
    }
    assert_eq!(pods.len(), CAPACITY);
    assert_eq!(losses.get(Loss::PodTableFull), 3);
    // Those that are there can still change.
    pods.apply(Update::Applied(numbered(0)), &mut losses);
    assert_eq!(losses.get(Loss::PodTableFull), 3);
}
