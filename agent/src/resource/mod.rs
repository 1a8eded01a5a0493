//! USE resources, one file each, pure over (last, now).
