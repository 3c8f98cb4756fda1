//! Model files: `model`, `--init-model`, and files that are damaged.

use crate::program::{Folder, done, refused, run, trained};
use std::path::Path;

const GOLDEN: &[u8] = include_bytes!("../data/model_v1.parashard");

#[test]
fn a_model_goes_to_text_and_back_byte_by_byte() {
    let (folder, own) = (trained(), Folder::new());
    own.write("golden", GOLDEN);
    own.write("trained", folder.read("a.model"));
    for name in ["golden", "trained"] {
        let (model, text, back) = (own.path(name), own.path("text"), own.path("back"));
        done(&["model", "export", &model, "--output", &text]);
        assert_eq!(done(&["model", "export", &model]).into_bytes(), own.read("text"));
        done(&["model", "import", &text, "--output", &back]);
        assert!(own.read(name) == own.read("back"), "{name} came back changed");
        let info = done(&["model", "info", &back]);
        assert!(
            info.contains("ok (header") && info.contains("metadata bits") && info.contains("table weights"),
            "{info}"
        );
    }
    let info = done(&["model", "info", &own.path("golden")]);
    assert!(info.contains("320") && info.contains("counts"), "{info}");
}

#[test]
fn a_bf16_model_has_its_state_in_f32() {
    let own = Folder::new();
    let text = [
        "# parashard-model 1",
        "# state true",
        "# table {\"name\":\"half\",\"dtype\":\"Bf16\",\"width\":2,\"key_end\":100,\"layout\":\"Sparse\",\
         \"update\":{\"Adagrad\":{\"rate\":0.1,\"epsilon\":0.001}}}",
        "# section {\"table\":0,\"begin\":0,\"end\":100}",
        // 0.1 is no bf16, but an f32.
        "7\t0.5\t-1\t0.1\t2.5",
        "",
    ];
    let (text, model) = (own.write("text", text.join("\n")), own.path("model"));
    done(&["model", "import", &text, "--output", &model]);
    assert_eq!(done(&["model", "export", &model]).into_bytes(), own.read("text"));
    let info = done(&["model", "info", &model]);
    assert!(info.contains("2 x bf16 a key, keys below 100, sparse, adagrad with rate 0.1, epsilon 0.001"), "{info}");
}

#[test]
fn a_wrong_line_of_a_model_text_is_named() {
    let own = Folder::new();
    let (golden, text) = (own.write("golden", GOLDEN), own.path("text"));
    done(&["model", "export", &golden, "--output", &text]);
    let text = String::from_utf8(own.read("text")).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    let refusal = |place: usize, line: &str| {
        let mut changed = lines.clone();
        changed[place] = line;
        let path = own.write("changed", changed.join("\n"));
        let message = refused(3, &["model", "import", &path, "--output", &own.path("m")]);
        assert!(message.contains(&format!("changed:{}: ", place + 1)), "{message}");
        message
    };
    assert!(refusal(0, "331\t1").contains("not a model's text"));
    assert!(refusal(0, "# parashard-model 9").contains("version 9"));
    assert!(refusal(1, "# stat true").contains("`# stat`"));
    let row = lines.iter().position(|line| line.starts_with("331\t")).expect("the first key");
    assert!(refusal(row, "331\tx\t0\t0").contains("\"x\" is no finite number"));
    assert!(refusal(row, "331\t1").contains("has 1 numbers instead of 3"));
    assert!(refusal(row + 1, "331\t1\t0\t0").contains("not above the one before"));
    assert!(refusal(row, "1099511627776\t1\t0\t0").contains("outside its section"));
    assert!(!Path::new(&own.path("m")).exists());
}

#[test]
fn training_goes_on_exactly_where_a_saved_state_stopped() {
    let own = Folder::new();
    let rows = String::from_utf8(trained().read("train.vw")).expect("text");
    let part = |begin: usize| rows.lines().skip(begin).take(200).map(|row| row.to_owned() + "\n").collect::<String>();
    let (first, second) = (own.write("1.vw", part(0)), own.write("2.vw", part(200)));
    // One row a minibatch from the start, so that a second job does not warm up anew.
    let train = |model: &str, more: &[&str]| {
        let model = own.path(model);
        let flags = ["train", "--model", &model, "--save-state", "--bits", "14", "--minibatch", "1", "--l1", "0.1"];
        done(&[&flags[..], &["--consistency", "sequential"], more].concat());
    };
    train("both", &["--train", &first, &second]);
    train("half", &["--train", &first]);
    assert!(own.read("both") != own.read("half"));
    train("on", &["--train", &second, "--init-model", &own.path("half")]);
    assert!(own.read("both") == own.read("on"), "a job that went on made another model");
}

#[test]
fn bad_models_are_refused_by_name() {
    let own = Folder::new();
    let test = trained().path("test.vw");
    let mut damaged = GOLDEN.to_vec();
    damaged[9000] ^= 1;
    let mut newer = GOLDEN.to_vec();
    newer[8] = 9;
    let models = [
        (own.path("missing"), "cannot be read"),
        (own.write("text", "hello"), "not a model file"),
        (own.write("cut", &GOLDEN[..5000]), "it has 5000 bytes instead of"),
        (own.write("damaged", damaged), "wrong checksum"),
        (own.write("newer", newer), "version 9 is newer than this program"),
    ];
    for (path, reason) in &models {
        let commands = [
            vec!["predict", "--model", path, "--data", &test],
            vec!["evaluate", "--model", path, "--data", &test],
            vec!["model", "info", path],
            vec!["model", "export", path],
        ];
        for command in &commands {
            let message = refused(3, command);
            assert!(message.contains(path.as_str()) && message.contains(reason), "{message}");
        }
    }
    let (wrong, model) = (&models[3].0, own.path("m"));
    let output = run(&["train", "--train", &test, "--model", &model, "--init-model", wrong]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("damaged") && error.contains("wrong checksum"), "{error}");
    assert!(!Path::new(&model).exists());
}
