//! What `parashard doctor` says of a machine with a device.

use crate::machine::Machine;
use crate::share::Share;

pub(crate) fn doctor_finds_the_device_usable() {
    let share =
        Share::new("/host/parashard doctor && /host/parashard doctor --json >/host/doctor.json").expect("a folder");
    share.add_parashard().expect("the program");
    let output = Machine::build().and_then(|machine| machine.run(&share)).expect("a run of the machine");
    assert_eq!(output.code, 0, "{}", output.console);
    let report = std::fs::read_to_string(share.file("doctor.json")).expect("the report");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert!(report.to_string().contains("rxe0"), "{report}");
}
