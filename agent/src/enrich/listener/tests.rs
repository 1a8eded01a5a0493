use std::os::unix::fs::symlink;

use proptest::prelude::*;

use super::*;

const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

fn line(address: &str, state: &str, inode: u64) -> String {
    format!(
        "   0: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0000000000000000 100 0 0 10 0\n"
    )
}

fn process(procfs: &Path, tgid: u32, netns: u32, tcp: &str, inodes: &[u64]) {
    let path = procfs.join(tgid.to_string());
    for directory in ["ns", "net", "fd"] {
        fs::create_dir_all(path.join(directory)).unwrap();
    }
    symlink(format!("net:[{netns}]"), path.join("ns/net")).unwrap();
    fs::write(path.join("net/tcp"), tcp).unwrap();
    symlink("/dev/null", path.join("fd/0")).unwrap();
    for (index, inode) in inodes.iter().enumerate() {
        symlink(
            format!("socket:[{inode}]"),
            path.join(format!("fd/{}", index + 3)),
        )
        .unwrap();
    }
}

#[test]
fn fault_16_the_same_port_in_two_namespaces_has_two_owners() {
    let procfs = tempfile::tempdir().unwrap();
    let first = format!("{HEAD}{}", line("00000000:1F90", "0A", 11));
    let second = format!("{HEAD}{}", line("0100007F:1F90", "0A", 22));
    process(procfs.path(), 100, 1, &first, &[11]);
    process(procfs.path(), 200, 2, &second, &[22]);
    let listeners = Listeners::read(procfs.path());
    assert_eq!(listeners.owner(1, 8080), Some(100));
    assert_eq!(listeners.owner(2, 8080), Some(200));
    assert_eq!(listeners.owner(3, 8080), None);
    assert_eq!(listeners.len(), 2);
}

#[test]
fn fault_17_a_prefork_groups_socket_is_its_masters() {
    let procfs = tempfile::tempdir().unwrap();
    let table = format!("{HEAD}{}", line("00000000:0050", "0A", 7));
    for tgid in [301, 300, 302] {
        process(procfs.path(), tgid, 1, &table, &[7]);
    }
    assert_eq!(Listeners::read(procfs.path()).owner(1, 80), Some(300));
}

#[test]
fn a_real_socket_is_found_in_the_real_proc() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let netns = number(&fs::read_link("/proc/self/ns/net").unwrap(), "net:[").unwrap();
    let listeners = Listeners::read(Path::new("/proc"));
    let owner = listeners.owner(u32::try_from(netns).unwrap(), port);
    assert_eq!(owner, Some(std::process::id()));
}

#[test]
fn who_was_seen_listening_is_news_once() {
    let mut listeners = Listeners::default();
    assert!(listeners.learn(1, 80, 7));
    assert!(!listeners.learn(1, 80, 7));
    assert!(listeners.learn(1, 80, 8));
    assert_eq!(listeners.owner(1, 80), Some(8));
    for port in 0..=u16::MAX {
        listeners.learn(2, port, 9);
    }
    assert_eq!(listeners.len(), CAPACITY);
    assert!(listeners.learn(1, 80, 9), "one that is known needs no room");
    assert!(!listeners.learn(3, 80, 9));
}

#[test]
fn connections_are_no_listeners() {
    let table = format!(
        "{HEAD}{}{}",
        line("00000000:0050", "0A", 7),
        line("00000000:0051", "01", 8)
    );
    assert_eq!(listening(table.as_bytes()), Some(vec![(7, 80)]));
}

#[test]
fn ipv6_sockets_are_listed_in_their_own_table() {
    let procfs = tempfile::tempdir().unwrap();
    process(procfs.path(), 5, 1, HEAD, &[9]);
    let table = line("00000000000000000000000000000000:01BB", "0A", 9).replace(
        "00000000:0000 0A",
        "00000000000000000000000000000000:0000 0A",
    );
    fs::write(procfs.path().join("5/net/tcp6"), format!("{HEAD}{table}")).unwrap();
    assert_eq!(Listeners::read(procfs.path()).owner(1, 443), Some(5));
}

#[test]
fn fault_28_a_damaged_table_is_counted() {
    let procfs = tempfile::tempdir().unwrap();
    let table = format!("{HEAD}{}", line("0000:zz", "0A", 7));
    process(procfs.path(), 1, 1, &table, &[7]);
    let listeners = Listeners::read(procfs.path());
    assert!(listeners.is_empty());
    assert_eq!(listeners.losses().get(Loss::ProcMalformed), 1);
}

proptest! {
    #[test]
    fn fault_28_any_table_is_read_without_panic(rest in "[ 0-9A-F:a-z\\n]{0,200}") {
        let _ = listening(format!("{HEAD}{rest}").as_bytes());
        let _ = listening(format!("{HEAD}0: {rest} x 0A {rest}\n").as_bytes());
    }
}
