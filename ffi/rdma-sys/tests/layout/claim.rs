//! What is claimed of a type's layout, and how it is written down.

/// One thing to compare: the C expression and the number that Rust has for it.
pub(crate) struct Claim {
    pub(crate) expression: String,
    pub(crate) number: i128,
}

pub(crate) fn claim(expression: impl Into<String>, number: i128) -> Claim {
    Claim { expression: expression.into(), number }
}

pub(crate) fn field_bytes<S, F>(_: impl Fn(&S) -> *const F) -> usize {
    size_of::<F>()
}

/// Where newer headers add fields to a structure.
#[derive(Clone, Copy)]
pub(crate) enum Growth {
    /// Nowhere: programs allocate it, or the library does and nothing else is known.
    Never,
    /// Behind the last field; calls are told the length.
    AtEnd,
    /// Before the first field; places count from the last one.
    AtFront,
}

/// A type as Rust lays it out, and how C spells a value of it.
pub(crate) struct Layout {
    pub(crate) name: &'static str,
    pub(crate) value: &'static str,
    pub(crate) bytes: usize,
    pub(crate) alignment: usize,
    pub(crate) fields: Vec<Field>,
    pub(crate) growth: Growth,
}

pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) spelling: &'static str,
    pub(crate) offset: usize,
    pub(crate) bytes: usize,
}

/// `layout!(type = "value in C" { fields })`. A field whose C spelling differs gives it: a member of the
/// value, nothing for the value itself, a path from another variable, or `first..next` for the bytes
/// between two members.
macro_rules! layout {
    ($name:ident = $value:literal { $($field:ident $(= $path:literal)?),* $(,)? }) => {
        Layout {
            name: stringify!($name),
            value: $value,
            bytes: size_of::<$name>(),
            alignment: align_of::<$name>(),
            fields: vec![$({
                let name = stringify!($field).trim_start_matches("r#");
                let spelling = name;
                $(let spelling = { let _ = spelling; $path };)?
                let bytes = field_bytes(|value: &$name| &raw const value.$field);
                Field { name, spelling, offset: std::mem::offset_of!($name, $field), bytes }
            }),*],
            growth: Growth::Never,
        }
    };
}

impl Layout {
    pub(crate) fn growing(self, growth: Growth) -> Layout {
        Layout { growth, ..self }
    }

    pub(crate) fn claims(&self) -> Vec<Claim> {
        let size = match self.growth {
            Growth::Never => claim(format!("sizeof({})", self.value), self.bytes as i128),
            _ => claim(format!("sizeof({}) >= {}", self.value, self.bytes), 1),
        };
        let mut claims = vec![size, claim(format!("_Alignof(__typeof__({}))", self.value), self.alignment as i128)];
        let (origin, origin_offset) = match (self.growth, self.fields.last()) {
            (Growth::AtFront, Some(last)) => (self.member(last.spelling), last.offset),
            _ => (self.value.to_owned(), 0),
        };
        for field in &self.fields {
            let (first, length) = match field.spelling.split_once("..") {
                Some((first, next)) => {
                    let (first, next) = (self.member(first), self.member(next));
                    (first.clone(), format!("(char *)&{next} - (char *)&{first}"))
                }
                None => (self.member(field.spelling), format!("sizeof({})", self.member(field.spelling))),
            };
            let place = field.offset as i128 - origin_offset as i128;
            claims.push(claim(length, field.bytes as i128));
            claims.push(claim(format!("(char *)&{first} - (char *)&{origin}"), place));
        }
        claims
    }

    /// The structure of which the C program needs a value.
    pub(crate) fn variable(&self) -> &str {
        let name = self.value.trim_start_matches("v_");
        name.split('.').next().unwrap_or(name)
    }

    fn member(&self, spelling: &str) -> String {
        match spelling {
            "" => self.value.to_owned(),
            path if path.starts_with("v_") => path.to_owned(),
            name => format!("{}.{name}", self.value),
        }
    }
}

/// An enumeration: its name, and what is claimed of its values, size and sign.
pub(crate) struct Enumeration {
    pub(crate) name: &'static str,
    pub(crate) claims: Vec<Claim>,
}

macro_rules! numbers {
    ($name:ident: $repr:ty) => {{
        let mut claims: Vec<Claim> =
            $name::NAMED.iter().map(|(name, value)| claim(*name, i128::from(*value))).collect();
        if size_of::<$repr>() == size_of::<std::ffi::c_int>() {
            claims.push(claim(concat!("sizeof(enum ", stringify!($name), ")"), size_of::<$name>() as i128));
            let is_signed = i128::from(i128::from(<$repr>::MIN) < 0);
            claims.push(claim(concat!("(enum ", stringify!($name), ")-1 < 0"), is_signed));
        }
        Enumeration { name: stringify!($name), claims }
    }};
}

pub(crate) use {layout, numbers};
