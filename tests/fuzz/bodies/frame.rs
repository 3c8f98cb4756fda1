//! Frames: header, checksum, body.

use parashard::limit;
use parashard::memory::{Pool, RxBuf};
use parashard::wire::{
    CallBody, ControlMessage, Dependency, HEADER_BYTES, Header, Kind, RawHeader, RxFrame, WireError,
};

/// Reads the bytes as a transport does: header, then as many bytes of body as it says. A wrong
/// checksum is mended first, or the fuzzer would hardly ever come past it.
pub(crate) fn frame(data: &[u8]) {
    let Ok((raw, header)) = RxFrame::decode_header(data) else { return };
    let rest = &data[HEADER_BYTES..];
    let Some(body) = rest.get(..header.body_bytes()) else {
        let error = RxFrame::new(&raw, header, buffer(rest)).expect_err("the body is too short");
        assert!(matches!(error, WireError::Length { .. }), "{error}");
        return;
    };
    match RxFrame::new(&raw, header, buffer(body)) {
        Ok(frame) => read(&frame),
        Err(WireError::Checksum { computed, .. }) => read_with_checksum(data, body, computed),
        Err(error) => panic!("a body of the right length was refused: {error}"),
    }
}

fn read_with_checksum(data: &[u8], body: &[u8], checksum: u32) {
    let mut head = data[..HEADER_BYTES].to_vec();
    head[HEADER_BYTES - 4..].copy_from_slice(&checksum.to_le_bytes());
    let (raw, header) = RxFrame::decode_header(&head).expect("the header was right before");
    read(&RxFrame::new(&raw, header, buffer(body)).expect("the checksum is right now"));
}

/// Touches every part of a frame that came through, and sends it again.
fn read(frame: &RxFrame) {
    let body = frame.body();
    let dependency_bytes = std::mem::size_of_val::<[Dependency]>(body.dependencies);
    assert_eq!(dependency_bytes + body.keys.len() * 8 + body.values.len(), frame.header.body_bytes());
    for dependency in body.dependencies {
        assert_eq!(*dependency, Dependency::new(dependency.timestamp(), dependency.range()));
    }
    assert_eq!(frame.values::<f32>().is_ok(), body.values.len().is_multiple_of(4));
    assert_eq!(frame.values::<u64>().is_ok(), body.values.len().is_multiple_of(8));
    if frame.header.kind == Kind::Control {
        let _ = ControlMessage::from_frame(frame);
    }
    if let Ok(call) = CallBody::decode(body.values) {
        assert_eq!(call.encode().is_ok(), call.arguments.len() <= limit::CALL_ARGUMENT_BYTES);
    }
    let again: RawHeader = frame.header.encode(&[]);
    assert_eq!(again.decode(), Ok::<Header, WireError>(frame.header));
}

fn buffer(bytes: &[u8]) -> RxBuf {
    thread_local! {
        static POOL: std::sync::Arc<Pool> = Pool::unbounded();
    }
    if bytes.is_empty() {
        return RxBuf::empty();
    }
    let mut block = POOL.with(|pool| pool.block(bytes.len()));
    block.copy_from_slice(bytes);
    RxBuf::new(block)
}
