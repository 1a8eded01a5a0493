//! What this kernel can do: BTF, features, attaching, ring buffer and maps.
