//! Finding libibverbs at run time: one table of functions, filled once a process.

use crate::context::ibv_context;
use crate::enumeration::*;
use crate::structure::*;
use libloading::Library;
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::fmt;
use std::sync::OnceLock;

/// The file that is looked for, by the dynamic linker's rules.
pub const LIBRARY: &str = "libibverbs.so.1";

/// Why there are no verbs in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadError {
    /// The library is not there, or does not load; the dynamic linker's words.
    Library(String),
    /// The library lacks a function of this name: it is too old.
    Function(&'static str),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Library(reason) => write!(f, "{LIBRARY} cannot be loaded: {reason}"),
            LoadError::Function(name) => write!(f, "{LIBRARY} is too old: it has no function {name}"),
        }
    }
}

impl std::error::Error for LoadError {}

static TABLE: OnceLock<Result<Table, LoadError>> = OnceLock::new();

/// Loads the library and looks all functions up; later calls repeat the first answer.
///
/// # Errors
/// That the library is missing, or which function it lacks.
pub fn load() -> Result<(), &'static LoadError> {
    TABLE.get_or_init(Table::open).as_ref().map(|_| ())
}

/// The table, once [`load`] has succeeded.
pub(crate) fn table() -> Option<&'static Table> {
    TABLE.get()?.as_ref().ok()
}

/// Declares the table: required functions, and those that older libraries lack.
macro_rules! table {
    (
        required { $($name:ident: fn($($argument:ty),*) $(-> $answer:ty)?;)+ }
        optional { $($late:ident: fn($($late_argument:ty),*) $(-> $late_answer:ty)?;)+ }
    ) => {
        pub(crate) struct Table {
            $(pub(crate) $name: unsafe extern "C" fn($($argument),*) $(-> $answer)?,)+
            $(pub(crate) $late: Option<unsafe extern "C" fn($($late_argument),*) $(-> $late_answer)?>,)+
            /// The pointers are good as long as the library stays loaded.
            _library: Library,
        }

        impl Table {
            fn open() -> Result<Table, LoadError> {
                // SAFETY: libibverbs' initialisers only prepare its own state and read its environment variables.
                let library = unsafe { Library::new(LIBRARY) }.map_err(|error| LoadError::Library(error.to_string()))?;
                Ok(Table {
                    $($name: {
                        // SAFETY: the type is the one of the header's prototype, and is kept with its library.
                        let found = unsafe { library.get(concat!(stringify!($name), "\0").as_bytes()) };
                        *found.map_err(|_| LoadError::Function(stringify!($name)))?
                    },)+
                    $($late: {
                        // SAFETY: the type is the one of the header's prototype, and is kept with its library.
                        let found = unsafe { library.get(concat!(stringify!($late), "\0").as_bytes()) };
                        found.ok().map(|function| *function)
                    },)+
                    _library: library,
                })
            }
        }
    };
}

table! {
    required {
        ibv_fork_init: fn() -> c_int;
        ibv_get_device_list: fn(*mut c_int) -> *mut *mut ibv_device;
        ibv_free_device_list: fn(*mut *mut ibv_device);
        ibv_get_device_name: fn(*mut ibv_device) -> *const c_char;
        ibv_open_device: fn(*mut ibv_device) -> *mut ibv_context;
        ibv_close_device: fn(*mut ibv_context) -> c_int;
        ibv_get_async_event: fn(*mut ibv_context, *mut ibv_async_event) -> c_int;
        ibv_ack_async_event: fn(*mut ibv_async_event);
        ibv_query_device: fn(*mut ibv_context, *mut ibv_device_attr) -> c_int;
        ibv_query_port: fn(*mut ibv_context, u8, *mut c_void) -> c_int;
        ibv_query_gid: fn(*mut ibv_context, u8, c_int, *mut ibv_gid) -> c_int;
        ibv_alloc_pd: fn(*mut ibv_context) -> *mut ibv_pd;
        ibv_dealloc_pd: fn(*mut ibv_pd) -> c_int;
        ibv_reg_mr: fn(*mut ibv_pd, *mut c_void, usize, c_int) -> *mut ibv_mr;
        ibv_dereg_mr: fn(*mut ibv_mr) -> c_int;
        ibv_create_comp_channel: fn(*mut ibv_context) -> *mut ibv_comp_channel;
        ibv_destroy_comp_channel: fn(*mut ibv_comp_channel) -> c_int;
        ibv_create_cq: fn(*mut ibv_context, c_int, *mut c_void, *mut ibv_comp_channel, c_int) -> *mut ibv_cq;
        ibv_resize_cq: fn(*mut ibv_cq, c_int) -> c_int;
        ibv_destroy_cq: fn(*mut ibv_cq) -> c_int;
        ibv_get_cq_event: fn(*mut ibv_comp_channel, *mut *mut ibv_cq, *mut *mut c_void) -> c_int;
        ibv_ack_cq_events: fn(*mut ibv_cq, c_uint);
        ibv_create_srq: fn(*mut ibv_pd, *mut ibv_srq_init_attr) -> *mut ibv_srq;
        ibv_destroy_srq: fn(*mut ibv_srq) -> c_int;
        ibv_create_qp: fn(*mut ibv_pd, *mut ibv_qp_init_attr) -> *mut ibv_qp;
        ibv_modify_qp: fn(*mut ibv_qp, *mut ibv_qp_attr, c_int) -> c_int;
        ibv_query_qp: fn(*mut ibv_qp, *mut ibv_qp_attr, c_int, *mut ibv_qp_init_attr) -> c_int;
        ibv_destroy_qp: fn(*mut ibv_qp) -> c_int;
        ibv_node_type_str: fn(ibv_node_type) -> *const c_char;
        ibv_port_state_str: fn(ibv_port_state) -> *const c_char;
        ibv_event_type_str: fn(ibv_event_type) -> *const c_char;
        ibv_wc_status_str: fn(ibv_wc_status) -> *const c_char;
    }
    optional {
        ibv_reg_mr_iova2: fn(*mut ibv_pd, *mut c_void, usize, u64, c_uint) -> *mut ibv_mr;
        _ibv_query_gid_ex: fn(*mut ibv_context, u32, u32, *mut ibv_gid_entry, u32, usize) -> c_int;
    }
}
