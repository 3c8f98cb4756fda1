//! From a segment to the frame that goes out now: a key list that the shard holds becomes its digest,
//! and the table's lossless filters shrink the rest. A frame that is sent again is made again.

use super::Worker;
use crate::id::Timestamp;
use crate::memory::TxBuf;
use crate::wire::{FilterFlags, Kind, TxFrame};

impl Worker {
    /// The frame of one segment, counted as traffic.
    pub(super) fn encode(&mut self, timestamp: Timestamp, index: usize) -> Option<TxFrame> {
        let table = self.operations.at(timestamp)?.segments.get(index)?.header.table;
        let remembers = self.spec(table).is_ok_and(|spec| spec.filters.remember_answers());
        let operation = self.operations.at_mut(timestamp)?;
        let dependencies = operation.dependencies_of(index);
        let segment = operation.segments.get_mut(index)?;
        let mut header = segment.header;
        header.dependency_count = u16::try_from(dependencies.len()).unwrap_or(u16::MAX);
        let (mut keys, mut values) = (segment.keys.clone(), segment.values.clone());
        let is_filtered = matches!(header.kind, Kind::Push | Kind::Pull);
        if let Some(chain) = self.chains.get_mut(usize::from(header.table.0)).filter(|_| is_filtered) {
            segment.keys_omitted = header.digest != 0 && self.shards.may_omit_keys(segment.to, header.digest);
            if header.digest != 0 {
                header.filter_flags = FilterFlags::KEY_CACHE;
            }
            if segment.keys_omitted {
                keys = None;
                self.traffic.keys_omitted += 1;
            }
            if header.kind == Kind::Pull && remembers {
                header.slice_count = segment.named_answer(&mut self.pulled, self.shards.incarnation(segment.to));
            }
            if let Some((packed, flags)) =
                keys.as_ref().and_then(|keys| chain.keys.encode(&self.pool, header.range, keys.typed()))
            {
                header.filter_flags = header.filter_flags | flags;
                keys = Some(packed.freeze());
            }
            if let Some((packed, flags)) = values.as_ref().and_then(|values| chain.values.encode(&self.pool, values)) {
                header.filter_flags = header.filter_flags | flags;
                values = Some(packed.freeze());
            }
        }
        let bytes = |part: &Option<TxBuf>| part.as_ref().map_or(0, |part| part.len() as u32);
        (header.key_bytes, header.value_bytes) = (bytes(&keys), bytes(&values));
        let landing = operation.landing_of(index);
        let frame = TxFrame { dependencies, keys, landing, ..TxFrame::with_values(header, values) };
        match header.kind {
            Kind::Push => self.traffic.bytes_pushed += frame.bytes() as u64,
            Kind::Pull => self.traffic.bytes_asked += frame.bytes() as u64,
            _ => {}
        }
        Some(frame)
    }
}
