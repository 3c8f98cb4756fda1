//! What the C compiler says.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Command;

/// Compiles and runs a program that prints one number for each expression. `variables` are names of
/// structures, of each of which the program has one whose name begins with `v_`.
pub(crate) fn numbers_of_c(variables: &BTreeSet<&str>, expressions: &[&str]) -> Vec<i128> {
    let mut program = String::from("#include <infiniband/verbs.h>\n#include <stdio.h>\n");
    for name in variables {
        let kind = if *name == "ibv_gid" { "union" } else { "struct" };
        writeln!(program, "static {kind} {name} v_{name};").expect("a string takes everything");
    }
    program.push_str("int main(void) {\n");
    for expression in expressions {
        writeln!(program, "    printf(\"%lld\\n\", (long long)({expression}));").expect("a string takes everything");
    }
    program.push_str("    return 0;\n}\n");
    let folder = tempfile::tempdir().expect("a folder");
    let (source, binary) = (folder.path().join("layout.c"), folder.path().join("layout"));
    std::fs::write(&source, program).expect("a file");
    let compiled = Command::new("gcc").args(["-std=gnu11", "-w", "-o"]).arg(&binary).arg(&source).output();
    let compiled = compiled.expect("gcc is missing; install it: .ci/setup.sh --for test");
    let message = String::from_utf8_lossy(&compiled.stderr);
    assert!(
        compiled.status.success(),
        "gcc: is the header of libibverbs missing? Install it by .ci/setup.sh --for test\n{message}"
    );
    let output = Command::new(binary).output().expect("the program runs");
    String::from_utf8(output.stdout).expect("numbers").lines().map(|line| line.parse().expect("a number")).collect()
}
