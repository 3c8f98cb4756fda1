//! Replies: they echo the request's name, so that the worker finds the segment.

use super::Server;
use super::arrived::Arrived;
use crate::id::NodeId;
use crate::memory::{Block, TxBuf};
use crate::protocol::machine::Output;
use crate::wire::{AnswerNumbers, FilterFlags, Header, Kind, Pieces, RxFrame, Status, Target, TxFrame};

impl Server {
    /// Answers a request with a bare status.
    pub(super) fn reply(&mut self, to: NodeId, request: &Header, status: Status) {
        let header = self.reply_header(request, status);
        self.outputs.push_back(Output::Send { to, frame: TxFrame::bare(header) });
    }

    /// Answers a pull with its values.
    pub(super) fn reply_values(&mut self, index: usize, pull: &Arrived, values: Pieces, numbers: AnswerNumbers) {
        let chain = &mut self.tables[index].filters.values;
        let packed = values.as_one().and_then(|values| chain.encode(&self.pool, values));
        self.reply_packed(pull, packed, values, numbers);
    }

    /// Answers a pull with the difference to the answer that `numbers` names.
    pub(super) fn reply_difference(&mut self, index: usize, pull: &Arrived, block: Block, numbers: AnswerNumbers) {
        let packed = self.tables[index].filters.values.encode_difference(&self.pool, &block);
        self.reply_packed(pull, packed, block.freeze().into(), numbers);
    }

    /// Answers a pull with what filters have packed, or with what they have not.
    fn reply_packed(
        &mut self,
        pull: &Arrived,
        packed: Option<(Block, FilterFlags)>,
        plain: Pieces,
        numbers: AnswerNumbers,
    ) {
        let (to, request) = (pull.from, pull.header());
        let mut header = self.reply_header(request, Status::Ok);
        header.key_count = request.key_count;
        header.set_answer_numbers(numbers);
        let values = match packed {
            Some((packed, flags)) => {
                header.filter_flags = header.filter_flags | flags;
                packed.freeze().into()
            }
            None => plain,
        };
        header.value_bytes = values.bytes() as u32;
        let frame = TxFrame { target: pull.frame().target, ..TxFrame::with_values(header, values) };
        self.outputs.push_back(Output::Send { to, frame });
    }

    /// Answers a call.
    pub(super) fn reply_answer(&mut self, to: NodeId, request: &Header, answer: TxBuf) {
        let mut header = self.reply_header(request, Status::Ok);
        header.value_bytes = answer.len() as u32;
        let frame = TxFrame::with_values(header, answer);
        self.outputs.push_back(Output::Send { to, frame });
    }

    /// Refuses a request for good, with one line that says why.
    pub(super) fn refuse(&mut self, to: NodeId, request: &Header, reason: &str) {
        self.traffic.refused += 1;
        let mut header = self.reply_header(request, Status::Error);
        let text = TxBuf::from_vec(reason.to_owned().into_bytes());
        header.value_bytes = text.len() as u32;
        let frame = TxFrame::with_values(header, text);
        self.outputs.push_back(Output::Send { to, frame });
    }

    /// Refuses a request for now: a limit is reached.
    pub(super) fn refuse_busy(&mut self, to: NodeId, request: &Header) {
        self.traffic.busy += 1;
        self.reply(to, request, Status::Busy);
    }

    /// Finds the request's table, or refuses: unknown tables and shapes for good, ranges of others
    /// with `moved`.
    pub(super) fn route(&mut self, from: NodeId, frame: &RxFrame) -> Option<usize> {
        let header = frame.header;
        let index = usize::from(header.table.0);
        let Some(state) = self.tables.get(index) else {
            let status_known = !self.tables.is_empty();
            if status_known {
                self.refuse(from, &header, &format!("{} is not a table of this job", header.table));
            } else {
                self.refuse_busy(from, &header);
            }
            return None;
        };
        if header.writer.0 >= self.writers {
            self.refuse(from, &header, &format!("{} is none of this job's {}", header.writer, self.writers));
            return None;
        }
        let (dtype, width, key_end) = (state.spec.dtype, state.spec.width, state.spec.key_end);
        if header.kind != Kind::EndOfTime && !frame.has_shape(dtype, width) {
            let reason = format!(
                "table '{}' holds {width} x {dtype} per key, the request {} x {}",
                state.spec.name, header.width, header.dtype
            );
            self.refuse(from, &header, &reason);
            return None;
        }
        if header.kind != Kind::EndOfTime && !self.partition.owns(self.identity.node, header.range, key_end) {
            self.reply(from, &header, Status::Moved);
            return None;
        }
        if header.epoch > self.identity.epoch {
            self.refuse_busy(from, &header);
            return None;
        }
        Some(index)
    }

    /// Says in the replies to a request, which are among the outputs from `first` on, where its sender
    /// wants the values. Those without values say so as well: nothing will be written there.
    pub(super) fn aim(&mut self, target: Option<Target>, request: &Header, first: usize) {
        if target.is_none() {
            return;
        }
        for output in self.outputs.iter_mut().skip(first) {
            if let Output::Send { to, frame } = output
                && (*to, frame.header.timestamp, frame.header.range)
                    == (request.source, request.timestamp, request.range)
            {
                frame.target = target;
            }
        }
    }

    fn reply_header(&self, request: &Header, status: Status) -> Header {
        let kind = match request.kind {
            Kind::Push => Kind::PushReply,
            Kind::Pull => Kind::PullReply,
            Kind::Call => Kind::CallReply,
            _ => Kind::EndOfTimeReply,
        };
        let mut header = self.identity.header(kind);
        header.status = status;
        (header.dtype, header.width, header.table) = (request.dtype, request.width, request.table);
        (header.writer, header.timestamp, header.time) = (request.writer, request.timestamp, request.time);
        header.range = request.range;
        // Says whether the shard keeps the request's key list.
        if status == Status::Ok {
            header.filter_flags = request.filter_flags;
        }
        header
    }
}
