//! Every structure, field and constant beside what a C compiler makes of the header of libibverbs.
//!
//! A C program prints sizes, offsets and values; they are compared with Rust's. The lists below are
//! themselves compared with the sources, so that nothing declared goes unchecked.

use rdma_sys::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// One thing to compare: the C expression and the number that Rust has for it.
struct Claim {
    expression: String,
    number: i128,
}

fn claim(expression: impl Into<String>, number: i128) -> Claim {
    Claim { expression: expression.into(), number }
}

fn field_bytes<S, F>(_: impl Fn(&S) -> *const F) -> usize {
    size_of::<F>()
}

/// Everything that is claimed of the layout of one type, and the names it was claimed by.
struct Layout {
    rust_name: &'static str,
    fields: Vec<&'static str>,
    claims: Vec<Claim>,
}

/// `layout!(rust type = "C expression of a value of the type" { fields })`; a field whose C spelling
/// differs is written `rust_name = "C path"`.
macro_rules! layout {
    ($name:ident = $value:literal { $($field:ident $(= $path:literal)?,)* }) => {{
        let mut claims = vec![claim(format!("sizeof({})", $value), size_of::<$name>() as i128)];
        claims.push(claim(format!("_Alignof(__typeof__({}))", $value), align_of::<$name>() as i128));
        $({
            let path = layout!(@path $field $($path)?);
            let member = if path.is_empty() { $value.to_owned() } else { format!("{}.{path}", $value) };
            let bytes = field_bytes(|value: &$name| &raw const value.$field);
            claims.push(claim(format!("sizeof({member})"), bytes as i128));
            let offset = std::mem::offset_of!($name, $field);
            claims.push(claim(format!("(char *)&{member} - (char *)&{}", $value), offset as i128));
        })*
        Layout { rust_name: stringify!($name), fields: vec![$(stringify!($field)),*], claims }
    }};
    (@path $field:ident) => { stringify!($field).trim_start_matches("r#") };
    (@path $field:ident $path:literal) => { $path };
    ($name:ident { $($field:ident $(= $path:literal)?,)* }) => {
        layout!($name = "" { $($field $(= $path)?,)* })
    };
}
