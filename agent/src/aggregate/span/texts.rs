//! Attribute values that come again and again, made once.

use std::{collections::HashMap, sync::Arc};

use crate::{aggregate::server::ip, hash::NumberMap, l7::exchange::Method};

/// Most addresses that are remembered.
const ADDRESSES: usize = 4_096;
/// Most span names that are remembered.
const NAMES: usize = 4_096;

/// Texts that spans share.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// Methods, versions and schemes: few enough to be searched through.
    fixed: Vec<(&'static str, Arc<str>)>,
    addresses: HashMap<[u8; 16], Arc<str>>,
    /// By method and the route's address in memory.
    names: NumberMap<(Method, usize), Name>,
}

/// A span's name. Holds on to the route, so that no other can come to have its address.
#[derive(Debug)]
struct Name {
    _route: Arc<str>,
    name: Arc<str>,
}

impl Texts {
    /// A text of the program itself.
    pub(super) fn fixed(&mut self, text: &'static str) -> Arc<str> {
        if let Some((_, shared)) = self.fixed.iter().find(|(held, _)| *held == text) {
            return Arc::clone(shared);
        }
        let shared: Arc<str> = text.into();
        self.fixed.push((text, Arc::clone(&shared)));
        shared
    }

    /// An IP address as text.
    pub(super) fn address(&mut self, bytes: [u8; 16]) -> Arc<str> {
        if let Some(shared) = self.addresses.get(&bytes) {
            return Arc::clone(shared);
        }
        if self.addresses.len() >= ADDRESSES {
            self.addresses.clear();
        }
        let shared: Arc<str> = ip(bytes).to_string().into();
        self.addresses.insert(bytes, Arc::clone(&shared));
        shared
    }

    /// The name of a span: see [`name`].
    pub(super) fn name(&mut self, method: Method, route: &Arc<str>) -> Arc<str> {
        let key = (method, Arc::as_ptr(route).addr());
        if let Some(held) = self.names.get(&key) {
            return Arc::clone(&held.name);
        }
        if self.names.len() >= NAMES {
            self.names.clear();
        }
        let held = Name {
            _route: Arc::clone(route),
            name: name(method, route),
        };
        Arc::clone(&self.names.entry(key).or_insert(held).name)
    }
}

/// `{method} {route}`; `HTTP` stands for a method that is none or hidden (HTTP span conventions, "Name").
fn name(method: Method, route: &str) -> Arc<str> {
    let method = match method {
        Method::Other => "HTTP",
        known => known.as_str().unwrap_or("HTTP"),
    };
    if route.is_empty() {
        method.into()
    } else {
        format!("{method} {route}").into()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn the_same_text_is_shared_and_room_is_bounded() {
        let mut texts = Texts::default();
        assert!(Arc::ptr_eq(&texts.fixed("GET"), &texts.fixed("GET")));
        for number in 0..10_000 {
            let address = Ipv6Addr::from(number);
            let text = texts.address(address.octets());
            assert_eq!(*text, *address.to_canonical().to_string());
        }
        assert!(texts.addresses.len() <= ADDRESSES);
    }

    #[test]
    fn names_are_made_once_for_each_method_and_route() {
        let mut texts = Texts::default();
        let routes: Vec<Arc<str>> = (0..NAMES).map(|n| format!("/{n}").into()).collect();
        for route in &routes {
            let name = texts.name(Method::Get, route);
            assert_eq!(*name, format!("GET {route}"));
            assert!(Arc::ptr_eq(&name, &texts.name(Method::Get, route)));
            assert_eq!(*texts.name(Method::Other, route), format!("HTTP {route}"));
            assert!(texts.names.len() <= NAMES);
        }
        assert_eq!(*texts.name(Method::Connect, &"".into()), *"CONNECT");
    }
}
