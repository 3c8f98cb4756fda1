//! Every structure, field and constant beside what a C compiler makes of the header of libibverbs.
//!
//! A C program prints sizes, offsets and values; they are compared with Rust's. The lists in `list` are
//! themselves compared with the sources, so that nothing declared goes unchecked. It holds with the headers of
//! rdma-core 35 to 64; where these grow, a claim says so.

mod claim;
mod compiler;
mod list;

use claim::{Claim, Layout};
use compiler::numbers_of_c;
use list::{enumerations, layouts, single_constants};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[test]
fn every_structure_field_and_constant_is_what_the_c_compiler_says() {
    let layouts = layouts();
    let variables: BTreeSet<&str> = layouts.iter().map(Layout::variable).collect();
    let claims: Vec<Claim> = layouts
        .iter()
        .flat_map(Layout::claims)
        .chain(enumerations().into_iter().flat_map(|enumeration| enumeration.claims))
        .chain(single_constants())
        .collect();
    let expressions: Vec<&str> = claims.iter().map(|claim| claim.expression.as_str()).collect();
    let numbers = numbers_of_c(&variables, &expressions);
    assert_eq!(numbers.len(), claims.len());
    let wrong: Vec<String> = claims
        .iter()
        .zip(numbers)
        .filter(|(claim, number)| claim.number != *number)
        .map(|(claim, number)| format!("{}: {} here, {number} in C", claim.expression, claim.number))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{} sizes, offsets and values compared", claims.len());
}

/// Type names with their public fields, as the sources declare them.
fn declared() -> BTreeMap<String, BTreeSet<String>> {
    let mut types = BTreeMap::new();
    for file in ["structure.rs", "work_request.rs", "context.rs"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
        let text = std::fs::read_to_string(path).expect("a source file");
        let mut current: Option<String> = None;
        for line in text.lines() {
            let head = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub union "));
            if let Some(name) = head.and_then(|rest| rest.strip_suffix(" {")) {
                types.insert(name.to_owned(), BTreeSet::new());
                current = Some(name.to_owned());
            } else if let (Some(name), Some(field)) = (&current, line.strip_prefix("    pub ")) {
                let field = field.split(':').next().unwrap_or_default().trim_start_matches("r#");
                types.entry(name.clone()).or_default().insert(field.to_owned());
            } else if line == "}" {
                current = None;
            }
        }
    }
    // Without a public field there is nothing to lay out.
    types.retain(|_, fields| !fields.is_empty());
    types
}

#[test]
fn nothing_that_is_declared_goes_unchecked() {
    let listed: BTreeMap<String, BTreeSet<String>> = layouts()
        .into_iter()
        .map(|layout| (layout.name.to_owned(), layout.fields.iter().map(|field| field.name.to_owned()).collect()))
        .collect();
    let declared = declared();
    assert!(declared.len() > 30, "only {} types were found", declared.len());
    assert_eq!(listed, declared);

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/enumeration.rs");
    let text = std::fs::read_to_string(path).expect("a source file");
    let heads = text.lines().filter_map(|line| {
        line.strip_prefix("enumeration!(").or_else(|| line.strip_prefix("flags!("))?.split(':').next()
    });
    let declared: BTreeSet<String> = heads.map(str::to_owned).collect();
    let listed: BTreeSet<String> = enumerations().into_iter().map(|enumeration| enumeration.name.to_owned()).collect();
    assert_eq!(listed, declared);
}
