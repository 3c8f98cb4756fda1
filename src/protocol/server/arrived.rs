//! A request on its way through the shard: the received frame with its keys and values as the store
//! wants them.
//!
//! What the sender's filters did is undone once, when the request arrives: packed blocks are unpacked
//! into blocks of the pool, and a digest is exchanged for the list. Without filters both parts are
//! views of the received buffer. A request that waits keeps all of this, accounted.

use super::Server;
use super::key_cache::List;
use crate::filter::{FilterError, key_digest};
use crate::id::{Nanos, NodeId};
use crate::limit;
use crate::memory::Block;
use crate::store::StoreError;
use crate::wire::{FilterFlags, Flags, Header, Kind, RxFrame, Status};
use std::sync::Arc;
use zerocopy::IntoBytes;

/// Where the keys of a request are.
#[derive(Debug)]
pub(super) enum Keys {
    /// Every key of the range; nowhere.
    Dense,
    /// In the frame.
    Frame,
    /// Unpacked.
    Unpacked(Block),
    /// In a list that is or was kept.
    List(Arc<List>),
}

/// A request that was received, and unpacked.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) from: NodeId,
    /// When it arrived.
    pub(super) since: Nanos,
    frame: RxFrame,
    keys: Keys,
    /// Values that were packed.
    values: Option<Block>,
}

impl Arrived {
    /// A call, which names no keys.
    pub(super) fn of_call(from: NodeId, since: Nanos, frame: RxFrame) -> Arrived {
        Arrived { from, since, frame, keys: Keys::Dense, values: None }
    }

    /// The request's header. Its filter flags say whether the shard keeps its key list.
    pub(super) fn header(&self) -> &Header {
        &self.frame.header
    }

    pub(super) fn frame(&self) -> &RxFrame {
        &self.frame
    }

    /// The keys, or `None` when the request is dense.
    pub(super) fn keys(&self) -> Option<&[u64]> {
        match &self.keys {
            Keys::Dense => None,
            Keys::Frame => Some(self.frame.body().keys),
            Keys::Unpacked(block) => Some(block.typed()),
            Keys::List(list) => Some(&list.keys),
        }
    }

    /// The kept list that the keys are of.
    pub(super) fn list(&self) -> Option<&Arc<List>> {
        match &self.keys {
            Keys::List(list) => Some(list),
            _ => None,
        }
    }

    /// The values of a push.
    pub(super) fn values(&self) -> &[u8] {
        self.values.as_deref().unwrap_or_else(|| self.frame.body().values)
    }

    /// Bytes of the values of all keys, unpacked.
    pub(super) fn value_bytes(&self, value_size: usize) -> usize {
        let span = usize::try_from(self.header().range.span()).unwrap_or(usize::MAX);
        self.keys().map_or(span, <[u64]>::len).saturating_mul(value_size)
    }

    /// Bytes that are held as long as the request waits.
    pub(super) fn bytes(&self) -> usize {
        let keys = match &self.keys {
            Keys::Dense | Keys::Frame => 0,
            Keys::Unpacked(block) => block.capacity(),
            Keys::List(list) => list.bytes(),
        };
        self.frame.bytes() + keys + self.values.as_ref().map_or(0, Block::capacity)
    }
}

/// Why a request cannot be unpacked.
enum Trouble {
    NeedKeys,
    Wrong(String),
}

impl From<FilterError> for Trouble {
    fn from(error: FilterError) -> Trouble {
        Trouble::Wrong(error.to_string())
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Trouble {
        Trouble::Wrong(error.to_string())
    }
}

impl Server {
    /// Unpacks a request and checks its keys and values; answers and gives nothing where that cannot
    /// be. Nothing of it was applied then.
    pub(super) fn receive(&mut self, from: NodeId, index: usize, frame: RxFrame) -> Option<Arrived> {
        let header = frame.header;
        match self.unpack(from, index, frame) {
            Ok(arrived) => return Some(arrived),
            Err(Trouble::NeedKeys) => self.reply(from, &header, Status::NeedKeys),
            Err(Trouble::Wrong(reason)) => self.refuse(from, &header, &reason),
        }
        None
    }

    fn unpack(&mut self, from: NodeId, index: usize, mut frame: RxFrame) -> Result<Arrived, Trouble> {
        let header = frame.header;
        let (found, declared) = (header.filter_flags, self.tables[index].spec.filters.flags());
        if !declared.has(found) {
            let reason = format!("filter bits {:#x} of which the table declares {:#x}", found.0, declared.0);
            return Err(Trouble::Wrong(reason));
        }
        let keys = if header.flags.has(Flags::DENSE) { Keys::Dense } else { self.unpack_keys(index, &frame)? };
        let state = &mut self.tables[index];
        let values = match header.kind {
            Kind::Push => {
                let value_bytes = (header.key_count as usize).saturating_mul(state.spec.value_size());
                state.filters.values.decode(&self.pool, found, value_bytes, frame.body().values)?.into_block()
            }
            _ => None,
        };
        let is_kept = matches!(keys, Keys::List(_));
        frame.header.filter_flags = if is_kept { FilterFlags::KEY_CACHE } else { FilterFlags::default() };
        let arrived = Arrived { from, since: self.now, frame, keys, values };
        self.check(index, &arrived)?;
        Ok(arrived)
    }

    /// The keys of a sparse request. A list that is to be kept is checked here.
    fn unpack_keys(&mut self, index: usize, frame: &RxFrame) -> Result<Keys, Trouble> {
        let header = &frame.header;
        let (table, key_count) = (header.table.0, header.key_count as usize);
        let is_listed = header.filter_flags.has(FilterFlags::KEY_CACHE);
        if is_listed && header.key_bytes == 0 {
            let found = self.key_cache.find(header.digest, table, header.range, key_count);
            return found.map(Keys::List).ok_or(Trouble::NeedKeys);
        }
        let state = &mut self.tables[index];
        let block = frame.body().keys.as_bytes();
        let unpacked = state.filters.keys.decode(&self.pool, header.filter_flags, header.range, key_count, block)?;
        if is_listed {
            let keys = unpacked.keys();
            state.table.check_pull(header.range, Some(keys))?;
            let digest = key_digest(table, header.range.begin, header.range.end, keys);
            if digest != header.digest {
                return Err(Trouble::Wrong("the digest is not that of the keys".to_owned()));
            }
            if let Some(list) = self.key_cache.keep(digest, table, header.range, keys) {
                return Ok(Keys::List(list));
            }
        }
        Ok(unpacked.into_block().map_or(Keys::Frame, Keys::Unpacked))
    }

    /// Everything that can be wrong with the request; the keys of a kept list were checked before.
    fn check(&self, index: usize, arrived: &Arrived) -> Result<(), Trouble> {
        let (state, header) = (&self.tables[index], arrived.header());
        match (arrived.list(), header.kind) {
            (Some(list), Kind::Push) => state.table.check_push_values(list.keys.len(), arrived.values())?,
            (None, Kind::Push) => state.table.check_push(header.range, arrived.keys(), arrived.values())?,
            (Some(_), _) => {}
            (None, _) => drop(state.table.check_pull(header.range, arrived.keys())?),
        }
        let (bytes, limit) = (arrived.value_bytes(state.spec.value_size()), limit::FRAME_BODY_BYTES);
        if bytes > limit {
            return Err(Trouble::Wrong(format!("{bytes} bytes of values in one segment, limit {limit}")));
        }
        Ok(())
    }
}
