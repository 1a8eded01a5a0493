//! Slow, greedy and idle clients.

use super::*;

/// Asks for a response that no socket buffer holds, and doesn't read it.
async fn slow_scraper(running: &Running) -> TcpStream {
    running.snapshot.send_replace(Some(snapshot(32 * 1024)));
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(running.address).await.unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0];
    stream.read_exact(&mut first).await.unwrap();
    stream
}

#[tokio::test]
async fn fault_25_past_the_limit_of_parallel_scrapes_comes_503() {
    let limits = Limits {
        requests: 1,
        ..Limits::default()
    };
    let running = start(limits).await;
    let slow = slow_scraper(&running).await;
    let (head, _) = request(running.address, "GET /metrics", "").await;
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    assert_eq!(
        counted(&running.stats, &["requests_total", "too_many_requests"]),
        1
    );
    let (head, _) = request(running.address, "GET /-/healthy", "").await;
    assert!(
        head.starts_with("http/1.1 200 "),
        "the limit is for scrapes only: {head}"
    );
    drop(slow);
    running.snapshot.send_replace(Some(snapshot(1)));
    let again = async {
        while !request(running.address, "GET /metrics", "")
            .await
            .0
            .starts_with("http/1.1 200 ")
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), again)
        .await
        .expect("the place is free again");
}

#[tokio::test]
async fn fault_25_a_scraper_that_takes_too_long_is_cut_off() {
    let limits = Limits {
        requests: 1,
        write_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let running = start(limits).await;
    let mut slow = slow_scraper(&running).await;
    // It takes a little every now and then, which must not extend its time.
    let trickle = async {
        let mut bytes = [0; 512];
        while let Ok(1..) = slow.read(&mut bytes).await {
            if counted(&running.stats, &["connection_errors_total", "timeout"]) > 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(10), trickle)
        .await
        .expect("cut off");
    running.snapshot.send_replace(Some(snapshot(1)));
    let (head, _) = request(running.address, "GET /metrics", "").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
}

#[tokio::test]
async fn fault_25_a_request_that_never_ends_is_given_up() {
    let limits = Limits {
        header_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let running = start(limits).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost:")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let end = timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
    assert!(end.is_ok(), "the server closes the connection");
    let counted = async {
        while counted(&running.stats, &["connection_errors_total", "timeout"]) < 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), counted)
        .await
        .expect("counted");
}

#[tokio::test]
async fn fault_25_connections_have_a_limit() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let running = start(limits).await;
    let first = TcpStream::connect(running.address).await.unwrap();
    let mut second = TcpStream::connect(running.address).await.unwrap();
    let mut nothing = Vec::new();
    let end = timeout(Duration::from_secs(10), second.read_to_end(&mut nothing)).await;
    assert_eq!(end.expect("closed at once").unwrap_or(0), 0);
    assert_eq!(counted(&running.stats, &["too_many_connections"]), 1);
    drop(first);
}

#[tokio::test]
async fn stopping_does_not_wait_for_idle_connections() {
    let running = start(Limits::default()).await;
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    let mut some = [0; 16];
    idle.read_exact(&mut some).await.unwrap();
    running.stop.cancel();
    let ended = timeout(Duration::from_secs(1), running.server).await;
    ended.expect("within the second").unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let running = start(Limits::default()).await;
    let source = Source {
        snapshot: running.snapshot.subscribe(),
        readiness: running.readiness.subscribe(),
        stats: Arc::clone(&running.stats),
    };
    let taken = Server::bind(&[running.address], source, Limits::default()).await;
    let said = crate::cli::error_lines(&taken.unwrap_err());
    let start = format!("sonde: error: can't listen on {}: ", running.address);
    assert!(said.starts_with(&start), "{said}");
    assert_eq!(said.matches("in use").count(), 1, "{said}");
}
