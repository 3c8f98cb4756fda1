//! What a worker knows of the shards: who is connected, and which key lists they hold.
//!
//! A shard's answer says whether it holds the list of the request. From then on the digest is
//! enough, until the shard says that it needs the keys. Where that happens often, because its cache
//! is smaller than the lists that come round, the keys are sent unasked for a while: a miss costs a
//! round trip more than they do.

use crate::id::{Incarnation, NodeId};
use crate::limit;
use crate::protocol::lru::Lru;
use std::collections::BTreeMap;

/// Bytes that one believed digest costs here.
const DIGEST_BYTES: usize = 128;
/// Most lists that are sent with their keys after a miss.
const PAUSE_MAX: u32 = 256;

#[derive(Debug)]
struct Shard {
    incarnation: Incarnation,
    is_connected: bool,
    /// How many lists are sent with their keys after the next miss.
    pause: u32,
    /// How many of these are left.
    paused: u32,
}

/// All shards that were ever connected.
#[derive(Debug, Default)]
pub(super) struct Shards {
    shards: BTreeMap<NodeId, Shard>,
    /// Who is believed to hold which list.
    holders: Lru<(NodeId, Incarnation)>,
}

impl Shards {
    /// A connection stands. Another start of the shard holds nothing.
    pub(super) fn on_connected(&mut self, shard: NodeId, incarnation: Incarnation) {
        self.shards.insert(shard, Shard { incarnation, is_connected: true, pause: 0, paused: 0 });
    }

    pub(super) fn on_lost(&mut self, shard: NodeId) {
        if let Some(shard) = self.shards.get_mut(&shard) {
            shard.is_connected = false;
        }
    }

    pub(super) fn is_connected(&self, shard: NodeId) -> bool {
        self.shards.get(&shard).is_some_and(|shard| shard.is_connected)
    }

    /// Which start of the shard is known.
    pub(super) fn incarnation(&self, shard: NodeId) -> Option<Incarnation> {
        self.shards.get(&shard).map(|shard| shard.incarnation)
    }

    /// Whether the digest is enough for this shard now.
    pub(super) fn may_omit_keys(&mut self, to: NodeId, digest: u128) -> bool {
        let Some(shard) = self.shards.get_mut(&to) else { return false };
        if self.holders.touch(digest) != Some(&mut (to, shard.incarnation)) {
            return false;
        }
        if shard.paused > 0 {
            shard.paused -= 1;
            return false;
        }
        true
    }

    /// The shard has answered and holds the list.
    pub(super) fn on_held(&mut self, shard_id: NodeId, digest: u128, were_keys_omitted: bool) {
        let Some(shard) = self.shards.get_mut(&shard_id) else { return };
        if were_keys_omitted {
            shard.pause /= 2;
        }
        let holder = (shard_id, shard.incarnation);
        if self.holders.touch(digest) != Some(&mut { holder }) {
            self.holders.insert(digest, holder, DIGEST_BYTES);
            self.holders.evict(limit::WORKER_KEY_DIGESTS_BYTES);
        }
    }

    /// The shard does not hold the list.
    pub(super) fn on_missed(&mut self, shard: NodeId, digest: u128) {
        self.holders.remove(digest);
        if let Some(shard) = self.shards.get_mut(&shard) {
            shard.pause = (2 * shard.pause + 1).min(PAUSE_MAX);
            shard.paused = shard.pause;
        }
    }
}
