//! Attribute values that come again and again, made once.

use std::{collections::HashMap, sync::Arc};

use crate::aggregate::server::ip;

/// Most addresses that are remembered.
const ADDRESSES: usize = 4_096;

/// Texts that spans share.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// Methods, versions and schemes: few enough to be searched through.
    fixed: Vec<(&'static str, Arc<str>)>,
    addresses: HashMap<[u8; 16], Arc<str>>,
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
}
