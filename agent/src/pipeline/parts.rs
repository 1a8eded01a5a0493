//! What the observer is made of, as the configuration wants it.

use std::sync::Arc;

use crate::{
    aggregate::{
        block::{Blocks, Numbers},
        cardinality::Limits as SeriesLimits,
        red::{Red, RedLimits},
        route::RouteLimits,
        span::{Sampler, Tracer},
        tcp::{Tcp, TcpLimits},
        usage::Usages,
    },
    capability::KernelVersion,
    clock::Clock,
    config::{Config, value::UsageBy},
    l7::{Connections, Limits, headers::Selection},
    metric::Resource,
};

/// The first kernel without `BLK_STS_ZONE_RESOURCE`.
const WITHOUT_ZONE_RESOURCE: KernelVersion = KernelVersion::new(6, 10, 0);

/// The table of HTTP connections.
pub(super) fn connections(config: &Config) -> Connections {
    let http = &config.http;
    let limits = Limits {
        max_connections: http.max_connections.get() as usize,
        request_timeout: http.request_timeout,
        ..Limits::default()
    };
    let headers = Selection::new(
        &http.capture_request_headers,
        &http.capture_response_headers,
        &http.masked_headers,
    );
    Connections::with_headers(limits, headers)
}

/// The RED aggregation.
pub(super) fn red(config: &Config) -> Red {
    let http = &config.http;
    let limits = RedLimits {
        routes: RouteLimits {
            per_service: http.max_routes.get() as usize,
            per_method: http.max_routes_per_method.get() as usize,
            names: http.max_path_names.get() as usize,
            ..RouteLimits::default()
        },
        ..RedLimits::default()
    };
    let patterns: Vec<_> = http.routes.iter().map(|route| route.0.clone()).collect();
    Red::with_patterns(limits, &patterns)
}

/// The maker of spans.
pub(super) fn tracer(config: &Config) -> Tracer {
    let ratio = config.trace.sampler_arg.get().to_string();
    let sampler = Sampler::parse(config.trace.sampler.as_str(), Some(&ratio));
    // Both have been checked when the configuration was resolved.
    Tracer::new(sampler.unwrap_or_default())
}

/// What services use: counted from now on.
pub(super) fn usage(config: &Config) -> Usages {
    // Where there is no such clock, all processes are taken for new ones.
    let (now, page) = (Clock::since_boot().unwrap_or(0), procfs::page_size());
    match config.sched.by {
        UsageBy::Service => Usages::new(SeriesLimits::default(), now, page),
        UsageBy::Process => Usages::by_process(now, page),
    }
}

/// The TCP aggregation.
pub(super) fn tcp(host: Arc<Resource>) -> Tcp {
    Tcp::new(TcpLimits::default(), host)
}

/// The aggregation of block I/O.
pub(super) fn blocks(host: Arc<Resource>) -> Blocks {
    let limits = SeriesLimits {
        per_service: 500,
        total: 10_000,
    };
    // An unknown version is taken for a new one.
    let numbers = match KernelVersion::current() {
        Ok(version) if version < WITHOUT_ZONE_RESOURCE => Numbers::WithZoneResource,
        _ => Numbers::WithoutZoneResource,
    };
    Blocks::new(limits, numbers, host)
}
