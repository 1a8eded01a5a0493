//! The kubelet's links to containers' logs, one for each container that has been started:
//! `/var/log/containers/<pod>_<namespace>_<container>-<id>.log` (`pkg/kubelet/kuberuntime`). They
//! are there whatever the runtime is.

use std::{fs, path::Path};

use super::Names;

/// Most links that are looked at.
const LINKS_MAX: usize = 16_384;

pub(super) fn names(rootfs: &Path, id: &str) -> Option<Names> {
    let links = fs::read_dir(rootfs.join("var/log/containers")).ok()?;
    let mut names = links
        .flatten()
        .take(LINKS_MAX)
        .filter_map(|link| parse(link.file_name().to_str()?, id));
    names.next()
}

/// The names in a link's own name, if it is the container's.
fn parse(link: &str, id: &str) -> Option<Names> {
    let names = link.strip_suffix(".log")?.strip_suffix(id)?;
    let names = names.strip_suffix('-')?;
    // The names themselves have no underscores (RFC 1123).
    let (pod, rest) = names.split_once('_')?;
    let (namespace, container) = rest.split_once('_')?;
    let is_name = |name: &str| {
        let known =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        (1..=253).contains(&name.len()) && name.bytes().all(known)
    };
    [pod, namespace, container]
        .into_iter()
        .all(is_name)
        .then(|| Names {
            container: Some(container.into()),
            k8s_container: Some(container.into()),
            pod: Some(pod.into()),
            namespace: Some(namespace.into()),
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_link_tells_pod_namespace_and_container() {
        let names = parse(&format!("web-5d4f8c7b9-x2x9k_shop_web-app-{ID}.log"), ID).unwrap();
        assert_eq!(names.pod.as_deref(), Some("web-5d4f8c7b9-x2x9k"));
        assert_eq!(names.namespace.as_deref(), Some("shop"));
        assert_eq!(names.k8s_container.as_deref(), Some("web-app"));
        for link in [
            "web_shop_web-1.log",
            "",
            "_-.log",
            "a_b_c-ID.txt",
            "a_b_-ID.log",
            "A_b_c-ID.log",
        ] {
            assert_eq!(parse(&link.replace("ID", ID), ID), None, "{link}");
        }
    }

    proptest! {
        #[test]
        fn fault_28_any_name_is_read_without_panic(link in "[a-z_.-]{0,20}(-1)?(\\.log)?") {
            let _ = parse(&link, "1");
        }
    }
}
