//! Cutting an operation: by the partition into slices, by size into segments. No key or value is
//! copied; segments are counted views of the caller's buffers.

use super::operation::{Operation, OperationError, Segment, SegmentState};
use super::{Request, Worker};
use crate::id::{Nanos, NodeId, TableId, Time, Timestamp};
use crate::keyspace::KeyRange;
use crate::limit;
use crate::memory::{Block, TxBuf};
use crate::wire::{Consistency, Flags, Header, Kind, TableSpec};
use std::ops::Range;

/// What every segment of an operation shares.
struct Template {
    header: Header,
    value_size: usize,
    keys: Option<TxBuf>,
    values: Option<TxBuf>,
    range: KeyRange,
}

impl Worker {
    /// Names an operation, cuts it and sends what can be sent.
    pub(super) fn begin(
        &mut self,
        now: Nanos,
        kind: Kind,
        request: &Request,
        time: Time,
        values: Option<&TxBuf>,
        target: Option<Block>,
    ) -> Result<Timestamp, OperationError> {
        let spec = self.spec(request.table)?;
        let mut header = self.identity.header(kind);
        (header.table, header.dtype, header.width) = (request.table, spec.dtype, spec.width);
        (header.writer, header.timestamp, header.time) = (self.writer, self.next_timestamp, time);
        if request.keys.is_none() {
            header.flags = Flags::DENSE;
        }
        let template = Template {
            header,
            value_size: spec.value_size(),
            keys: request.keys.clone(),
            values: values.cloned(),
            range: request.range,
        };
        let segments = self.cut(&template, spec.key_end);
        let after = self.open_dependencies(&request.after, spec)?;
        Ok(self.keep(now, request.range, segments, after, target, kind != Kind::Pull))
    }

    /// Ends a time. The next one begins even where nobody needs to be told.
    pub(super) fn end_time(&mut self, now: Nanos, table: TableId, flags: Flags) -> Result<(), OperationError> {
        let spec = self.spec(table)?;
        let (consistency, range) = (spec.consistency, KeyRange::new(0, spec.key_end));
        self.check_unfinished(table)?;
        let mut header = self.identity.header(Kind::EndOfTime);
        let own = &mut self.times[usize::from(table.0)];
        (header.table, header.writer, header.timestamp) = (table, self.writer, self.next_timestamp);
        (header.time, header.flags) = (own.time, flags);
        let slices = std::mem::take(&mut own.slices);
        let time = own.time;
        own.time = Time(time.0.saturating_add(1));
        own.finished = flags.has(Flags::FINISHED);
        if consistency == Consistency::Eventual {
            return Ok(());
        }
        let mut shards: Vec<NodeId> = self.partition.entries.iter().map(|entry| entry.owner).collect();
        shards.sort_unstable();
        shards.dedup();
        let segment = |&to: &NodeId| {
            let slice_count = slices.get(&to).copied().unwrap_or(0);
            // The shard is part of the mark's name: its range is the shard's own number.
            let range = KeyRange::new(u64::from(to.0), u64::from(to.0) + 1);
            let header = Header { slice_count, range, ..header };
            Segment { to, header, keys: None, values: None, target_offset: 0, state: SegmentState::Unsent }
        };
        let segments = shards.iter().map(segment).collect();
        if self.has_open_pull(table, time) {
            self.held_marks.insert(self.next_timestamp);
        }
        let timestamp = self.keep(now, range, segments, Vec::new(), None, true);
        self.abandon(timestamp);
        Ok(())
    }

    /// Refuses what comes after the writer's last time.
    pub(super) fn check_unfinished(&self, table: TableId) -> Result<(), OperationError> {
        if !self.times[usize::from(table.0)].finished {
            return Ok(());
        }
        let reason = "this writer has finished it and pushes no more".to_owned();
        Err(OperationError::Request { table: self.spec(table)?.name.clone(), reason })
    }

    /// Counts a push's segments for the mark at the end of its time.
    pub(super) fn count_slices(&mut self, table: TableId, timestamp: Timestamp) {
        let Some(operation) = self.operations.get(&timestamp) else { return };
        let slices = &mut self.times[usize::from(table.0)].slices;
        operation.segments.iter().for_each(|segment| *slices.entry(segment.to).or_default() += 1);
    }

    /// Stores a new operation under the next timestamp and sends what can be sent.
    fn keep(
        &mut self,
        now: Nanos,
        request_range: KeyRange,
        segments: Vec<Segment>,
        after: Vec<(Timestamp, KeyRange)>,
        target: Option<Block>,
        acknowledged: bool,
    ) -> Timestamp {
        let timestamp = self.next_timestamp;
        self.next_timestamp.0 += 1;
        let bytes = |segment: &Segment| {
            segment.keys.as_ref().map_or(0, |keys| keys.len())
                + segment.values.as_ref().map_or(0, |values| values.len())
        };
        let source_bytes = if acknowledged { segments.iter().map(bytes).sum() } else { 0 };
        let open_count = segments.len();
        let operation = Operation {
            request_range,
            segments,
            open_count,
            after,
            target,
            source_bytes,
            error: None,
            abandoned: false,
        };
        if acknowledged && open_count > 0 {
            self.unacknowledged.insert(timestamp);
            self.unacknowledged_bytes += source_bytes;
        }
        self.operations.insert(timestamp, operation);
        (0..open_count).for_each(|index| self.send_segment(now, timestamp, index));
        timestamp
    }

    /// The dependencies that are still open, with the ranges that they claim.
    fn open_dependencies(
        &self,
        after: &[Timestamp],
        spec: &TableSpec,
    ) -> Result<Vec<(Timestamp, KeyRange)>, OperationError> {
        let refuse = |reason| Err(OperationError::Request { table: spec.name.clone(), reason });
        let mut open = Vec::with_capacity(after.len());
        for timestamp in after.iter().filter(|timestamp| self.unacknowledged.contains(timestamp)) {
            let Some(operation) = self.operations.get(timestamp) else { continue };
            if operation.segments.first().is_some_and(|segment| segment.header.table != spec.id) {
                return refuse(format!("{timestamp} belongs to another table: wait for it first"));
            }
            open.push((*timestamp, operation.request_range));
        }
        if open.len() > limit::DEPENDENCIES {
            return refuse(format!("{} open dependencies, limit {}", open.len(), limit::DEPENDENCIES));
        }
        Ok(open)
    }

    /// One slice per owned range, each in segments of at most [`limit::SEGMENT_BYTES`].
    fn cut(&self, template: &Template, key_end: u64) -> Vec<Segment> {
        let mut segments = Vec::with_capacity(self.partition.entries.len());
        for (owned, entry) in self.partition.ranges(key_end) {
            let range = owned.intersection(template.range);
            if range.is_empty() {
                continue;
            }
            match &template.keys {
                Some(keys) => template.cut_sparse(entry.owner, range, keys, &mut segments),
                None => template.cut_dense(entry.owner, range, &mut segments),
            }
        }
        segments
    }

    /// Cuts the open segments of all operations again, by the newest partition, under the same names.
    pub(super) fn slice_again(&mut self, now: Nanos) {
        let timestamps: Vec<Timestamp> = self.operations.keys().copied().collect();
        for timestamp in timestamps {
            let Some(mut operation) = self.operations.remove(&timestamp) else { continue };
            let mut segments = Vec::with_capacity(operation.segments.len());
            for segment in operation.segments {
                let is_open_data = segment.state != SegmentState::Done && segment.header.kind != Kind::EndOfTime;
                match self.spec(segment.header.table) {
                    Ok(spec) if is_open_data => {
                        let (value_size, key_end) = (spec.value_size(), spec.key_end);
                        segments.extend(self.cut_segment_again(segment, value_size, key_end));
                    }
                    _ => segments.push(segment),
                }
            }
            let is_open = |segment: &&Segment| segment.state != SegmentState::Done;
            operation.open_count = segments.iter().filter(is_open).count();
            operation.segments = segments;
            let count = operation.segments.len();
            self.operations.insert(timestamp, operation);
            (0..count).for_each(|index| self.send_segment(now, timestamp, index));
        }
    }

    fn cut_segment_again(&self, segment: Segment, value_size: usize, key_end: u64) -> Vec<Segment> {
        let template = Template {
            header: self.identity.stamp(segment.header),
            value_size,
            range: segment.header.range,
            keys: segment.keys,
            values: segment.values,
        };
        let mut parts = self.cut(&template, key_end);
        parts.iter_mut().for_each(|part| part.target_offset += segment.target_offset);
        parts
    }
}

impl Template {
    fn cut_sparse(&self, to: NodeId, range: KeyRange, keys: &TxBuf, segments: &mut Vec<Segment>) {
        let all = keys.typed::<u64>();
        let slice = range.slice_of(all);
        let keys_max = (limit::SEGMENT_BYTES / (8 + self.value_size)).max(1);
        let mut begin = slice.start;
        loop {
            let end = slice.end.min(begin + keys_max);
            let key_begin = if begin == slice.start { range.begin } else { all[begin] };
            let key_end = if end == slice.end { range.end } else { all[end] };
            let own_keys = keys.slice(begin * 8..end * 8);
            segments.push(self.segment(to, KeyRange::new(key_begin, key_end), begin..end, Some(own_keys)));
            begin = end;
            if begin == slice.end {
                return;
            }
        }
    }

    fn cut_dense(&self, to: NodeId, range: KeyRange, segments: &mut Vec<Segment>) {
        let keys_max = (limit::SEGMENT_BYTES / self.value_size).max(1) as u64;
        let mut begin = range.begin;
        while begin < range.end {
            let end = range.end.min(begin.saturating_add(keys_max));
            let place = |key: u64| (key - self.range.begin) as usize;
            segments.push(self.segment(to, KeyRange::new(begin, end), place(begin)..place(end), None));
            begin = end;
        }
    }

    fn segment(&self, to: NodeId, range: KeyRange, places: Range<usize>, keys: Option<TxBuf>) -> Segment {
        let bytes = places.start * self.value_size..places.end * self.value_size;
        let values = self.values.as_ref().map(|values| values.slice(bytes.clone()));
        let mut header = self.header;
        header.range = range;
        header.key_count = places.len() as u32;
        header.key_bytes = keys.as_ref().map_or(0, |keys| keys.len() as u32);
        header.value_bytes = values.as_ref().map_or(0, |values| values.len() as u32);
        Segment { to, header, keys, values, target_offset: bytes.start, state: SegmentState::Unsent }
    }
}
