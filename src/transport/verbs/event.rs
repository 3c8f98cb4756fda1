//! What the device tells outside of completions: queue pairs, ports and the device itself that fail.

use super::Verbs;
use super::failure::LinkFailure;
use rdma_sys::*;
use std::mem::MaybeUninit;

impl Verbs {
    /// Takes what the device has to tell. It never blocks.
    pub(super) fn take_events(&mut self) {
        let device = std::sync::Arc::clone(&self.shared.pairing.local.device);
        loop {
            let mut event = MaybeUninit::<ibv_async_event>::zeroed();
            // SAFETY: the device is open, and its descriptor does not block.
            if unsafe { ibv_get_async_event(device.context(), event.as_mut_ptr()) } != 0 {
                return;
            }
            // SAFETY: the call has written an event.
            let mut event = unsafe { event.assume_init() };
            self.on_event(&event);
            // SAFETY: the event came from the call above and is acknowledged once.
            unsafe { ibv_ack_async_event(&raw mut event) };
        }
    }

    fn on_event(&mut self, event: &ibv_async_event) {
        use ibv_event_type as kind;
        let name = format!("{:?}", event.event_type);
        match event.event_type {
            kind::IBV_EVENT_QP_FATAL | kind::IBV_EVENT_QP_REQ_ERR | kind::IBV_EVENT_QP_ACCESS_ERR => {
                // SAFETY: events of this type name a queue pair. It may be another library user's; only its
                // address is compared.
                let pair = unsafe { event.element.qp };
                let found = self.links.iter().position(|link| link.as_ref().is_some_and(|l| l.pair.as_ptr() == pair));
                if let Some(index) = found {
                    self.fail(index, LinkFailure::QueuePair(name));
                }
            }
            kind::IBV_EVENT_PORT_ERR => {
                // SAFETY: events of this type name a port.
                let port = unsafe { event.element.port_num };
                if port == i32::from(self.shared.pairing.local.port.number) {
                    self.fail_all(|| LinkFailure::Port(port));
                }
            }
            kind::IBV_EVENT_DEVICE_FATAL | kind::IBV_EVENT_CQ_ERR | kind::IBV_EVENT_SRQ_ERR => {
                self.out_of_use.get_or_insert_with(|| name.clone());
                self.fail_all(|| LinkFailure::Device(name.clone()));
            }
            _ => tracing::debug!(event = name, "verbs"),
        }
    }
}
