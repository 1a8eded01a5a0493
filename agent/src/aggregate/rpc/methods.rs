//! `rpc.method` under a cap per service.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    aggregate::{cardinality::Usage, service::ServiceId},
    l7::{exchange::Exchange, rpc::RpcStatus},
};

/// The method that stands for those that are none, or over the cap (RPC conventions,
/// `rpc.method`).
pub const OTHER: &str = "_OTHER";

/// Longest name of a method in bytes; a longer one is [`OTHER`].
const LONGEST: usize = 256;

/// A method within one [`Methods`]; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MethodId(u32);

impl MethodId {
    /// [`OTHER`], of every service.
    pub(super) const OTHER: Self = Self(0);
    /// One that isn't known: see [`Exchange::path`].
    pub(super) const HIDDEN: Self = Self(1);
}

/// The methods of all services.
#[derive(Debug)]
pub(super) struct Methods {
    limit: usize,
    /// By path, as an exchange has it.
    services: HashMap<ServiceId, HashMap<Arc<str>, MethodId>>,
    names: HashMap<MethodId, Arc<str>>,
    next: u32,
    overflowed: u64,
}

impl Methods {
    /// No methods yet; at most `limit` for each service.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            services: HashMap::new(),
            names: HashMap::from([(MethodId::OTHER, OTHER.into())]),
            next: 2,
            overflowed: 0,
        }
    }

    /// The method that an exchange of a service calls. A server that says UNIMPLEMENTED may have been
    /// asked for anything, so such a method is known only by its other answers.
    pub(super) fn of(&mut self, service: ServiceId, exchange: &Exchange) -> MethodId {
        let path = &exchange.path;
        if path.is_empty() {
            return MethodId::HIDDEN;
        }
        let methods = self.services.entry(service).or_default();
        if let Some(id) = methods.get(path) {
            return *id;
        }
        let status = exchange.rpc.and_then(|rpc| rpc.status);
        let Some(name) = name(path).filter(|_| status != Some(RpcStatus::Unimplemented)) else {
            return MethodId::OTHER;
        };
        if methods.len() >= self.limit {
            self.overflowed += 1;
            return MethodId::OTHER;
        }
        let id = MethodId(self.next);
        self.next = self.next.saturating_add(1);
        methods.insert(Arc::clone(path), id);
        self.names.insert(id, name.into());
        id
    }

    /// The method's name; `None` when it is hidden.
    pub(super) fn name(&self, id: MethodId) -> Option<&Arc<str>> {
        self.names.get(&id)
    }

    /// Forgets the methods of services that are gone.
    pub(super) fn forget(&mut self, gone: &HashSet<ServiceId>) {
        for service in gone {
            for id in self.services.remove(service).into_iter().flatten() {
                self.names.remove(&id.1);
            }
        }
    }

    /// What is held, for the agent's own metrics.
    pub(super) fn usage(&self) -> Usage {
        Usage {
            family: "rpc.method",
            series: self.names.len() - 1,
            overflowed: self.overflowed,
        }
    }
}

/// `package.Service/Method` of a path, `/` and that; `None` when it can be no such thing.
fn name(path: &str) -> Option<&str> {
    let name = path.strip_prefix('/')?;
    let (service, method) = name.rsplit_once('/')?;
    let fits = name.len() <= LONGEST
        && !service.is_empty()
        && !method.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_a_service_and_a_name() {
        assert_eq!(name("/a.b.Service/Do"), Some("a.b.Service/Do"));
        assert_eq!(name("/prefix/a.Service/Do"), Some("prefix/a.Service/Do"));
        for path in [
            "",
            "/",
            "/Do",
            "//Do",
            "/a.Service/",
            "a/b",
            "/a/b\n",
            "/é/b",
            "*",
        ] {
            assert_eq!(name(path), None, "{path:?}");
        }
        assert_eq!(name(&format!("/a/{}", "x".repeat(300))), None);
    }
}
