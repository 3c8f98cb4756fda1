//! Shared memory with another process of this host: guests at our unix socket, and ourselves at theirs.

use super::FabricTransport;
use super::choice::LinkKind;
use super::peer::{Halves, Stage};
use crate::id::{Nanos, NodeId};
use crate::transport::shm::{Guest, Host, ShmTicket};
use std::os::fd::AsRawFd;

impl FabricTransport {
    /// Listens for guests, from the first time on that one is expected.
    pub(super) fn open_host(&mut self) -> bool {
        if self.host.is_none() {
            let drawn = self.tcp.draw();
            let name = std::array::from_fn(|place| drawn[place]);
            let opened = Host::open(name).map_err(|error| error.to_string());
            let watched = opened.and_then(|host| match self.tcp.watch(host.as_raw_fd()) {
                Ok(()) => Ok(host),
                Err(error) => Err(error.to_string()),
            });
            self.host = watched.inspect_err(|error| tracing::warn!("shared memory is not available: {error}")).ok();
        }
        self.host.is_some()
    }

    pub(super) fn call(&mut self, ticket: &ShmTicket) -> Result<Guest, String> {
        let guest = Guest::call(ticket, &self.bell).map_err(|error| error.to_string())?;
        self.tcp.watch(guest.as_raw_fd()).map_err(|error| error.to_string())?;
        Ok(guest)
    }

    /// What has come at our unix sockets, theirs and ours.
    pub(super) fn attend_guests(&mut self, now: Nanos) {
        let is_signalled = self.tcp.take_signalled();
        if !is_signalled && self.guests_timeout().is_none_or(|due| due > now) {
            return;
        }
        if self.peers.values().any(|record| record.expects_guest())
            && let Some(host) = &mut self.host
        {
            let tcp = &self.tcp;
            for visit in host.poll(now, |descriptor| tcp.watch(descriptor)) {
                let invited = self.peers.values_mut().find_map(|record| match &mut record.stage {
                    Stage::Answered(Halves { shm: Some(shm), .. }) if shm.is_for(&visit) => {
                        Some((&mut shm.visited, &mut record.objection))
                    }
                    _ => None,
                });
                match invited {
                    Some((visited, objection)) => match visit.welcome(&self.bell) {
                        Ok(ends) => *visited = Some(ends),
                        Err(error) => {
                            // The guest hears of it and goes another way, or ends with one line.
                            tracing::info!("cannot share memory: {error}");
                            *objection = Some(format!("shm: {error}"));
                        }
                    },
                    None => tracing::warn!("closed a unix connection with a wrong nonce"),
                }
            }
        }
        let calling = self.peers.iter().filter(|(_, record)| matches!(record.stage, Stage::Calling { .. }));
        let calling: Vec<NodeId> = calling.map(|(&peer, _)| peer).collect();
        calling.into_iter().for_each(|peer| self.hear_host(now, peer));
    }

    fn hear_host(&mut self, now: Nanos, peer: NodeId) {
        let Some(record) = self.peers.get_mut(&peer) else { return };
        let Stage::Calling { guest, deadline, rest } = &mut record.stage else { return };
        let reason = match guest.hear() {
            Ok(Some(ends)) => {
                return self.settle_ring(now, peer, LinkKind::Shm, ends, "same host, proved at a unix socket");
            }
            Ok(None) if *deadline > now => return,
            Ok(None) => "it does not answer at its socket".to_owned(),
            Err(error) => error.to_string(),
        };
        let mut rest = std::mem::take(rest);
        rest.reasons.push(format!("shm: {reason}"));
        self.choose(now, peer, rest);
    }

    /// When `attend_guests` has something to do even if nothing comes.
    pub(super) fn guests_timeout(&self) -> Option<Nanos> {
        let calling = self.peers.values().filter_map(|record| match &record.stage {
            Stage::Calling { deadline, .. } => Some(*deadline),
            _ => None,
        });
        calling.chain(self.host.as_ref().and_then(Host::poll_timeout)).min()
    }
}
