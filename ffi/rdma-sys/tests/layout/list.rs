//! Everything that is declared, with its C spelling where that differs.

use crate::claim::*;
use rdma_sys::*;
use std::ffi::{c_int, c_uint};

pub(crate) fn layouts() -> Vec<Layout> {
    [device_layouts(), object_layouts(), request_and_context_layouts()].into_iter().flatten().collect()
}

#[rustfmt::skip]
fn device_layouts() -> Vec<Layout> {
    vec![
        layout!(ibv_ah = "v_ibv_ah" { context, pd, handle }),
        layout!(ibv_gid_global_t = "v_ibv_gid.global" { subnet_prefix, interface_id }),
        layout!(ibv_gid = "v_ibv_gid" { raw, global }),
        layout!(ibv_gid_entry = "v_ibv_gid_entry" { gid, gid_index, port_num, gid_type, ndev_ifindex }),
        layout!(_ibv_device_ops = "v_ibv_device._ops" { _dummy1, _dummy2 }),
        layout!(ibv_device = "v_ibv_device" {
            _ops, node_type, transport_type, name, dev_name, dev_path, ibdev_path,
        }),
        layout!(ibv_device_attr = "v_ibv_device_attr" {
            fw_ver, node_guid, sys_image_guid, max_mr_size, page_size_cap, vendor_id, vendor_part_id, hw_ver,
            max_qp, max_qp_wr, device_cap_flags, max_sge, max_sge_rd, max_cq, max_cqe, max_mr, max_pd,
            max_qp_rd_atom, max_ee_rd_atom, max_res_rd_atom, max_qp_init_rd_atom, max_ee_init_rd_atom, atomic_cap,
            max_ee, max_rdd, max_mw, max_raw_ipv6_qp, max_raw_ethy_qp, max_mcast_grp, max_mcast_qp_attach,
            max_total_mcast_qp_attach, max_ah, max_fmr, max_map_per_fmr, max_srq, max_srq_wr, max_srq_sge,
            max_pkeys, local_ca_ack_delay, phys_port_cnt,
        }),
        layout!(ibv_port_attr = "v_ibv_port_attr" {
            state, max_mtu, active_mtu, gid_tbl_len, port_cap_flags, max_msg_sz, bad_pkey_cntr, qkey_viol_cntr,
            pkey_tbl_len, lid, sm_lid, lmc, max_vl_num, sm_sl, subnet_timeout, init_type_reply, active_width,
            active_speed, phys_state, link_layer, flags, port_cap_flags2,
        }).growing(Growth::AtEnd),
        layout!(ibv_async_event_element_t = "v_ibv_async_event.element" { cq, qp, srq, wq, port_num }),
        layout!(ibv_async_event = "v_ibv_async_event" { element, event_type }),
        layout!(imm_data_invalidated_rkey_union_t = "v_ibv_wc.imm_data" {
            imm_data = "", invalidated_rkey = "v_ibv_wc.invalidated_rkey",
        }),
        layout!(ibv_wc = "v_ibv_wc" {
            wr_id, status, opcode, vendor_err, byte_len, imm_data_invalidated_rkey_union = "imm_data", qp_num,
            src_qp, wc_flags, pkey_index, slid, sl, dlid_path_bits,
        }),
    ]
}

#[rustfmt::skip]
fn object_layouts() -> Vec<Layout> {
    vec![
        layout!(ibv_pd = "v_ibv_pd" { context, handle }),
        layout!(ibv_mr = "v_ibv_mr" { context, pd, addr, length, handle, lkey, rkey }),
        layout!(ibv_mw = "v_ibv_mw" { context, pd, rkey, handle, r#type }),
        layout!(ibv_mw_bind_info = "v_ibv_mw_bind_info" { mr, addr, length, mw_access_flags }),
        layout!(ibv_global_route = "v_ibv_global_route" { dgid, flow_label, sgid_index, hop_limit, traffic_class }),
        layout!(ibv_ah_attr = "v_ibv_ah_attr" { grh, dlid, sl, src_path_bits, static_rate, is_global, port_num }),
        layout!(ibv_srq_attr = "v_ibv_srq_attr" { max_wr, max_sge, srq_limit }),
        layout!(ibv_srq_init_attr = "v_ibv_srq_init_attr" { srq_context, attr }),
        layout!(ibv_srq = "v_ibv_srq" { context, srq_context, pd, handle, mutex, cond, events_completed }),
        layout!(ibv_comp_channel = "v_ibv_comp_channel" { context, fd, refcnt }),
        layout!(ibv_cq = "v_ibv_cq" {
            context, channel, cq_context, handle, cqe, mutex, cond, comp_events_completed, async_events_completed,
        }),
        layout!(ibv_qp_cap = "v_ibv_qp_cap" {
            max_send_wr, max_recv_wr, max_send_sge, max_recv_sge, max_inline_data,
        }),
        layout!(ibv_qp_init_attr = "v_ibv_qp_init_attr" {
            qp_context, send_cq, recv_cq, srq, cap, qp_type, sq_sig_all,
        }),
        layout!(ibv_qp_attr = "v_ibv_qp_attr" {
            qp_state, cur_qp_state, path_mtu, path_mig_state, qkey, rq_psn, sq_psn, dest_qp_num, qp_access_flags,
            cap, ah_attr, alt_ah_attr, pkey_index, alt_pkey_index, en_sqd_async_notify, sq_draining, max_rd_atomic,
            max_dest_rd_atomic, min_rnr_timer, port_num, timeout, retry_cnt, rnr_retry, alt_port_num, alt_timeout,
            rate_limit,
        }),
        layout!(ibv_qp = "v_ibv_qp" {
            context, qp_context, pd, send_cq, recv_cq, srq, handle, qp_num, state, qp_type, mutex, cond,
            events_completed,
        }),
    ]
}

#[rustfmt::skip]
fn request_and_context_layouts() -> Vec<Layout> {
    vec![
        layout!(ibv_sge = "v_ibv_sge" { addr, length, lkey }),
        layout!(rdma_t = "v_ibv_send_wr.wr.rdma" { remote_addr, rkey }),
        layout!(atomic_t = "v_ibv_send_wr.wr.atomic" { remote_addr, compare_add, swap, rkey }),
        layout!(ud_t = "v_ibv_send_wr.wr.ud" { ah, remote_qpn, remote_qkey }),
        layout!(wr_t = "v_ibv_send_wr.wr" { rdma, atomic, ud }),
        layout!(xrc_t = "v_ibv_send_wr.qp_type.xrc" { remote_srqn }),
        layout!(qp_type_t = "v_ibv_send_wr.qp_type" { xrc }),
        layout!(bind_mw_t = "v_ibv_send_wr.bind_mw" { mw, rkey, bind_info }),
        layout!(tso_t = "v_ibv_send_wr.tso" { hdr, hdr_sz, mss }),
        layout!(bind_mw_tso_union_t = "v_ibv_send_wr.bind_mw" { bind_mw = "", tso = "v_ibv_send_wr.tso" }),
        layout!(ibv_send_wr = "v_ibv_send_wr" {
            wr_id, next, sg_list, num_sge, opcode, send_flags, imm_data_invalidated_rkey_union = "imm_data", wr,
            qp_type, bind_mw_tso_union = "bind_mw",
        }),
        layout!(ibv_recv_wr = "v_ibv_recv_wr" { wr_id, next, sg_list, num_sge }),
        layout!(ibv_context_ops = "v_ibv_context.ops" {
            _compat_query_device, _compat_query_port, _compat_alloc_pd, _compat_dealloc_pd, _compat_reg_mr,
            _compat_rereg_mr, _compat_dereg_mr, alloc_mw, bind_mw, dealloc_mw, _compat_create_cq, poll_cq,
            req_notify_cq, _compat_cq_event, _compat_resize_cq, _compat_destroy_cq, _compat_create_srq,
            _compat_modify_srq, _compat_query_srq, _compat_destroy_srq, post_srq_recv, _compat_create_qp,
            _compat_query_qp, _compat_modify_qp, _compat_destroy_qp, post_send, post_recv, _compat_create_ah,
            _compat_destroy_ah, _compat_attach_mcast, _compat_detach_mcast, _compat_async_event,
        }),
        layout!(ibv_context = "v_ibv_context" { device, ops, cmd_fd, async_fd, num_comp_vectors, mutex, abi_compat }),
        layout!(verbs_context = "v_verbs_context" { query_port, unused = "advise_mr..sz", sz, context }).growing(Growth::AtFront),
    ]
}

pub(crate) fn enumerations() -> Vec<Enumeration> {
    vec![
        numbers!(ibv_node_type: c_int),
        numbers!(ibv_transport_type: c_int),
        numbers!(ibv_gid_type: c_uint),
        numbers!(ibv_device_cap_flags: c_uint),
        numbers!(ibv_atomic_cap: c_uint),
        numbers!(ibv_mtu: c_uint),
        numbers!(ibv_port_state: c_uint),
        numbers!(ibv_event_type: c_uint),
        numbers!(ibv_wc_status: c_uint),
        numbers!(ibv_wc_opcode: c_uint),
        numbers!(ibv_wc_flags: c_uint),
        numbers!(ibv_access_flags: c_uint),
        numbers!(ibv_mw_type: c_uint),
        numbers!(ibv_qp_type: c_uint),
        numbers!(ibv_qp_attr_mask: c_uint),
        numbers!(ibv_qp_state: c_uint),
        numbers!(ibv_mig_state: c_uint),
        numbers!(ibv_wr_opcode: c_uint),
        numbers!(ibv_send_flags: c_uint),
        numbers!(ibv_link_layer: u8),
    ]
}

pub(crate) fn single_constants() -> Vec<Claim> {
    vec![
        claim("IBV_ACCESS_OPTIONAL_RANGE", i128::from(IBV_ACCESS_OPTIONAL_RANGE)),
        claim("IBV_SYSFS_NAME_MAX", IBV_SYSFS_NAME_MAX as i128),
        claim("IBV_SYSFS_PATH_MAX", IBV_SYSFS_PATH_MAX as i128),
    ]
}
