//! libibverbs in this process: loaded once, prepared for `fork`, asked for its devices.

use super::device::Device;
use super::error::VerbsError;
use rdma_sys::*;
use std::ffi::{CStr, c_int};
use std::io;
use std::sync::{Arc, OnceLock};

/// Proof that libibverbs is loaded and that children of a fork leave registered memory alone.
#[derive(Debug, Clone, Copy)]
pub struct Library(());

impl Library {
    /// Loads the library and calls `ibv_fork_init`, once a process; before anything is registered.
    ///
    /// # Errors
    /// That it is missing, with how to install it, or cannot be made safe for `fork`.
    pub fn load() -> Result<Library, VerbsError> {
        static FORK: OnceLock<c_int> = OnceLock::new();
        rdma_sys::load().map_err(|error| VerbsError::Library(error.clone()))?;
        // SAFETY: nothing is registered yet: whatever registers needs the proof that this function returns.
        match *FORK.get_or_init(|| unsafe { ibv_fork_init() }) {
            0 => Ok(Library(())),
            code => Err(VerbsError::Fork(io::Error::from_raw_os_error(code.abs()))),
        }
    }

    /// Names of the devices that carry InfiniBand's transport (InfiniBand and RoCE), in the
    /// library's order; none where the kernel has no RDMA.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn device_names(self) -> Result<Vec<String>, VerbsError> {
        let list = DeviceList::read()?;
        Ok(list.usable().map(|(name, _)| name).collect())
    }

    /// Opens the device of this name.
    ///
    /// # Errors
    /// When there is none of this name, or it does not open.
    pub fn open(self, name: &str) -> Result<Arc<Device>, VerbsError> {
        let list = DeviceList::read()?;
        let Some((_, device)) = list.usable().find(|(known, _)| known == name) else {
            let known: Vec<String> = list.usable().map(|(name, _)| name).collect();
            return Err(VerbsError::UnknownDevice { device: name.to_owned(), known: known.join(", ") });
        };
        // SAFETY: the device belongs to the list, which lives to the end of this function.
        let context = unsafe { ibv_open_device(device) };
        Device::new(context, name).map(Arc::new)
    }
}

/// The library's array of devices, given back on drop.
struct DeviceList {
    first: *mut *mut ibv_device,
    count: usize,
}

impl DeviceList {
    fn read() -> Result<DeviceList, VerbsError> {
        let mut count = 0;
        // SAFETY: the number is written before the call returns.
        let first = unsafe { ibv_get_device_list(&raw mut count) };
        if !first.is_null() {
            return Ok(DeviceList { first, count: usize::try_from(count).unwrap_or(0) });
        }
        let error = io::Error::last_os_error();
        // A kernel without RDMA has no devices; that is no failure.
        if error.kind() == io::ErrorKind::Unsupported {
            return Ok(DeviceList { first, count: 0 });
        }
        Err(VerbsError::DeviceList(error))
    }

    /// Devices of InfiniBand's transport by name. iWARP and the vendors' own transports lack what the ring needs.
    fn usable(&self) -> impl Iterator<Item = (String, *mut ibv_device)> + '_ {
        (0..self.count).filter_map(|index| {
            // SAFETY: the library's array has `count` devices, each good as long as the list.
            let device = unsafe { *self.first.add(index) };
            // SAFETY: as above; the name is a string of C inside the device.
            let (transport, name) = unsafe { ((*device).transport_type, CStr::from_ptr(ibv_get_device_name(device))) };
            (transport == ibv_transport_type::IBV_TRANSPORT_IB).then(|| (name.to_string_lossy().into_owned(), device))
        })
    }
}

impl Drop for DeviceList {
    fn drop(&mut self) {
        if !self.first.is_null() {
            // SAFETY: the array came from the library and is given back once; opened devices outlive it.
            unsafe { ibv_free_device_list(self.first) };
        }
    }
}
