//! Beginning a call: one segment for each shard that owns a part of the range, with the same name and
//! arguments. It is kept and sent again as a push is, and counts as open until every shard has answered,
//! so that no shard forgets its answer before.

use super::demand::Demand;
use super::depend::Waits;
use super::operation::{Operation, Segment};
use super::{OperationError, Request, Worker};
use crate::id::{Nanos, Timestamp};
use crate::memory::TxBuf;
use crate::wire::{CallBody, Header, Kind, TableSpec};

impl Worker {
    /// Begins a call of a function on servers, on all rows of the request's range; it names no keys. The
    /// answers are taken with [`Worker::take_called`].
    ///
    /// # Errors
    /// When the request does not fit the table, or name or arguments their limits; nothing was sent.
    pub fn call(
        &mut self,
        now: Nanos,
        request: &Request<'_>,
        function: &str,
        arguments: &[u8],
    ) -> Result<Timestamp, OperationError> {
        let spec = self.spec(request.table)?;
        let refuse = |reason| OperationError::Request { table: spec.name.clone(), reason };
        if request.keys.is_some() || request.range.is_empty() || request.range.end > spec.key_end {
            let (range, end) = (request.range, spec.key_end);
            return Err(refuse(format!("a call takes a range of the keys [0, {end}) and no key list, not {range}")));
        }
        let body = TxBuf::from_vec(CallBody { function, arguments }.encode().map_err(refuse)?);
        let Waits { after, held_for } = self.waits(request.after, spec)?;
        let mut header = self.identity.header(Kind::Call);
        (header.table, header.dtype, header.width) = (request.table, spec.dtype, spec.width);
        (header.writer, header.timestamp) = (self.writer, self.name_of(request.name, request.table)?);
        let Demand { time, is_exact } = self.demand(request)?;
        (header.time, header.range) = (time, request.range);
        let whole = Segment { values: Some(body), ..Segment::new(self.identity.node, header) };
        let mut segments = Vec::new();
        self.cut_call(spec, &whole, &mut segments);
        let operation =
            Operation { after, held_for, is_exact, ..Operation::default() }.of(request.range, segments, true);
        self.keep(now, header.timestamp, operation);
        Ok(header.timestamp)
    }

    /// Cuts a call by the owners of its range.
    pub(super) fn cut_call(&self, spec: &TableSpec, call: &Segment, segments: &mut Vec<Segment>) {
        let owned = self.partition.ranges(spec.key_end);
        let parts = owned.map(|(owned, entry)| (owned.intersection(call.header.range), entry.owner));
        segments.extend(parts.filter(|(range, _)| !range.is_empty()).map(|(range, owner)| Segment {
            values: call.values.clone(),
            sendings: call.sendings,
            ..Segment::new(owner, self.identity.stamp(Header { range, ..call.header }))
        }));
    }

    /// Takes the answers to a call that is done: one from each shard that owns a part of the range, in
    /// the order of keys.
    ///
    /// # Errors
    /// What the first server refused it for.
    ///
    /// # Panics
    /// When the call is not done or was taken before.
    pub fn take_called(&mut self, timestamp: Timestamp) -> Result<Vec<Vec<u8>>, OperationError> {
        assert!(self.is_done(timestamp), "{timestamp} is still open");
        match self.operations.remove(timestamp) {
            Some(outcome) => outcome.called(),
            None => panic!("{timestamp} was taken before"),
        }
    }
}
