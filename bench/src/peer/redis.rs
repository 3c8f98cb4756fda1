//! A Redis server of our own, and as much of its protocol as the benchmarks need.

use super::program::{Program, find, free_port};
use crate::pin::Placement;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use tempfile::TempDir;

/// What Redis is asked to do for a list of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RedisWork {
    /// `INCRBYFLOAT`, one command a key.
    Increment,
    /// `HINCRBYFLOAT` on one hash, one command a key.
    HashIncrement,
    /// `MGET`, all keys of a batch in one command.
    Gather,
}

impl RedisWork {
    pub(crate) fn name(self) -> &'static str {
        match self {
            RedisWork::Increment => "redis_incrbyfloat",
            RedisWork::HashIncrement => "redis_hincrbyfloat",
            RedisWork::Gather => "redis_mget",
        }
    }
}

/// A batch of commands, ready to be sent.
struct Batch {
    bytes: Vec<u8>,
    replies: usize,
}

/// Commands for a list of keys, in batches that are sent one after the other's answer.
pub(crate) struct Script(Vec<Batch>);

/// A server on the server's core, without files, and a connection to it.
pub(crate) struct Redis {
    reader: BufReader<TcpStream>,
    line: Vec<u8>,
    _server: Program,
    _folder: TempDir,
}

impl Redis {
    /// `None` when it is not installed.
    pub(crate) fn start(placement: &Placement) -> Result<Option<Redis>> {
        let Some(program) = find("redis-server") else { return Ok(None) };
        let (port, folder) = (free_port()?, tempfile::tempdir()?);
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(folder.path());
        let mut server = placement.start_on_server(|| Program::start("redis-server", command))?;
        server.wait_for_port(port)?;
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Ok(Some(Redis { reader: BufReader::new(stream), line: Vec::new(), _server: server, _folder: folder }))
    }

    /// Does the whole script.
    pub(crate) fn run(&mut self, script: &Script) -> Result<()> {
        for batch in &script.0 {
            self.reader.get_mut().write_all(&batch.bytes)?;
            (0..batch.replies).try_for_each(|_| self.take_reply())?;
        }
        Ok(())
    }

    /// Reads one reply: a bulk string, or an array of them.
    fn take_reply(&mut self) -> Result<()> {
        let mut expected = 1u64;
        while expected > 0 {
            expected -= 1;
            let (kind, length) = self.take_head()?;
            match (kind, u64::try_from(length)) {
                (b'*', Ok(elements)) => expected += elements,
                (b'$', Ok(bytes)) => {
                    let skipped = std::io::copy(&mut self.reader.by_ref().take(bytes + 2), &mut std::io::sink())?;
                    anyhow::ensure!(skipped == bytes + 2, "Redis has closed the connection");
                }
                // A key that is not there.
                (b'$', Err(_)) => {}
                _ => bail!("Redis answered: {}", String::from_utf8_lossy(&self.line).trim_end()),
            }
        }
        Ok(())
    }

    fn take_head(&mut self) -> Result<(u8, i64)> {
        self.line.clear();
        self.reader.read_until(b'\n', &mut self.line)?;
        let text = str::from_utf8(&self.line)?.trim_end();
        let kind = *text.as_bytes().first().context("Redis has closed the connection")?;
        Ok((kind, text[1..].parse().unwrap_or(-1)))
    }
}

impl Script {
    /// The work for these keys, `batch` of them at a time.
    pub(crate) fn new(work: RedisWork, keys: &[u64], batch: usize) -> Script {
        Script(keys.chunks(batch).map(|keys| batch_of(work, keys)).collect())
    }
}

fn batch_of(work: RedisWork, keys: &[u64]) -> Batch {
    let mut bytes = Vec::new();
    let name = |key: &u64| format!("k{key}");
    match work {
        RedisWork::Increment => {
            keys.iter().for_each(|key| add_command(&mut bytes, &["INCRBYFLOAT", &name(key), "0.5"]))
        }
        RedisWork::HashIncrement => {
            keys.iter().for_each(|key| add_command(&mut bytes, &["HINCRBYFLOAT", "t", &name(key), "0.5"]));
        }
        RedisWork::Gather => {
            let names: Vec<String> = std::iter::once("MGET".to_owned()).chain(keys.iter().map(name)).collect();
            add_command(&mut bytes, &names);
        }
    }
    Batch { bytes, replies: if work == RedisWork::Gather { 1 } else { keys.len() } }
}

fn add_command(bytes: &mut Vec<u8>, words: &[impl AsRef<str>]) {
    bytes.extend(format!("*{}\r\n", words.len()).bytes());
    for word in words {
        let word = word.as_ref();
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_cut_into_batches_of_commands() {
        let script = Script::new(RedisWork::Increment, &[1, 22, 3], 2);
        assert_eq!(script.0.iter().map(|batch| batch.replies).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(script.0[1].bytes, b"*3\r\n$11\r\nINCRBYFLOAT\r\n$2\r\nk3\r\n$3\r\n0.5\r\n");
        assert_eq!(
            Script::new(RedisWork::Gather, &[1, 22, 3], 2).0[0].bytes,
            b"*3\r\n$4\r\nMGET\r\n$2\r\nk1\r\n$3\r\nk22\r\n"
        );
    }
}
