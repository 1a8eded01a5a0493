//! What is said of a service: which attributes are its identity, and which only describe it.

use std::sync::Arc;

use super::{
    container::{Placement, Runtime},
    declared::Declared,
    image::Image,
    kubernetes::{Membership, Pod},
    runtime::Names,
    service,
};
use crate::metric::{AttributeValue, Attributes};

/// Attributes in the order of their precedence, the weakest first.
type Pairs = Vec<(&'static str, AttributeValue)>;

/// What is known of a service, from everything that tells of it.
#[derive(Debug)]
pub(super) struct Description<'a> {
    placement: &'a Placement,
    membership: Option<&'a Membership>,
    names: &'a Names,
    name: Arc<str>,
    /// By the environment, else by the pod's annotations.
    declared: Declared,
    namespace: Option<Arc<str>>,
    pod: Option<Arc<str>>,
    /// `k8s.namespace.name`
    pod_namespace: Option<Arc<str>>,
    /// `k8s.container.name`
    pod_container: Option<Arc<str>>,
    container: Option<Arc<str>>,
    /// `service.instance.id`, where it isn't the host's.
    pub(super) instance: Option<Arc<str>>,
}

impl<'a> Description<'a> {
    pub(super) fn of(image: &'a Image) -> Self {
        let (placement, names) = (image.placement(), image.names());
        let membership = image.membership();
        let pod = membership.map(|member| &*member.pod);
        let annotated = pod.map(Pod::declared);
        let declared = match annotated {
            Some(annotated) => image.declared().or(annotated),
            None => image.declared().clone(),
        };
        let pod_name = pod.map(|pod| &pod.name).or(names.pod.as_ref()).cloned();
        let pod_namespace = pod.map(|pod| &pod.namespace).or(names.namespace.as_ref());
        let pod_container = membership
            .and_then(Membership::container)
            .or(names.k8s_container.as_ref());
        let in_pod = (pod_namespace, &pod_name, pod_container);
        let instance = declared
            .service_instance_id
            .clone()
            .or_else(|| match in_pod {
                (Some(namespace), Some(pod), Some(container)) => {
                    Some(format!("{namespace}.{pod}.{container}").into())
                }
                _ => Some(Arc::clone(&placement.container.as_ref()?.id)),
            });
        Self {
            placement,
            membership,
            names,
            name: service::name(image.declared(), pod, image.observed()),
            namespace: declared
                .service_namespace
                .as_ref()
                .or(pod_namespace)
                .cloned(),
            pod_namespace: pod_namespace.cloned(),
            container: pod_container.or(names.container.as_ref()).cloned(),
            pod_container: pod_container.cloned(),
            pod: pod_name,
            declared,
            instance,
        }
    }

    /// The identity, and all attributes of the service, those of the identity among them.
    ///
    /// A container is told by its name where that says which one it is, so that its series go on
    /// when it is made anew; else by its id.
    pub(super) fn attributes(&self) -> (Attributes, Pairs) {
        let container = self.placement.container.as_ref();
        let id = container.map(|container| &container.id);
        let identity = present([
            ("service.name", Some(&self.name)),
            ("service.namespace", self.namespace.as_ref()),
            (
                "service.instance.id",
                self.declared.service_instance_id.as_ref(),
            ),
            ("container.name", self.container.as_ref()),
            ("container.id", id.filter(|_| !self.is_named())),
            ("k8s.namespace.name", self.pod_namespace.as_ref()),
            ("k8s.pod.name", self.pod.as_ref()),
        ]);
        let version = self
            .declared
            .service_version
            .clone()
            .or_else(|| self.membership?.version());
        let more = present([
            ("service.instance.id", self.instance.as_ref()),
            ("service.version", version.as_ref()),
            (
                "deployment.environment.name",
                self.declared.deployment_environment.as_ref(),
            ),
            ("container.id", id),
            ("k8s.container.name", self.pod_container.as_ref()),
        ]);
        let runtime = container.and_then(|container| container.runtime);
        let runtime = runtime.map(|it| ("container.runtime.name", it.as_str().into()));
        let uid = self.placement.pod.as_ref();
        let uid = uid.map(|pod| ("k8s.pod.uid", Arc::clone(&pod.uid).into()));
        let of_pod = self.membership.map(Membership::attributes);
        let service = uid
            .into_iter()
            .chain(of_pod.into_iter().flatten())
            .chain(runtime)
            .chain(more)
            .chain(identity.iter().cloned())
            .collect();
        (identity.into_iter().collect(), service)
    }

    /// Whether the container's name says which one it is: within a pod, and among Docker's. Users
    /// of Podman have names of their own, containerd's are told apart by its namespaces.
    fn is_named(&self) -> bool {
        let in_pod = self.pod.is_some() && self.pod_namespace.is_some();
        let runtime = self
            .placement
            .container
            .as_ref()
            .and_then(|one| one.runtime);
        match (&self.pod_container, &self.names.container) {
            (Some(_), _) => in_pod,
            (None, Some(_)) => runtime == Some(Runtime::Docker) && self.placement.pod.is_none(),
            (None, None) => false,
        }
    }
}

fn present<const N: usize>(pairs: [(&'static str, Option<&Arc<str>>); N]) -> Pairs {
    pairs
        .into_iter()
        .filter_map(|(key, value)| Some((key, Arc::clone(value?).into())))
        .collect()
}
