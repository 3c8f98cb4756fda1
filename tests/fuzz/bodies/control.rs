//! Control messages.

use parashard::id::NodeId;
use parashard::wire::ControlMessage;

/// Reads a message; one that can be read is written and read again to the same bytes.
pub(crate) fn control(data: &[u8]) {
    let Ok(message) = ControlMessage::decode(data) else { return };
    let bytes = encoded(&message);
    let again = ControlMessage::decode(&bytes).expect("what was written can be read");
    assert_eq!(encoded(&again), bytes);
    if let ControlMessage::Welcome { partition, .. } = &message {
        let whole = partition.is_whole();
        let ranges = partition.ranges(1 << 20).filter(|(range, _)| range.end <= 1 << 20).count();
        assert!(!whole || ranges == partition.entries.len());
    }
}

fn encoded(message: &ControlMessage) -> Vec<u8> {
    message.to_frame(NodeId::SCHEDULER).body_parts().concat()
}
