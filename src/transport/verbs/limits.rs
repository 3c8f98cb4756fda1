//! What a device can do at most, and whether something asks for more.

use super::error::VerbsError;
use rdma_sys::{ibv_device_attr, ibv_device_cap_flags};
use std::ffi::c_int;

/// Limits of a device, from `ibv_query_device`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceLimits {
    /// Queue pairs.
    pub qp_count_max: u32,
    /// Work requests of one queue of a queue pair.
    pub qp_wr_max: u32,
    /// Pieces of one work request.
    pub sge_max: u32,
    /// Pieces of one RDMA READ.
    pub sge_rd_max: u32,
    /// Completion queues.
    pub cq_count_max: u32,
    /// Entries of one completion queue.
    pub cqe_max: u32,
    /// Shared receive queues.
    pub srq_count_max: u32,
    /// Work requests of one shared receive queue.
    pub srq_wr_max: u32,
    /// Memory regions.
    pub mr_count_max: u32,
    /// Bytes of one memory region.
    pub mr_bytes_max: u64,
    /// RDMA READs that one queue pair may have under way as their target.
    pub rd_atom_max: u32,
    /// RDMA READs that one queue pair may have under way as their initiator.
    pub init_rd_atom_max: u32,
    /// Memory windows.
    pub mw_count_max: u32,
    /// Whether memory windows of type 2 can be bound by a posted request.
    pub has_mw_type_2: bool,
}

/// What something is about to ask of a device. What stays zero is not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Demand {
    /// Work requests of one queue of a queue pair.
    pub qp_wr_count: u32,
    /// Pieces of one work request.
    pub sge_count: u32,
    /// Entries of one completion queue.
    pub cqe_count: u32,
    /// Work requests of one shared receive queue.
    pub srq_wr_count: u32,
    /// Bytes of one memory region.
    pub mr_bytes: u64,
}

impl DeviceLimits {
    pub(super) fn new(attributes: &ibv_device_attr) -> DeviceLimits {
        // Negative limits are nonsense and allow nothing.
        let count = |number: c_int| u32::try_from(number).unwrap_or(0);
        let windows =
            ibv_device_cap_flags::IBV_DEVICE_MEM_WINDOW_TYPE_2A | ibv_device_cap_flags::IBV_DEVICE_MEM_WINDOW_TYPE_2B;
        DeviceLimits {
            qp_count_max: count(attributes.max_qp),
            qp_wr_max: count(attributes.max_qp_wr),
            sge_max: count(attributes.max_sge),
            sge_rd_max: count(attributes.max_sge_rd),
            cq_count_max: count(attributes.max_cq),
            cqe_max: count(attributes.max_cqe),
            srq_count_max: count(attributes.max_srq),
            srq_wr_max: count(attributes.max_srq_wr),
            mr_count_max: count(attributes.max_mr),
            mr_bytes_max: attributes.max_mr_size,
            rd_atom_max: count(attributes.max_qp_rd_atom),
            init_rd_atom_max: count(attributes.max_qp_init_rd_atom),
            mw_count_max: count(attributes.max_mw),
            has_mw_type_2: attributes.device_cap_flags & windows.0 != 0,
        }
    }

    /// Whether the device can do what is demanded.
    ///
    /// # Errors
    /// Which of its limits the demand is above.
    pub fn check(&self, device: &str, demand: &Demand) -> Result<(), VerbsError> {
        let limited = [
            ("work requests of a queue pair", demand.qp_wr_count.into(), self.qp_wr_max.into()),
            ("pieces of a work request", demand.sge_count.into(), self.sge_max.into()),
            ("entries of a completion queue", demand.cqe_count.into(), self.cqe_max.into()),
            ("work requests of a shared receive queue", demand.srq_wr_count.into(), self.srq_wr_max.into()),
            ("bytes of a memory region", demand.mr_bytes, self.mr_bytes_max),
        ];
        match limited.into_iter().find(|(_, wanted, max)| wanted > max) {
            Some((what, wanted, max)) => Err(VerbsError::Limit { device: device.to_owned(), what, wanted, max }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> DeviceLimits {
        DeviceLimits {
            qp_wr_max: 100,
            sge_max: 3,
            cqe_max: 1000,
            srq_wr_max: 50,
            mr_bytes_max: 1 << 20,
            ..DeviceLimits::default()
        }
    }

    #[test]
    fn a_demand_at_the_limits_passes() {
        let all = Demand { qp_wr_count: 100, sge_count: 3, cqe_count: 1000, srq_wr_count: 50, mr_bytes: 1 << 20 };
        limits().check("rxe0", &all).unwrap();
        limits().check("rxe0", &Demand::default()).unwrap();
    }

    #[test]
    fn a_demand_above_a_limit_names_device_wish_and_limit() {
        for (demand, words) in [
            (
                Demand { qp_wr_count: 101, ..Demand::default() },
                "101 work requests of a queue pair are more than its 100",
            ),
            (Demand { sge_count: 4, ..Demand::default() }, "4 pieces of a work request are more than its 3"),
            (Demand { cqe_count: 1001, ..Demand::default() }, "1001 entries of a completion queue"),
            (Demand { srq_wr_count: 51, ..Demand::default() }, "51 work requests of a shared receive queue"),
            (Demand { mr_bytes: (1 << 20) + 1, ..Demand::default() }, "1048577 bytes of a memory region"),
        ] {
            let error = limits().check("rxe0", &demand).unwrap_err().to_string();
            assert!(error.starts_with("RDMA device rxe0: ") && error.contains(words), "{error}");
        }
    }
}
