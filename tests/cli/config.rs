//! `config show`.

use crate::program::{Folder, done, program, refused};

#[test]
fn the_configuration_says_where_each_value_comes_from() {
    let own = Folder::new();
    let config = own.write("job.toml", "train = [\"a\", \"b\"]\nalpha = 0.5\nl1 = 3.0\n");
    let mut command = program();
    command.args(["config", "show", "--config", &config, "--alpha", "0.25"]).env("PARASHARD_MINIBATCH", "64");
    let output = command.output().expect("runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let line = |name: &str| {
        let found = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
        found.split(" # ").map(str::trim).collect::<Vec<_>>().join(" # ")
    };
    assert_eq!(line("alpha"), "alpha = 0.25 # flag");
    assert_eq!(line("l1"), format!("l1 = 3.0 # file, {config}"));
    assert_eq!(line("train"), format!("train = [\"a\", \"b\"] # file, {config}"));
    assert_eq!(line("minibatch"), "minibatch = 64 # environment, PARASHARD_MINIBATCH");
    assert_eq!(line("beta"), "beta = 1.0 # default");
    assert_eq!(line("consistency"), "consistency = \"eventual\" # default");
    assert!(text.contains("# init-model") && text.contains("# not set"), "{text}");
    // What is shown is a configuration that comes to the same.
    let again = own.write("again.toml", &text);
    let shown = done(&["config", "show", "--config", &again]);
    let values = |text: &str| text.lines().map(|line| line[..40].trim().to_owned()).collect::<Vec<_>>();
    assert_eq!(values(&shown), values(&text));
    let unknown = own.write("unknown.toml", "alhpa = 0.5\n");
    assert!(refused(2, &["config", "show", "--config", &unknown]).contains("unknown.toml"));
}
