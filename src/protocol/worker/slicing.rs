//! Cutting an operation: by the partition into slices, by size into segments. No key or value is
//! copied; segments are counted views of the caller's buffers.

use super::depend::Waits;
use super::keys::{Keys, Piece, Purpose};
use super::operation::{Operation, OperationError, Segment, SegmentState};
use super::{Request, Worker};
use crate::filter::key_digest;
use crate::id::{Nanos, TableId, Time, Timestamp};
use crate::keyspace::{KeyRange, Partition};
use crate::limit;
use crate::memory::TxBuf;
use crate::wire::{Consistency, Flags, Header, Kind, TableSpec};
use std::sync::Arc;

/// What every segment of an operation shares.
struct Template<'a> {
    header: Header,
    value_size: usize,
    keys: Option<&'a TxBuf>,
    values: Option<&'a TxBuf>,
}

impl Worker {
    /// Names an operation, cuts it and sends what can be sent. Values are filtered when nothing can
    /// be refused any more. `wanted` says where answers go.
    pub(super) fn begin(
        &mut self,
        now: Nanos,
        kind: Kind,
        request: &Request<'_>,
        time: Time,
        values: Option<TxBuf>,
        wanted: Operation,
    ) -> Result<Timestamp, OperationError> {
        let spec = self.spec(request.table)?;
        let Waits { after, held_for } = self.waits(request.after, spec)?;
        let value_size = spec.value_size();
        let mut header = self.identity.header(kind);
        (header.table, header.dtype, header.width) = (request.table, spec.dtype, spec.width);
        let name = self.name_of(request.name, request.table)?;
        (header.writer, header.timestamp, header.time) = (self.writer, name, time);
        let filtered = values.map(|values| self.filtered(request, name, values)).transpose()?;
        let (chosen, values) = filtered.map_or((None, None), |filtered| (filtered.keys, Some(filtered.values)));
        let chosen = chosen.map(|keys| Request { keys: Some(keys), ..request.clone() });
        let request = chosen.as_ref().unwrap_or(request);
        if request.keys.is_none() {
            header.flags = Flags::DENSE;
        }
        let (keys, values) = (request.keys.as_ref().map(Keys::buffer), values.as_ref());
        let template = Template { header, value_size, keys, values };
        let mut segments = self.operations.segment_list();
        match self.remembered(request) {
            Some(pieces) => segments.extend(pieces.iter().map(|piece| template.segment(piece))),
            None => {
                let mut pieces = std::mem::take(&mut self.pieces);
                self.cut(request, &mut pieces)?;
                segments.extend(pieces.iter().map(|piece| template.segment(piece)));
                self.pieces = pieces;
            }
        }
        let lands = self.answers_come_plain(request.table);
        let operation = Operation { after, held_for, lands, ..wanted }.of(request.range, segments, kind != Kind::Pull);
        self.keep(now, name, operation);
        Ok(name)
    }

    fn remembered(&self, request: &Request<'_>) -> Option<Arc<[Piece]>> {
        request.keys.as_ref()?.remembered(self.purpose(request))
    }

    fn purpose(&self, request: &Request<'_>) -> Purpose {
        let (job, generation) = (self.identity.job, self.identity.generation);
        Purpose { job, generation, table: request.table, range: request.range, epoch: self.partition.epoch }
    }

    /// Cuts a checked request, and lets an immutable list remember how.
    fn cut(&self, request: &Request<'_>, pieces: &mut Vec<Piece>) -> Result<(), OperationError> {
        let spec = self.spec(request.table)?;
        pieces.clear();
        match &request.keys {
            Some(keys) => {
                let is_listed = spec.filters.key_cache && !keys.is_chosen();
                cut_sparse(&self.partition, spec, is_listed, request.range, keys.buffer().typed(), pieces);
                keys.remember(self.purpose(request), pieces);
            }
            None => cut_dense(&self.partition, spec, request.range, pieces),
        }
        Ok(())
    }

    /// Ends a time. The next one begins even where nobody needs to be told: under `Eventual` the last alone
    /// is, with the slices of all times, so that the shards can forget the writer.
    pub(super) fn end_time(
        &mut self,
        now: Nanos,
        table: TableId,
        flags: Flags,
        name: Option<Timestamp>,
    ) -> Result<(), OperationError> {
        let spec = self.spec(table)?;
        let (consistency, range) = (spec.consistency, KeyRange::new(0, spec.key_end));
        self.check_unfinished(table)?;
        self.check_time_left(table, flags)?;
        let mut header = self.identity.header(Kind::EndOfTime);
        let timestamp = self.name_of(name, table)?;
        let own = &mut self.times[usize::from(table.0)];
        (header.table, header.writer, header.timestamp) = (table, self.writer, timestamp);
        (header.time, header.flags) = (own.time, flags);
        let time = own.time;
        own.time = Time(time.0.saturating_add(1));
        own.finished = flags.has(Flags::FINISHED);
        if consistency == Consistency::Eventual && !own.finished {
            self.operations.release(timestamp);
            return Ok(());
        }
        let mut slices = std::mem::take(&mut own.slices);
        let mut segments = self.operations.segment_list();
        segments.extend(self.owners.iter().map(|&to| {
            let slice_count = slices.iter().find(|(shard, _)| *shard == to).map_or(0, |&(_, count)| count);
            // The shard is part of the mark's name: its range is the shard's own number.
            let range = KeyRange::new(u64::from(to.0), u64::from(to.0) + 1);
            Segment::new(to, Header { slice_count, range, ..header })
        }));
        slices.clear();
        self.times[usize::from(table.0)].slices = slices;
        if self.has_open_question(table, time) {
            self.held_marks.push(timestamp);
        }
        self.keep(now, timestamp, Operation::default().of(range, segments, true));
        self.abandon(timestamp);
        Ok(())
    }

    /// Refuses to go to a time that would read as the end of all times.
    fn check_time_left(&self, table: TableId, flags: Flags) -> Result<(), OperationError> {
        let (spec, last) = (self.spec(table)?, Time::FINISHED.0 - 1);
        let is_last = self.times[usize::from(table.0)].time.0 >= last && spec.consistency != Consistency::Eventual;
        if !is_last || flags.has(Flags::FINISHED) {
            return Ok(());
        }
        let reason = format!("{} times are all there are: finish it", Time::FINISHED.0);
        Err(OperationError::Request { table: spec.name.clone(), reason })
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
        let Some(operation) = self.operations.at(timestamp) else { return };
        let slices = &mut self.times[usize::from(table.0)].slices;
        for segment in &operation.segments {
            match slices.iter_mut().find(|(shard, _)| *shard == segment.to) {
                Some((_, count)) => *count = count.wrapping_add(1),
                None => slices.push((segment.to, 1)),
            }
        }
    }

    /// Stores a new operation under its name, which is reserved here if it is the next, and sends what can
    /// be sent.
    pub(super) fn keep(&mut self, now: Nanos, name: Timestamp, operation: Operation) {
        let (count, is_held) = (operation.segments.len(), !operation.held_for.is_empty());
        if name == self.operations.next_timestamp() {
            self.operations.reserve(1);
        }
        self.operations.insert(name, operation);
        if is_held {
            self.held.push(name);
        }
        (0..count).for_each(|index| self.send_segment(now, name, index));
    }

    /// The name of an operation that begins: a reserved one, or the next.
    pub(super) fn name_of(&self, name: Option<Timestamp>, table: TableId) -> Result<Timestamp, OperationError> {
        match name {
            Some(name) if !self.operations.is_reserved(name) => {
                let reason = format!("{name} is not reserved, or was used before");
                Err(OperationError::Request { table: self.spec(table)?.name.clone(), reason })
            }
            _ => Ok(name.unwrap_or_else(|| self.operations.next_timestamp())),
        }
    }

    /// Cuts the open segments of all operations again, by the newest partition, under the same names.
    pub(super) fn slice_again(&mut self, now: Nanos) {
        let timestamps: Vec<Timestamp> = self.operations.iter().map(|(timestamp, _)| timestamp).collect();
        for timestamp in timestamps {
            let Some(operation) = self.operations.at_mut(timestamp) else { continue };
            let old = std::mem::take(&mut operation.segments);
            let mut segments = Vec::with_capacity(old.len());
            for segment in old {
                if segment.state != SegmentState::Done && segment.header.kind != Kind::EndOfTime {
                    self.cut_segment_again(segment, &mut segments);
                } else {
                    segments.push(segment);
                }
            }
            let is_open = |segment: &&Segment| segment.state != SegmentState::Done;
            let (count, open_count) = (segments.len(), segments.iter().filter(is_open).count());
            let Some(operation) = self.operations.at_mut(timestamp) else { continue };
            (operation.segments, operation.open_count) = (segments, open_count);
            (0..count).for_each(|index| self.send_segment(now, timestamp, index));
        }
    }

    fn cut_segment_again(&self, segment: Segment, segments: &mut Vec<Segment>) {
        let Ok(spec) = self.spec(segment.header.table) else { return segments.push(segment) };
        if segment.header.kind == Kind::Call {
            return self.cut_call(spec, &segment, segments);
        }
        let header = self.identity.stamp(segment.header);
        let (keys, values) = (segment.keys.as_ref(), segment.values.as_ref());
        let mut pieces = Vec::new();
        match keys {
            Some(keys) => {
                cut_sparse(&self.partition, spec, header.digest != 0, header.range, keys.typed(), &mut pieces);
            }
            None => cut_dense(&self.partition, spec, header.range, &mut pieces),
        }
        let template = Template { header, value_size: spec.value_size(), keys, values };
        segments.extend(pieces.iter().map(|piece| {
            let mut part = template.segment(piece);
            part.target_offset += segment.target_offset;
            part.sendings = segment.sendings;
            part
        }));
    }
}

/// One slice per owned range, each in pieces of at most [`limit::SEGMENT_BYTES`] of keys and values. Lists
/// are named by digests where `is_listed`.
fn cut_sparse(
    partition: &Partition,
    spec: &TableSpec,
    is_listed: bool,
    asked: KeyRange,
    keys: &[u64],
    pieces: &mut Vec<Piece>,
) {
    let keys_max = (limit::SEGMENT_BYTES / (8 + spec.value_size())).max(1);
    for (owned, entry) in partition.ranges(spec.key_end) {
        let range = owned.intersection(asked);
        if range.is_empty() {
            continue;
        }
        let slice = range.slice_of(keys);
        let mut begin = slice.start;
        loop {
            let end = slice.end.min(begin + keys_max);
            let key_begin = if begin == slice.start { range.begin } else { keys[begin] };
            let key_end = if end == slice.end { range.end } else { keys[end] };
            let is_long = end - begin >= limit::KEY_LIST_KEYS_MIN;
            let digest =
                if is_listed && is_long { key_digest(spec.id.0, key_begin, key_end, &keys[begin..end]) } else { 0 };
            pieces.push(Piece {
                to: entry.owner,
                range: KeyRange::new(key_begin, key_end),
                places: begin..end,
                digest,
            });
            begin = end;
            if begin == slice.end {
                break;
            }
        }
    }
}

/// As [`cut_sparse`], for every key of a range.
fn cut_dense(partition: &Partition, spec: &TableSpec, asked: KeyRange, pieces: &mut Vec<Piece>) {
    let keys_max = (limit::SEGMENT_BYTES / spec.value_size()).max(1) as u64;
    for (owned, entry) in partition.ranges(spec.key_end) {
        let range = owned.intersection(asked);
        let mut begin = range.begin;
        while begin < range.end {
            let end = range.end.min(begin.saturating_add(keys_max));
            let place = |key: u64| (key - asked.begin) as usize;
            let (range, places) = (KeyRange::new(begin, end), place(begin)..place(end));
            pieces.push(Piece { to: entry.owner, range, places, digest: 0 });
            begin = end;
        }
    }
}

impl Template<'_> {
    fn segment(&self, piece: &Piece) -> Segment {
        let places = piece.places.clone();
        let bytes = places.start * self.value_size..places.end * self.value_size;
        let mut header = self.header;
        (header.range, header.digest, header.key_count) = (piece.range, piece.digest, places.len() as u32);
        Segment {
            keys: self.keys.map(|keys| keys.slice(places.start * 8..places.end * 8)),
            values: self.values.map(|values| values.slice(bytes.clone())),
            target_offset: bytes.start,
            ..Segment::new(piece.to, header)
        }
    }
}
