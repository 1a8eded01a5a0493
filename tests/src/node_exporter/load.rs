//! CPU, memory, disk and network at once, by programs that Debian has for it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    time::Duration,
};

use anyhow::{Result, ensure};

use crate::{
    lab::{Lab, finish, output},
    process::Process,
};

/// Beyond the time that the programs were given.
const GRACE: Duration = Duration::from_secs(20);

/// Where iperf3 listens, in a name space of its own.
const PORT: u16 = 5201;
/// The two ends of its link, of a network set aside for measuring (RFC 2544).
const HERE: Ipv4Addr = Ipv4Addr::new(198, 18, 231, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(198, 18, 231, 2);

/// A pair of interfaces of which the other is in a network name space of its own: `node_exporter`
/// leaves the loopback out. Gone when dropped.
#[derive(Debug)]
pub struct Link {
    namespace: String,
}

impl Link {
    /// Makes it.
    pub fn new() -> Result<Self> {
        let namespace = format!("sonde-{}", std::process::id());
        ip(&format!("netns add {namespace}"))?;
        let link = Self { namespace };
        let name = &link.namespace;
        ip(&format!(
            "link add {name} type veth peer name eth0 netns {name}"
        ))?;
        ip(&format!("address add {HERE}/30 dev {name}"))?;
        ip(&format!("link set {name} up"))?;
        ip(&format!("-netns {name} address add {THERE}/30 dev eth0"))?;
        ip(&format!("-netns {name} link set eth0 up"))?;
        Ok(link)
    }

    /// A program that runs at the other end.
    fn there(&self, lab: &Lab, program: &str) -> Command {
        let mut command = lab.command("ip");
        command.args(["netns", "exec", &self.namespace, program]);
        command
    }
}

impl Drop for Link {
    /// The interface goes with the name space that its other end is in.
    fn drop(&mut self) {
        let delete = ["netns", "delete", &self.namespace];
        if let Err(error) = output(Command::new("ip").args(delete)) {
            eprintln!("{}: {error:#}", self.namespace);
        }
    }
}

fn ip(arguments: &str) -> Result<()> {
    finish(Command::new("ip").args(arguments.split(' '))).map(drop)
}

/// Runs stress-ng, fio and iperf3 (TCP over the link, then UDP as well) for `time`, and `halfway` in
/// the middle of it. Nothing of them is left afterwards.
pub fn run<T>(
    lab: &Lab,
    link: &Link,
    time: Duration,
    halfway: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let seconds = time.as_secs().to_string();
    let mut server = link.there(lab, "iperf3");
    let address = SocketAddr::from((THERE, PORT));
    let _server = lab.serve(server.arg("--server"), address)?;
    let mut programs = [
        lab.start(lab.command("stress-ng").args(stress(&seconds)), false)?,
        lab.start(lab.command("fio").args(disk(&seconds)), false)?,
        lab.start(lab.command("iperf3").args(network(&seconds)), false)?,
    ];
    std::thread::sleep(time / 2);
    let found = halfway()?;
    for program in &mut programs {
        end(program, time + GRACE)?;
    }
    // iperf3 serves one client at a time.
    let short = ["--udp", "--bitrate", "20M"].map(str::to_owned);
    let datagrams = network("2").into_iter().chain(short);
    lab.run("iperf3", datagrams)?;
    Ok(found)
}

fn end(program: &mut Process, limit: Duration) -> Result<()> {
    let status = program.end_within(limit)?;
    ensure!(status.success(), "{status}:\n{}", program.log());
    Ok(())
}

/// Arithmetic, page faults, processes and switches between them.
fn stress(seconds: &str) -> Vec<&str> {
    let workers = "--cpu 1 --vm 1 --vm-bytes 64M --fork 1 --switch 1 --metrics-brief --timeout";
    workers.split(' ').chain([seconds]).collect()
}

/// Random reads and writes past the page cache, made durable again and again.
fn disk(seconds: &str) -> Vec<&str> {
    let job = "--name=load --filename=load --size=32M --rw=randrw --bs=16k --direct=1 --fsync=32 \
               --ioengine=psync --time_based --runtime";
    job.split_whitespace().chain([seconds]).collect()
}

/// As much as the other programs leave room for, and no more.
fn network(seconds: &str) -> Vec<String> {
    let load = format!("--client {THERE} --bidir --bitrate 200M --time {seconds}");
    load.split(' ').map(str::to_owned).collect()
}
