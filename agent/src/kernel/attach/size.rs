//! How large each map is made: what isn't used costs next to nothing.

use crate::probe::{FAMILIES, Family};

/// Maps that are made as small as they can be, with these families.
pub(super) fn unused(families: &[&'static Family]) -> impl Iterator<Item = &'static str> {
    let off = FAMILIES
        .iter()
        .filter(|family| !families.iter().any(|wanted| wanted.name == family.name));
    off.flat_map(|family| family.maps).copied()
}
