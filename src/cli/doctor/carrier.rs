//! The fabrics that are everywhere, tried for real: TCP over loopback and over an address of this
//! machine, and memory that is passed between processes.

use super::report::Finding;
use crate::memory::MappedFile;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use serde_json::json;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What is sent and compared.
const PATTERN_BYTES: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(5);

/// TCP over loopback; a job needs it on every fabric, for its control.
pub(super) fn tcp_loopback() -> Finding {
    const NAME: &str = "tcp loopback";
    match echo(IpAddr::V4(Ipv4Addr::LOCALHOST)) {
        Ok((address, time)) => passed(NAME, address, time),
        Err(error) => Finding::fail(NAME, format!("127.0.0.1: {error}"), "sudo ip link set lo up"),
    }
}

/// TCP over the address by which other machines would reach this one.
pub(super) fn tcp_address() -> Finding {
    const NAME: &str = "tcp address";
    let Some(address) = outward_address() else {
        return Finding::warn(
            NAME,
            "no address but loopback: jobs stay on this machine",
            "sudo ip addr add ADDRESS/PREFIX dev DEVICE && sudo ip link set DEVICE up",
        );
    };
    match echo(address) {
        Ok((address, time)) => passed(NAME, address, time),
        Err(error) => Finding::warn(
            NAME,
            format!("{address}: {error}: jobs stay on this machine"),
            "let it through the firewall: sudo nft list ruleset; sudo iptables -L -n",
        ),
    }
}

fn passed(name: &str, address: SocketAddr, time: Duration) -> Finding {
    let text = format!("{address} listens; 1 MiB there and back in {:.1} ms, same bytes", time.as_secs_f64() * 1e3);
    Finding::ok(name, text).with(json!({ "address": address.to_string(), "seconds": time.as_secs_f64() }))
}

/// The local address of the route out, or else the one that the machine's name stands for.
fn outward_address() -> Option<IpAddr> {
    // Connecting a datagram socket looks the route up and sends nothing; the address is for documentation.
    let by_route = UdpSocket::bind(("0.0.0.0", 0)).and_then(|socket| {
        socket.connect(("192.0.2.1", 9))?;
        socket.local_addr()
    });
    let by_name = || {
        let name = super::source::text("/proc/sys/kernel/hostname")?;
        (name.as_str(), 0).to_socket_addrs().ok()?.next()
    };
    let is_outward = |address: &SocketAddr| !address.ip().is_loopback() && !address.ip().is_unspecified();
    by_route.ok().filter(is_outward).or_else(|| by_name().filter(is_outward)).map(|address| address.ip())
}

/// Listens on any port of `address`, connects to it, and sends a pattern there and back.
fn echo(address: IpAddr) -> io::Result<(SocketAddr, Duration)> {
    let listener = TcpListener::bind((address, 0))?;
    let address = listener.local_addr()?;
    let begin = Instant::now();
    let mut near = TcpStream::connect_timeout(&address, PATIENCE)?;
    let (mut far, _) = listener.accept()?;
    for stream in [&near, &far] {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
    }
    let sent: Vec<u8> = (0..PATTERN_BYTES).map(|place| ((place * 31) >> 3) as u8).collect();
    let returned = std::thread::scope(|scope| {
        let reflector = scope.spawn(move || {
            let mut bytes = vec![0; PATTERN_BYTES];
            far.read_exact(&mut bytes)?;
            far.write_all(&bytes)
        });
        let mut bytes = vec![0; PATTERN_BYTES];
        let answer = near.write_all(&sent).and_then(|()| near.read_exact(&mut bytes));
        let reflected = reflector.join().unwrap_or_else(|_| Err(io::Error::other("the other end panicked")));
        reflected.and(answer).map(|()| bytes)
    })?;
    if returned != sent {
        return Err(io::Error::other("other bytes came back than were sent"));
    }
    Ok((address, begin.elapsed()))
}

/// Memory that another process can be given and neither can cut short.
pub(super) fn shared_memory() -> Finding {
    const NAME: &str = "shared memory";
    match sealed_memory() {
        Ok(()) => Finding::ok(NAME, "a sealed memfd keeps its size and shows what was written"),
        Err(error) => Finding::warn(
            NAME,
            format!("{error}: processes of this machine will talk by TCP"),
            "allow memfd_create and its seals: run without a seccomp profile that forbids them \
             (docker run --security-opt seccomp=unconfined), on Linux 3.17 or newer",
        ),
    }
}

fn sealed_memory() -> io::Result<()> {
    let memory = memfd_create("parashard-doctor", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&memory, PATTERN_BYTES as u64)?;
    fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    if ftruncate(&memory, 0).is_ok() || ftruncate(&memory, 2 * PATTERN_BYTES as u64).is_ok() {
        return Err(io::Error::other("a sealed memfd changed its size"));
    }
    let mut file = File::from(memory);
    let written: Vec<u8> = (0..PATTERN_BYTES).map(|place| ((place * 37) >> 4) as u8).collect();
    file.write_all(&written)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let shown = MappedFile::open(&path)?;
    if *shown != *written {
        return Err(io::Error::other("mapped memory shows other bytes than were written"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::report::Mark;
    use super::*;

    #[test]
    fn loopback_and_shared_memory_pass_where_tests_run() {
        assert_eq!(tcp_loopback().mark(), Mark::Ok);
        assert_eq!(shared_memory().mark(), Mark::Ok);
    }

    #[test]
    fn an_address_of_another_machine_is_an_error_and_no_hang() {
        assert!(echo("198.51.100.7".parse().unwrap()).is_err());
    }
}
