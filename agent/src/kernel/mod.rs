//! What this kernel can do: BTF, features, attaching, ring buffer and maps.

pub mod attach;
pub mod btf;
pub mod clock;
pub mod feature;
pub mod map;
pub mod pod;
pub mod ring;
pub mod sweep;
pub mod sys;
pub mod uprobe;
