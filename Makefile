# Everything a person types. `make demo` and `make test` install what the machine lacks.
SHELL := /bin/bash
TARGET := $(or $(CARGO_TARGET_DIR),target)
PROGRAM := $(TARGET)/release/parashard
DEMO := $(TARGET)/demo

.PHONY: demo test soak quality bench bench-peers release

# Trains on the flight data of tests/data and prints the table.
demo: release
	@mkdir -p $(DEMO)
	$(PROGRAM) train \
	    --train tests/data/nycflights.train.svm.zst --test tests/data/nycflights.test.svm.zst \
	    --servers 2 --workers 2 --alpha 0.1 --beta 1 --l1 1 --l2 0 \
	    --model $(DEMO)/nycflights.model --json $(DEMO)/nycflights.json

release:
	@.ci/setup.sh --for demo
	.ci/cargo build --release --locked --bin parashard

# All checks and suites; what continuous integration runs. `make test SUITES="unit sim"` runs a part.
test:
	@tests/run-suites tests/suites/test $(SUITES)

# By hand: more seeds, five minutes of fuzzing a target. Results go to tests/results/.
soak:
	@mkdir -p tests/results
	@set -o pipefail; tests/run-suites tests/suites/soak $(SUITES) | tee "tests/results/soak-$$(date +%Y-%m-%d).txt"

# By hand: the quality bounds on the full data sets in DATA.
quality: release
	@tests/quality "$(PROGRAM)" "$(DATA)"

# By hand: every microbenchmark beside its limit and its peers. Results go to bench/results/.
bench:
	@.ci/cargo build --release --locked --workspace
	@bench/run-all

# By hand: speed beside other programs on the same data; beside liblinear on the full data sets in DATA.
bench-peers: release
	@bench/peers/vw.sh "$(PROGRAM)"
	@bench/peers/liblinear.sh "$(PROGRAM)" "$(DATA)" || [ $$? -eq 77 ]
