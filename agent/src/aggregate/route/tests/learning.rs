//! What a service's paths teach, under which caps.

use std::time::{Duration, Instant, UNIX_EPOCH};

use proptest::prelude::*;

use super::super::*;
use crate::{
    aggregate::service::Services,
    metric::{Attributes, Resource},
};

fn services<const N: usize>() -> [ServiceId; N] {
    let mut services = Services::new(N);
    std::array::from_fn(|index| {
        let resource = Arc::new(Resource {
            attributes: Attributes::from([("service.name", format!("s{index}").into())]),
            identity: Attributes::none(),
        });
        services.id(&resource, || UNIX_EPOCH).unwrap()
    })
}

/// One service, asked with one method.
struct Server {
    routes: Routes,
    service: ServiceId,
    method: Method,
}

impl Server {
    fn new(limits: RouteLimits, patterns: &[&str]) -> Self {
        let [service] = services();
        let patterns: Vec<_> = patterns
            .iter()
            .map(|text| Pattern::parse(text).unwrap())
            .collect();
        Self {
            routes: Routes::new(limits, &patterns),
            service,
            method: Method::Get,
        }
    }

    fn id(&mut self, path: &str, known: Known) -> RouteId {
        self.routes.of(&Asked {
            service: self.service,
            role: Role::Server,
            method: self.method,
            path: &path.into(),
            known,
        })
    }

    /// The route of a path that the server knows.
    fn route(&mut self, path: &str) -> String {
        let id = self.id(path, Known::Yes);
        self.routes.template(id).to_string()
    }

    /// The route of a path that it doesn't.
    fn miss(&mut self, path: &str) -> String {
        let id = self.id(path, Known::No);
        self.routes.template(id).to_string()
    }
}

/// Different words without any shape.
fn word(number: u32) -> String {
    let digits = number.to_string();
    digits
        .bytes()
        .map(|digit| char::from(digit - b'0' + b'a'))
        .collect()
}

fn few(names: usize) -> RouteLimits {
    RouteLimits {
        names,
        ..RouteLimits::default()
    }
}

#[test]
fn names_become_a_value_where_there_are_too_many() {
    let mut server = Server::new(few(3), &[]);
    for name in ["ann", "bob", "cid"] {
        let path = format!("/users/{name}/posts");
        assert_eq!(server.route(&path), path);
        assert_eq!(server.route("/health"), "/health");
    }
    let generation = server.routes.generation();
    let early = server.id("/users/ann/posts", Known::Yes);
    assert_eq!(server.route("/users/dan/posts"), "/users/{name}/posts");
    assert_ne!(server.routes.generation(), generation);
    // What was told as a name is a value from now on; its series keeps its name.
    assert_eq!(server.route("/users/ann/posts"), "/users/{name}/posts");
    assert_eq!(&*server.routes.template(early), "/users/ann/posts");
    assert_eq!(server.route("/users/7/posts"), "/users/{id}/posts");
    assert_eq!(server.route("/health"), "/health");
}

#[test]
fn assets_are_values_by_extension() {
    let mut server = Server::new(few(3), &[]);
    for number in 0..10 {
        server.route(&format!("/{}.css", word(number)));
    }
    assert_eq!(server.route("/z.css"), "/{name}.css");
    assert_eq!(server.route("/robots.txt"), "/robots.txt");
    assert_eq!(server.route("/api"), "/api");
}

#[test]
fn paths_that_a_scanner_invents_teach_nothing() {
    let mut server = Server::new(few(3), &[]);
    for number in 0..1_000 {
        server.miss(&format!("/{}", word(number)));
        server.miss(&format!("/api/{}", word(number)));
    }
    assert_eq!(server.route("/api/users"), "/api/users");
    assert_eq!(server.route("/b"), "/b");
    for name in ["ann", "bob", "cid", "dan"] {
        server.route(&format!("/users/{name}"));
    }
    // What is a value of known paths is one of unknown paths as well.
    assert_eq!(server.miss("/users/zoe"), "/users/{name}");
}

#[test]
fn fault_22_a_million_distinct_urls_stay_under_the_cap() {
    let limits = RouteLimits {
        per_service: 50,
        per_method: 50,
        names: 2_000_000,
        places: 300,
        remembered: 100,
    };
    let mut server = Server::new(limits, &[]);
    for number in 0..1_000_000 {
        // Letters, so that every path is a route of its own.
        server.id(&format!("/{}", word(number)), Known::Yes);
    }
    assert_eq!(server.routes.usage().series, 50);
    assert_eq!(server.routes.usage().overflowed, 1_000_000 - 50);
    assert!(server.routes.remembered() <= 200);
    // What was admitted before the flood is still itself.
    assert_eq!(server.route("/b"), "/b");
}

#[test]
fn fault_22_a_million_distinct_urls_teach_a_few_templates_quickly() {
    let mut server = Server::new(RouteLimits::default(), &["/given/{one}"]);
    let begun = Instant::now();
    let mut counts: HashMap<RouteId, u32> = HashMap::new();
    for number in 0..1_000_000 {
        let (one, other) = (word(number / 1_000), word(number % 1_000));
        let path = match number % 4 {
            0 => format!("/shop/{one}/{other}"),
            1 => format!("/{one}/{other}.png"),
            2 => format!("/given/{one}{other}"),
            _ => format!("/{one}/{other}/{number}/x/{other}"),
        };
        *counts.entry(server.id(&path, Known::Yes)).or_default() += 1;
    }
    assert_eq!(counts.values().sum::<u32>(), 1_000_000);
    let usage = server.routes.usage();
    assert!(usage.series <= 3 * 200 + 1, "{usage:?}");
    assert!(server.routes.remembered() <= 2 * 4_096);
    // Most is told under what was learnt, not as overflow.
    assert!(usage.overflowed < 50_000, "{usage:?}");
    for (path, template) in [
        ("/shop/z/z", "/{name}/{name}/{name}"),
        ("/z/z.png", "/{name}/{name}.png"),
        ("/given/z", "/given/{one}"),
        ("/z/z/1/x/z", "/{name}/{name}/{id}/x/{name}"),
    ] {
        assert_eq!(server.route(path), template);
    }
    // Some 2 us a path where the compiler optimizes; no limit that a busy machine breaks.
    assert!(begun.elapsed() < Duration::from_mins(2));
}

#[test]
fn whoever_invents_places_is_given_so_many_routes_and_no_more() {
    let mut server = Server::new(few(5), &[]);
    let cap = RouteLimits::default().per_service;
    for number in 0..46_656_u32 {
        let segments: Vec<_> = (0..6)
            .map(|place| word(number / 6_u32.pow(place) % 6))
            .collect();
        server.route(&format!("/{}", segments.join("/")));
    }
    assert!(server.routes.usage().series <= 3 * cap);
    // Values are still told.
    assert_eq!(server.route("/z/z/z/z/z/z"), "/{name}".repeat(6));
}

#[test]
fn unknown_paths_leave_room_for_real_ones() {
    let mut server = Server::new(
        RouteLimits {
            per_service: 8,
            ..RouteLimits::default()
        },
        &[],
    );
    for probe in ["/wp-login", "/phpmyadmin", "/admin", "/shell", "/env"] {
        server.miss(probe);
    }
    assert_eq!(server.routes.usage().series, 2);
    assert_eq!(server.miss("/env"), OTHER);
    assert_eq!(server.route("/env"), "/env");
    assert_eq!(server.miss("/env"), "/env");
    // One that turns out to be known makes room for another unknown one.
    assert_eq!(server.route("/wp-login"), "/wp-login");
    assert_eq!(server.miss("/shell"), "/shell");
}

#[test]
fn a_method_has_a_cap_of_its_own() {
    let mut server = Server::new(
        RouteLimits {
            per_service: 5,
            per_method: 3,
            ..RouteLimits::default()
        },
        &[],
    );
    let names = ["/a", "/b", "/c", "/d", "/e", "/f", "/g"];
    server.method = Method::Post;
    let routes = names.map(|name| server.route(name));
    assert_eq!(routes, ["/a", "/b", "/c", OTHER, OTHER, OTHER, OTHER]);
    server.method = Method::Get;
    let routes = names.map(|name| server.route(name));
    assert_eq!(routes, ["/a", "/b", "/c", OTHER, OTHER, OTHER, OTHER]);
    server.method = Method::Put;
    assert_eq!(
        ["/f", "/g", "/h"].map(|name| server.route(name)),
        ["/f", "/g", OTHER]
    );
}

#[test]
fn services_have_caps_of_their_own_and_are_forgotten_apart() {
    let [first, second] = services();
    let mut routes = Routes::new(
        RouteLimits {
            per_service: 1,
            ..RouteLimits::default()
        },
        &[],
    );
    let of = |routes: &mut Routes, service, role, path: &str| {
        routes.of(&Asked {
            service,
            role,
            method: Method::Get,
            path: &path.into(),
            known: Known::Yes,
        })
    };
    let of_first = of(&mut routes, first, Role::Server, "/a");
    let of_second = of(&mut routes, second, Role::Server, "/a");
    let of_client = of(&mut routes, first, Role::Client, "/x");
    assert_ne!(of_first, of_second);
    assert_eq!(&*routes.template(of_client), "/x");
    assert_eq!(of(&mut routes, first, Role::Server, "/b"), RouteId::OTHER);
    routes.forget(&HashSet::from([first]));
    assert_eq!(&*routes.template(of_first), OTHER);
    assert_eq!(&*routes.template(of_second), "/a");
    assert_eq!(routes.usage().series, 1);
    assert_ne!(of(&mut routes, first, Role::Server, "/b"), RouteId::OTHER);
}

#[test]
fn given_routes_go_before_everything_and_under_no_cap() {
    let limits = RouteLimits {
        per_service: 1,
        ..RouteLimits::default()
    };
    let mut server = Server::new(limits, &["/users/{id}", "/users/me", "/pay/{card}", "/v/*"]);
    assert_eq!(server.route("/only"), "/only");
    assert_eq!(server.route("/users/ann"), "/users/{id}");
    assert_eq!(
        server.miss("/users/550e8400-e29b-41d4-a716-446655440000"),
        "/users/{id}"
    );
    assert_eq!(server.route("/users/me?x=y"), "/users/me");
    assert_eq!(server.route("/pay/4111111111111111"), "/pay/{card}");
    assert_eq!(server.route("/v/a/b/c"), "/v/*");
    assert_eq!(server.route("/other"), OTHER);
    assert_eq!(server.routes.usage().series, 5);
}

#[test]
fn targets_without_a_path_have_routes_of_their_own() {
    let mut server = Server::new(few(1), &[]);
    for path in ["", "*", "/", "/a"] {
        assert_eq!(server.route(path), path);
    }
}

proptest! {
    /// The same traffic in another order, as after a restart, ends in the same templates.
    #[test]
    fn the_same_traffic_ends_in_the_same_routes(
        (paths, shuffled) in prop::collection::vec(
            "(/([a-h]|[a-h]\\.js|[0-9]{3}|[a-h]%20)){1,4}", 1..150,
        ).prop_flat_map(|paths| (Just(paths.clone()), Just(paths).prop_shuffle())),
    ) {
        let limits = RouteLimits { per_service: 1_000, per_method: 1_000, ..few(4) };
        let mut servers = [&paths, &shuffled].map(|order| {
            let mut server = Server::new(limits, &["/a/{x}"]);
            for path in order {
                server.route(path);
            }
            server
        });
        for path in &paths {
            let routes = servers.each_mut().map(|server| server.route(path));
            prop_assert_eq!(&routes[0], &routes[1], "{}", path);
        }
    }

    /// Whatever comes, the caps hold and every request has a route.
    #[test]
    fn caps_hold(
        requests in prop::collection::vec(("(/[a-e]{1,2}){0,4}", any::<bool>(), any::<bool>()), 0..300),
    ) {
        let limits = RouteLimits {
            per_service: 12, per_method: 9, names: 3, places: 40, remembered: 16,
        };
        let mut server = Server::new(limits, &[]);
        for (path, known, post) in requests {
            server.method = if post { Method::Post } else { Method::Get };
            let known = if known { Known::Yes } else { Known::No };
            let id = server.id(&path, known);
            prop_assert_eq!(server.id(&path, known), id);
            prop_assert!(server.routes.usage().series <= 36);
            prop_assert!(server.routes.remembered() <= 32);
        }
    }
}
