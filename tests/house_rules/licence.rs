//! Licences of everything that is linked or run in tests: permissive ones only.

use std::path::Path;
use std::process::Command;

/// What may be linked, by SPDX name.
const PERMISSIVE: [&str; 11] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

/// Every dependency on Linux whose licence leaves no permissive choice, as `name version: licence`.
pub(crate) fn unwelcome(root: &Path) -> Vec<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root)
        .args(["metadata", "--locked", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    assert!(packages.len() > 20, "only {} packages were found", packages.len());
    let described = packages.iter().map(|package| {
        let text = |field: &str| package[field].as_str().unwrap_or_default().to_owned();
        (text("license"), format!("{} {}", text("name"), text("version")))
    });
    described
        .filter(|(licence, _)| !is_permissive(licence))
        .map(|(licence, name)| format!("{name}: {licence}"))
        .collect()
}

/// Whether an SPDX expression can be met by permissive licences alone.
fn is_permissive(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
    let met = any(&mut words);
    met && words.is_empty()
}

fn any(words: &mut Vec<&str>) -> bool {
    let mut met = all(words);
    while words.last() == Some(&"OR") {
        words.pop();
        met |= all(words);
    }
    met
}

fn all(words: &mut Vec<&str>) -> bool {
    let mut met = one(words);
    while words.last() == Some(&"AND") {
        words.pop();
        met &= one(words);
    }
    met
}

fn one(words: &mut Vec<&str>) -> bool {
    match words.pop() {
        Some("(") => {
            let met = any(words);
            words.pop() == Some(")") && met
        }
        Some(name) if words.last() == Some(&"WITH") => {
            words.pop();
            let exception = words.pop().unwrap_or_default();
            PERMISSIVE.contains(&format!("{name} WITH {exception}").as_str())
        }
        Some(name) => PERMISSIVE.contains(&name),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_needs_one_permissive_side_and_a_sum_needs_all() {
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-2.0 OR MIT",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR MIT",
        ] {
            assert!(is_permissive(good), "{good}");
        }
        for bad in ["", "GPL-2.0", "MIT AND GPL-2.0", "(MIT OR GPL-3.0) AND LGPL-3.0", "MIT WITH strings", "MIT )"] {
            assert!(!is_permissive(bad), "{bad}");
        }
    }
}
