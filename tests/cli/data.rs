//! `data`.

use crate::program::{Folder, done, number, refused, trained};

#[test]
fn data_are_converted_and_described() {
    let (folder, own) = (trained(), Folder::new());
    let (test, block, svm) = (folder.path("test.vw"), own.path("t.psb"), own.path("t.svm"));
    assert!(done(&["data", "convert", &test, "--bits", "16", "--output", &block]).contains("1,500"));
    done(&["data", "convert", &block, "--output", &svm]);
    let info = done(&["data", "info", &block, &svm, &test, "--bits", "18"]);
    assert!(info.contains("block, ") && info.contains("1,500 rows, 58,500 features"), "{info}");
    assert!(info.contains("libsvm, ") && info.contains("vw, ") && info.contains("262,144"), "{info}");
    let loss = |data: &str| {
        let json = own.path("e.json");
        done(&["evaluate", "--model", &folder.path("a.model"), "--data", data, "--json", &json]);
        number(&own.json("e.json"), "log_loss")
    };
    let expected = loss(&test);
    assert!((loss(&block) - expected).abs() < 1e-6 && (loss(&svm) - expected).abs() < 1e-6);
    assert!(refused(2, &["data", "convert", &test, "--output", &own.path("t.tsv")]).contains("criteo"));
    assert!(refused(2, &["data", "convert", &test, "--output", &own.path("t.bin")]).contains("give --to"));
    for format in ["vw", "libsvm", "criteo", "block"] {
        let path = own.path(format);
        done(&["data", "generate", "--rows", "50", "--format", format, "--bits", "12", "--output", &path]);
        assert!(done(&["data", "info", &path]).contains(&format!("{format}, ")));
    }
}
