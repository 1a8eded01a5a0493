//! Enumerations: names of numbers that differ from kernel to kernel.

use super::{Btf, kind, u32_at};

impl Btf {
    /// The members of an enumeration of 32 bits, in the order of its definition; empty when this
    /// kernel has none of this name.
    #[must_use]
    pub fn enumeration(&self, name: &str) -> Vec<(u32, String)> {
        let found = self.types.iter().skip(1).find_map(|position| {
            let item = self.at(*position)?;
            let called = self.string(u32_at(&self.data, *position)?)?;
            (item.kind == kind::ENUM && called == name && item.count > 0).then_some(item)
        });
        let Some(item) = found else {
            return Vec::new();
        };
        let members = (0..item.count as usize).map_while(|index| {
            let position = item.body + 8 * index;
            let label = self.string(u32_at(&self.data, position)?)?;
            Some((u32_at(&self.data, position + 4)?, label.to_owned()))
        });
        members.collect()
    }
}
