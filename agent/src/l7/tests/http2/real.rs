//! Conversations of the h2 crate, client and server: frames and header compression that others made.

use std::sync::Arc;

use bytes::Bytes;
use h2::{client, server};
use http::{Request, Response, StatusCode};
use proptest::prelude::*;
use sonde_common::event::http::Direction;
use tokio::io::duplex;

use super::{
    tap::{self, Tap, Tape},
    *,
};
use crate::l7::exchange::Role;

/// A request and the answer it gets.
#[derive(Clone, Debug)]
struct Pair {
    number: usize,
    /// Bytes of the request's body; `None` for a request without one.
    asks: Option<usize>,
    answers: usize,
    status: u16,
    /// The path is one of many, or always the same.
    unique: bool,
    padding: String,
}

impl Pair {
    fn path(&self) -> String {
        if self.unique {
            format!("/unique/{}", self.number)
        } else {
            "/same".to_owned()
        }
    }

    /// What must be told of it.
    fn line(&self) -> (String, Option<u16>, [Option<u64>; 2]) {
        let sizes = [self.asks.unwrap_or_default(), self.answers].map(|size| Some(size as u64));
        (self.path(), Some(self.status), sizes)
    }
}

fn pair() -> impl Strategy<Value = Pair> {
    let size = prop_oneof![4 => 0..100_usize, 2 => 0..5_000_usize, 1 => 16_000..70_000_usize];
    let status = prop_oneof![Just(200), Just(204), Just(404), Just(503), Just(299)];
    let padding = prop_oneof![3 => Just(String::new()), 1 => "[ -~]{1,60}"];
    (
        prop::option::of(size.clone()),
        size,
        status,
        any::<bool>(),
        padding,
    )
        .prop_map(|(asks, answers, status, unique, padding)| Pair {
            number: 0,
            asks,
            answers,
            status,
            unique,
            padding,
        })
}

fn pairs() -> impl Strategy<Value = Vec<Pair>> {
    prop::collection::vec(pair(), 1..12).prop_map(|mut pairs| {
        let numbered = pairs.iter_mut().enumerate();
        numbered.for_each(|(number, pair)| pair.number = number);
        pairs
    })
}

/// Has the conversation, so many requests at a time; what the server's end read and wrote.
fn converse(pairs: &[Pair], together: usize, table_size: Option<u32>) -> Tape {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let talk = async {
        let (near, far) = duplex(64 * 1024);
        let (near, tape) = Tap::new(near);
        let server = tokio::spawn(serve(near, pairs.to_vec(), table_size));
        // Room for all answers, which are read one after another.
        let connected = client::Builder::new()
            .initial_connection_window_size(1 << 24)
            .handshake(far)
            .await;
        let (mut asker, connection) = connected.expect("a handshake");
        tokio::spawn(connection);
        for batch in pairs.chunks(together) {
            let mut answers = Vec::new();
            for pair in batch {
                asker = asker.ready().await.expect("ready");
                let request = Request::post(format!("http://shop.test{}?q=1", pair.path()))
                    .header("user-agent", "h2")
                    .header("number", pair.number)
                    .header("padding", &pair.padding)
                    .body(())
                    .expect("a request");
                let ends = pair.asks.is_none();
                let (answer, mut body) = asker.send_request(request, ends).expect("sent");
                if let Some(length) = pair.asks {
                    let bytes = Bytes::from(vec![b'a'; length]);
                    body.send_data(bytes, true).expect("sent");
                }
                answers.push(answer);
            }
            for answer in answers {
                let mut body = answer.await.expect("an answer").into_body();
                while let Some(bytes) = body.data().await {
                    let length = bytes.expect("data").len();
                    body.flow_control().release_capacity(length).expect("held");
                }
            }
        }
        server.abort();
        let tape = tape.lock().expect("no panic under the lock");
        tape.clone()
    };
    let patient = async { tokio::time::timeout(Duration::from_secs(5), talk).await };
    runtime.block_on(patient).expect("an end")
}

async fn serve(io: Tap, pairs: Vec<Pair>, table_size: Option<u32>) {
    let mut builder = server::Builder::new();
    if let Some(size) = table_size {
        builder.header_table_size(size);
    }
    let mut connection = builder
        .handshake::<_, Bytes>(io)
        .await
        .expect("a handshake");
    while let Some(accepted) = connection.accept().await {
        let (request, mut respond) = accepted.expect("a request");
        let number = request.headers()["number"].to_str().expect("text");
        let pair = pairs[number.parse::<usize>().expect("a number")].clone();
        tokio::spawn(async move {
            let mut body = request.into_body();
            while let Some(bytes) = body.data().await {
                let length = bytes.expect("data").len();
                body.flow_control().release_capacity(length).expect("held");
            }
            let answer = Response::builder()
                .status(StatusCode::from_u16(pair.status).expect("a status"))
                .header("echo", pair.path())
                .body(())
                .expect("an answer");
            let mut body = respond.send_response(answer, false).expect("sent");
            let bytes = Bytes::from(vec![b'b'; pair.answers]);
            body.send_data(bytes, true).expect("sent");
        });
    }
}

fn told(exchanges: &[Exchange]) -> Vec<(String, Option<u16>, [Option<u64>; 2])> {
    let mut told: Vec<_> = exchanges
        .iter()
        .map(|exchange| {
            assert_eq!(exchange.failure, None);
            assert_eq!(exchange.host.as_deref(), Some("shop.test"));
            assert_eq!(exchange.user_agent.as_deref(), Some("h2"));
            let sizes = [exchange.request_body, exchange.response_body];
            (exchange.path.to_string(), exchange.status, sizes)
        })
        .collect();
    told.sort();
    told
}

fn expected(pairs: &[Pair]) -> Vec<(String, Option<u16>, [Option<u64>; 2])> {
    let mut expected: Vec<_> = pairs.iter().map(Pair::line).collect();
    expected.sort();
    expected
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![2 => 1..20_usize, 2 => 1..3_000_usize, 1 => Just(usize::MAX)];
    prop::collection::vec(size, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However the bytes are split, and whether captured whole or as the kernel side does it, the
    /// exchanges are those that happened.
    #[test]
    fn any_split_of_a_conversation_gives_what_happened(
        pairs in pairs(),
        together in 1..8_usize,
        sizes in sizes(),
        table_size in prop::option::of(prop_oneof![Just(0_u32), Just(100), Just(65_536)]),
    ) {
        let tape = converse(&pairs, together, table_size);
        let short: Vec<_> = sizes.iter().map(|size| *size.min(&tap::MOST)).collect();
        for script in [tap::whole(&tape, &sizes), tap::captured(&tape, &short)] {
            for script in [script.clone(), script.mirrored()] {
                let (exchanges, table) = run(&script);
                prop_assert_eq!(told(&exchanges), expected(&pairs));
                let counters = table.counters();
                prop_assert_eq!(counters.framing_lost + counters.header_blocks, 0);
                prop_assert_eq!(counters.hidden_fields, 0);
                prop_assert_eq!(table.in_flight(), 0);
            }
        }
    }

    /// Records lost at random, and late: what is told is right, and what isn't told is counted.
    #[test]
    fn fault_21_lost_records_of_a_conversation_mix_nothing(
        pairs in pairs(),
        together in 1..8_usize,
        sizes in sizes(),
        lost in prop::collection::vec(prop::bool::weighted(0.15), 1..60),
        late in 0..12_usize,
        client: bool,
    ) {
        let tape = converse(&pairs, together, None);
        let script = tap::captured(&tape, &sizes).without_first(late);
        let script = if client { script.mirrored() } else { script };
        let mut table = table();
        let mut exchanges = Vec::new();
        table.open(&Script::opened_as(1, late > 0));
        for (segment, lost) in script.segments().zip(lost.iter().cycle()) {
            if !lost {
                table.segment(&segment, &mut |exchange| exchanges.push(exchange.clone()));
            }
            conserves(&table, exchanges.len());
        }
        table.expire(seconds(10_000), &mut |exchange| exchanges.push(exchange.clone()));
        conserves(&table, exchanges.len());
        prop_assert_eq!(table.in_flight(), 0);
        prop_assert!(exchanges.len() <= pairs.len());
        for exchange in &exchanges {
            let role = if client { Role::Client } else { Role::Server };
            prop_assert_eq!(exchange.role, role);
            let path = &*exchange.path;
            prop_assert!(path.is_empty() || path == "/same" || path.starts_with("/unique/"));
            if let Some(pair) = pairs.iter().find(|pair| pair.unique && pair.path() == path) {
                never_wrong(exchange, pair)?;
            }
        }
    }
}

/// What is known of an exchange is what happened.
fn never_wrong(exchange: &Exchange, pair: &Pair) -> Result<(), TestCaseError> {
    let (_, status, sizes) = pair.line();
    prop_assert!(exchange.status.is_none() || exchange.status == status);
    let told = [exchange.request_body, exchange.response_body];
    for (told, real) in told.into_iter().zip(sizes) {
        prop_assert!(told.is_none() || told == real, "{:?} {:?}", told, real);
    }
    Ok(())
}

#[test]
fn header_blocks_that_repeat_share_their_texts() {
    let pairs: Vec<_> = (0..10)
        .map(|number| Pair {
            number,
            asks: None,
            answers: 10,
            status: 200,
            unique: false,
            padding: String::new(),
        })
        .collect();
    let tape = converse(&pairs, 1, None);
    assert!(
        tape.iter()
            .any(|(direction, _)| *direction == Direction::Send)
    );
    let (exchanges, _) = run(&tap::whole(&tape, &[usize::MAX]));
    for exchange in &exchanges {
        assert!(Arc::ptr_eq(&exchange.path, &exchanges[0].path));
        let hosts = [exchange, &exchanges[0]].map(|exchange| exchange.host.as_ref().unwrap());
        assert!(Arc::ptr_eq(hosts[0], hosts[1]));
    }
}
