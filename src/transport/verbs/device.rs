//! An open device, and what it says of itself, its ports and their GID tables.

use super::error::VerbsError;
use super::gid::{Gid, GidEntry, GidKind};
use super::limits::DeviceLimits;
use super::port::{LinkLayer, Port};
use super::sysfs::{self, PortFiles};
use rdma_sys::*;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

/// The address of a queue pair names its GID by one byte.
const GID_COUNT_MAX: u32 = 256;

/// An open device. Closed when the last `Arc` of it goes, so what is made on it must hold one.
#[derive(Debug)]
pub struct Device {
    context: NonNull<ibv_context>,
    name: String,
    firmware: String,
    port_count: u8,
    limits: DeviceLimits,
}

// SAFETY: libibverbs allows calls on one device from any thread, several at once; the context stays
// where it is until the drop.
unsafe impl Send for Device {}
// SAFETY: as above.
unsafe impl Sync for Device {}

impl Device {
    /// Takes a device over that has just been opened, NULL if that failed.
    pub(super) fn new(context: *mut ibv_context, name: &str) -> Result<Device, VerbsError> {
        let Some(context) = NonNull::new(context) else {
            return Err(VerbsError::Open { device: name.to_owned(), source: io::Error::last_os_error() });
        };
        let mut device = Device {
            context,
            name: name.to_owned(),
            firmware: String::new(),
            port_count: 0,
            limits: DeviceLimits::default(),
        };
        let mut attributes = MaybeUninit::<ibv_device_attr>::zeroed();
        // SAFETY: the device is open; the structure is the library's to write.
        let code = unsafe { ibv_query_device(device.context(), attributes.as_mut_ptr()) };
        VerbsError::check("ibv_query_device", name, code)?;
        // SAFETY: the call filled the structure; all-zero bits are valid for what it left.
        let attributes = unsafe { attributes.assume_init() };
        let firmware: Vec<u8> = attributes.fw_ver.iter().map(|&c| c.cast_unsigned()).take_while(|&c| c != 0).collect();
        device.firmware = String::from_utf8_lossy(&firmware).into_owned();
        device.port_count = attributes.phys_port_cnt;
        device.limits = DeviceLimits::new(&attributes);
        Ok(device)
    }

    /// For verbs on this device, as long as `self` lives.
    pub(super) fn context(&self) -> *mut ibv_context {
        self.context.as_ptr()
    }

    /// Readable when the device has an event to tell.
    pub(super) fn event_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the device is open as long as the borrow lasts, and its descriptor with it.
        unsafe { BorrowedFd::borrow_raw((*self.context()).async_fd) }
    }

    /// The kernel's name for it, such as `mlx5_0`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version of its firmware; empty for a device in software.
    #[must_use]
    pub fn firmware(&self) -> &str {
        &self.firmware
    }

    /// How many ports it has, numbered from 1.
    #[must_use]
    pub fn port_count(&self) -> u8 {
        self.port_count
    }

    /// What it can do at most.
    #[must_use]
    pub fn limits(&self) -> &DeviceLimits {
        &self.limits
    }

    /// The NUMA node that it hangs on, where the kernel knows.
    #[must_use]
    pub fn numa_node(&self) -> Option<u32> {
        sysfs::numa_node(&self.name)
    }

    /// What a port says of itself now.
    ///
    /// # Errors
    /// When the device has no such port, or does not answer.
    pub fn port(&self, number: u8) -> Result<Port, VerbsError> {
        if number == 0 || number > self.port_count {
            let (device, port_count) = (self.name.clone(), self.port_count);
            return Err(VerbsError::UnknownPort { device, port: number, port_count });
        }
        let mut attributes = MaybeUninit::<ibv_port_attr>::zeroed();
        // SAFETY: the device is open; the structure is the library's to write.
        let code = unsafe { ibv_query_port(self.context(), number, attributes.as_mut_ptr()) };
        VerbsError::check("ibv_query_port", &self.name, code)?;
        // SAFETY: the call filled the structure; all-zero bits are valid for what it left.
        let attributes = unsafe { attributes.assume_init() };
        Ok(Port::new(number, &attributes, PortFiles::of(&self.name, number).rate()))
    }

    /// The entries of a port's GID table that are not empty.
    ///
    /// # Errors
    /// When the device does not answer.
    pub fn gid_table(&self, port: &Port) -> Result<Vec<GidEntry>, VerbsError> {
        let files = PortFiles::of(&self.name, port.number);
        let mut table = Vec::new();
        for index in 0..port.gid_count.min(GID_COUNT_MAX) {
            let Some((gid, kind)) = self.gid(port, index, &files)? else { continue };
            if !gid.is_zero() {
                table.push(GidEntry { index, gid, kind, interface: files.gid_interface(index) });
            }
        }
        Ok(table)
    }

    /// One entry; `None` for one that is empty.
    fn gid(&self, port: &Port, index: u32, files: &PortFiles) -> Result<Option<(Gid, GidKind)>, VerbsError> {
        let mut entry = MaybeUninit::<ibv_gid_entry>::zeroed();
        // SAFETY: the device is open; the entry is the library's to write.
        let code = unsafe { ibv_query_gid_ex(self.context(), u32::from(port.number), index, entry.as_mut_ptr(), 0) };
        // SAFETY: all-zero bits are a valid entry, and the call writes whole fields.
        let entry = unsafe { entry.assume_init() };
        let answer = VerbsError::check("ibv_query_gid_ex", &self.name, code);
        match answer {
            // SAFETY: sixteen bytes are valid in either view of the union.
            Ok(()) => Ok(Some((Gid(unsafe { entry.gid.raw }), GidKind::of_number(entry.gid_type)))),
            Err(VerbsError::Call { ref source, .. }) if is_empty_entry(source) => Ok(None),
            // A library or kernel from before the call.
            Err(VerbsError::Call { ref source, .. }) if source.kind() == io::ErrorKind::Unsupported => {
                self.gid_without_kind(port, index, files)
            }
            Err(error) => Err(error),
        }
    }

    /// As [`gid`](Device::gid) by the older call, with the kind from `/sys`.
    fn gid_without_kind(
        &self,
        port: &Port,
        index: u32,
        files: &PortFiles,
    ) -> Result<Option<(Gid, GidKind)>, VerbsError> {
        let Ok(number) = i32::try_from(index) else { return Ok(None) };
        let mut gid = ibv_gid { raw: [0; 16] };
        // SAFETY: the device is open; the identifier is the library's to write.
        let code = unsafe { ibv_query_gid(self.context(), port.number, number, &raw mut gid) };
        match VerbsError::check("ibv_query_gid", &self.name, code) {
            Err(VerbsError::Call { ref source, .. }) if is_empty_entry(source) => return Ok(None),
            outcome => outcome?,
        }
        let kind = match port.link_layer {
            LinkLayer::InfiniBand => GidKind::InfiniBand,
            LinkLayer::Ethernet => GidKind::of_ethernet_text(&files.gid_kind(index).unwrap_or_default()),
        };
        // SAFETY: sixteen bytes are valid in either view of the union.
        Ok(Some((Gid(unsafe { gid.raw }), kind)))
    }
}

/// How kernels say that a place of the table is empty.
fn is_empty_entry(error: &io::Error) -> bool {
    const ENODATA: i32 = 61;
    error.raw_os_error() == Some(ENODATA)
        || matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput)
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: opened once; whatever was made on the device held an `Arc` of it and is gone.
        let code = unsafe { ibv_close_device(self.context()) };
        if let Err(error) = VerbsError::check("ibv_close_device", &self.name, code) {
            tracing::warn!("{error}");
        }
    }
}
