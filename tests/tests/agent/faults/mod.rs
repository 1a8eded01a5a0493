//! The fault list, on real sockets: each row's tests with the real agent. Where both ends can be
//! observed, both are.
//!
//! | row | what | here | elsewhere in this package |
//! |---|---|---|---|
//! | 1 | noise, TLS, truncated requests | `heads` | `bad_input`, `kernel/http/whose` |
//! | 2 | unknown and lower-case methods | `heads` | `bad_input` |
//! | 3 | bad status lines | | `answers` |
//! | 4 | odd bytes in the path | | `answers` |
//! | 5 | splits at every offset | `bodies` | `bad_input`, `kernel/http/framing`, `oracle` |
//! | 6 | pipelines of 50, beyond the capture, past the cap | `order` | `bad_input`, `kernel/http/framing`, `oracle` |
//! | 7 | 100, 102, 103, refused expectations | `heads` | `runtimes`, `oracle` |
//! | 8 | framing of RFC 9112 | `bodies` | `bad_input`, `oracle` |
//! | 9 | upgrade, CONNECT | `heads` | |
//! | 10 | HTTP/0.9, HTTP/1.0, until the end of the connection | `heads`, `bodies` | `wire`, `kernel/http/framing` |
//! | 11 | 64 KiB of fields, a target of 1 MiB | `heads` | `bad_input`, `kernel/http/{framing,heads}` |
//! | 12 | 10,000 requests on one connection | `order` | `exact`, `kernel/http/life` |
//! | 13 | connections that were open before, even in a body | `late` | `kernel/http/life` |
//! | 14 | a server that never answers | `late` | |
//! | 15 | half-close, resets and closes at every place | `ends` | `bad_input`, `wire`, `kernel/http/life`, `oracle` |
//! | 16 | descriptors used again, equal addresses in name spaces | `order`, `whose` | `kernel/http/whose`, `kernel/tcp/whose` |
//! | 17 | prefork, passed connections, dup2 | `whose` | `kernel/http/whose` |
//! | 18 | sendfile of 10 and 200 MB, slow bodies | `bodies` | `exact`; every pair of system calls in `kernel/ways` |
//! | 20 | short lives | `agent` | `kernel/process` |
//! | 26, 29, 30 | the agent's own life, traffic and settings | `agent` | `kernel/attach`, `kernel/tcp/whose` |

mod agent;
mod bodies;
mod ends;
mod heads;
mod late;
mod order;
mod scene;
mod whose;
