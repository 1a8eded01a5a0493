//! The server that a client asked: `server.address` and `server.port`.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use super::service::ServiceId;
use crate::l7::exchange::Exchange;

/// A server as the conventions name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// Host name in lower case, or IP address.
    pub address: Arc<str>,
    /// Port.
    pub port: u16,
}

/// The address of a [`sonde_common::event::http::Tuple`]: IPv4-mapped ones are IPv4.
#[must_use]
pub fn ip(bytes: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(bytes).to_canonical()
}

impl Server {
    /// The server of an exchange, for the side that asked: what the `Host` header names, else the
    /// remote end of the connection.
    #[must_use]
    pub fn asked(exchange: &Exchange) -> Self {
        let named = exchange.host.as_deref().and_then(authority);
        let default_port = match exchange.scheme {
            "https" => 443,
            _ => 80,
        };
        match named {
            Some((host, port)) => Self {
                address: lower_case(host, exchange),
                port: port.unwrap_or(default_port),
            },
            None => Self {
                address: ip(exchange.tuple.remote).to_string().into(),
                port: exchange.tuple.remote_port,
            },
        }
    }

    /// The server of an exchange, for the side that answered: what the `Host` header names, else
    /// the local end of the connection.
    #[must_use]
    pub fn answering(exchange: &Exchange) -> Self {
        match exchange.host.as_deref().and_then(authority) {
            Some((host, port)) => Self {
                address: lower_case(host, exchange),
                port: port.unwrap_or(exchange.tuple.local_port),
            },
            None => Self {
                address: ip(exchange.tuple.local).to_string().into(),
                port: exchange.tuple.local_port,
            },
        }
    }
}

/// The host of an exchange's authority, shared with the exchange where it is all of it.
fn lower_case(host: &str, exchange: &Exchange) -> Arc<str> {
    match &exchange.host {
        Some(all) if **all == *host && !host.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            Arc::clone(all)
        }
        _ => host.to_ascii_lowercase().into(),
    }
}

/// Host and port of `host[:port]` (RFC 3986 section 3.2); `None` when it names no host that DNS or
/// an address could have, for the text comes from a peer and may be anything.
fn authority(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, after.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let named = (1..=253).contains(&host.len())
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':'));
    let port = match port {
        None | Some("") => None,
        Some(port) => Some(port.parse().ok()?),
    };
    named.then_some((host, port))
}

/// A server within one [`Servers`]; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(u32);

/// How a client's exchange says which server it asked, before that is turned into text.
type Asked = (ServiceId, Option<Arc<str>>, [u8; 16], u16, &'static str);

/// Most ways of asking whose server is remembered, over all services.
const REMEMBERED: usize = 4_096;

/// Longest `Host` that is remembered; a longer one names no host anyway.
const REMEMBERED_LENGTH: usize = 264;

/// The servers that services ask, under a cap per service.
#[derive(Debug)]
pub struct Servers {
    limit: usize,
    ids: HashMap<(ServiceId, Server), ServerId>,
    by_id: HashMap<ServerId, Server>,
    per_service: HashMap<ServiceId, usize>,
    remembered: HashMap<Asked, Option<ServerId>>,
    next: u32,
}

impl Servers {
    /// No servers yet; at most `limit` for each service.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            ids: HashMap::new(),
            by_id: HashMap::new(),
            per_service: HashMap::new(),
            remembered: HashMap::new(),
            next: 0,
        }
    }

    /// The server that a client's exchange asked; `None` when the service's cap is reached.
    pub fn asked(&mut self, service: ServiceId, exchange: &Exchange) -> Option<ServerId> {
        let asked = (
            service,
            exchange.host.clone(),
            exchange.tuple.remote,
            exchange.tuple.remote_port,
            exchange.scheme,
        );
        if let Some(id) = self.remembered.get(&asked) {
            return *id;
        }
        let id = self.id(service, Server::asked(exchange));
        if self.remembered.len() >= REMEMBERED {
            self.remembered.clear();
        }
        let host = exchange.host.as_ref();
        if host.is_none_or(|host| host.len() <= REMEMBERED_LENGTH) {
            self.remembered.insert(asked, id);
        }
        id
    }

    fn id(&mut self, service: ServiceId, server: Server) -> Option<ServerId> {
        let key = (service, server);
        if let Some(id) = self.ids.get(&key) {
            return Some(*id);
        }
        let held = self.per_service.entry(service).or_default();
        if *held >= self.limit {
            return None;
        }
        *held += 1;
        let id = ServerId(self.next);
        self.next = self.next.checked_add(1)?;
        self.by_id.insert(id, key.1.clone());
        self.ids.insert(key, id);
        Some(id)
    }

    /// The server with this number.
    #[must_use]
    pub fn get(&self, id: ServerId) -> Option<&Server> {
        self.by_id.get(&id)
    }

    /// Forgets the servers of services that are gone.
    pub fn forget(&mut self, gone: &HashSet<ServiceId>) {
        if gone.is_empty() {
            return;
        }
        self.remembered.retain(|asked, _| !gone.contains(&asked.0));
        self.per_service
            .retain(|service, _| !gone.contains(service));
        let by_id = &mut self.by_id;
        self.ids.retain(|(service, _), id| {
            let keep = !gone.contains(service);
            if !keep {
                by_id.remove(id);
            }
            keep
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::{
        aggregate::{fixture, service::Services},
        l7::exchange::Role,
    };

    fn asked(host: Option<&str>) -> (String, u16) {
        let mut exchange = fixture::exchange(Role::Client);
        exchange.host = host.map(Into::into);
        let server = Server::asked(&exchange);
        (server.address.to_string(), server.port)
    }

    #[test]
    fn the_host_header_names_the_server() {
        assert_eq!(asked(Some("Example.ORG")), ("example.org".to_owned(), 80));
        assert_eq!(asked(Some("api:8443")), ("api".to_owned(), 8443));
        assert_eq!(
            asked(Some("[2001:db8::1]:81")),
            ("2001:db8::1".to_owned(), 81)
        );
    }

    #[test]
    fn the_connection_names_it_where_the_header_does_not() {
        for host in [
            None,
            Some(""),
            Some("a b"),
            Some("a\n"),
            Some("x:99999"),
            Some("[::1"),
            Some("user@host"),
            Some(&*"x".repeat(300)),
        ] {
            assert_eq!(asked(host), ("192.0.2.1".to_owned(), 8080), "{host:?}");
        }
    }

    #[test]
    fn servers_are_capped_for_each_service() {
        let mut services = Services::new(2);
        let [first, second] = ["a", "b"].map(|name| {
            services
                .id(&fixture::resource(name), || UNIX_EPOCH)
                .unwrap()
        });
        let mut servers = Servers::new(1);
        let mut exchange = fixture::exchange(Role::Client);
        let known = servers.asked(first, &exchange);
        assert!(known.is_some());
        exchange.host = Some("elsewhere".into());
        assert_eq!(servers.asked(first, &exchange), None);
        assert!(servers.asked(second, &exchange).is_some());
        servers.forget(&HashSet::from([first]));
        assert!(servers.asked(first, &exchange).is_some());
        assert_eq!(known.and_then(|id| servers.get(id)), None);
    }
}
