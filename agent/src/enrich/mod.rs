//! Whose is it: process, container and service of what the kernel side saw.
