# `make demo` and `make test` are the two commands; both set up everything and can be repeated.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
UV_VERSION := 0.13.8
MINUTES ?=
SNAKEMAKE := $(BIN)/snakemake --workflow-profile workflow/profiles/local

.PHONY: help demo test test-slow test-bounds test-unit golden bench bench-models lint lock clean tesseract faults fuzz bench-load licences slurm slurm-demo

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | sort

demo: .venv/demo.stamp tesseract  ## run the bundled sample end to end and print the result table
	$(SNAKEMAKE) --cores all
	@$(MAKE) --no-print-directory results/report.html
	@$(BIN)/python -m train table --summary results/summary.tsv --intervals results/intervals.tsv
	@$(BIN)/python -m workflow.plan.stage_times
	@echo "results and errors: $(CURDIR)/results/report/report.html"
	@echo "workflow report: $(CURDIR)/results/report.html"

results/report.html: results/summary.tsv
	@$(SNAKEMAKE) --cores 1 --report $@ > logs/report.log 2>&1 || { cat logs/report.log; exit 1; }
	@touch $@

test: .venv/test.stamp tesseract  ## lint and run all tests but the slow ones
	@$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist worksteal --durations 15 tests

test-slow: .venv/test.stamp tesseract  ## full-size and long learning checks (22 processor minutes, 10 GB)
	$(BIN)/python -m pytest -m "slow and not bounds" -n 2 --dist loadfile --durations 0 --durations-min 1 tests

test-bounds: .venv/test.stamp tesseract  ## gains of the sample over shuffled images, three seeds (40 minutes)
	$(BIN)/python -m pytest -m bounds -s tests/workflow/test_sample_bounds.py

test-unit: .venv/test.stamp tesseract  ## the unit tests alone
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist worksteal tests/unit

golden: export PYTHONPATH := $(CURDIR)
golden: .venv/test.stamp tesseract  ## confirm or record the values of all plug-ins (tests/data/golden)
	$(BIN)/python -m tests.golden 2>&1 | grep -v -e INFO -e WARNING; exit $${PIPESTATUS[0]}

bench: export PYTHONPATH := $(CURDIR)
bench: .venv/test.stamp tesseract  ## rates of every extractor, the pixel store, reruns and phrases (20 minutes)
	$(BIN)/python tests/bench/extractors.py
	$(BIN)/python tests/bench/pixel_store.py
	$(BIN)/python tests/bench/reruns.py
	$(BIN)/python tests/bench/phrases.py || [ $$? -eq 2 ]  # needs the Twitter corpora

bench-load: export PYTHONPATH := $(CURDIR)
bench-load: .venv/test.stamp  ## time and memory by corpus size, to 200,000 images (11 minutes, 1 GB of /tmp)
	$(BIN)/python tests/bench/load.py

bench-models: export PYTHONPATH := $(CURDIR)
bench-models: .venv/test.stamp  ## seconds and memory of every system at its published size (needs Twitter-2017)
	$(BIN)/python tests/bench/models.py

faults: export PYTHONPATH := $(CURDIR)
faults: .venv/test.stamp tesseract  ## kills, full disks, damaged files: what each costs (MINUTES=20 repeats)
	$(BIN)/python -m tests.faults $(if $(MINUTES),--minutes $(MINUTES))

fuzz: export PYTHONPATH := $(CURDIR)
fuzz: .venv/test.stamp tesseract  ## hostile images, ids, texts and files (MINUTES=20)
	$(BIN)/python -m tests.fuzz --minutes $(or $(MINUTES),20)

slurm-demo: export PYTHONPATH := $(CURDIR)
slurm-demo: .venv/test.stamp tesseract slurm  ## the sample through a Slurm of this machine alone (10 minutes, root)
	$(BIN)/python -m tests.slurm

lint: .venv/test.stamp  ## style of Python and rules, order of imports, Snakemake's own lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/lint-imports
	@$(BIN)/snakemake --lint

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or newer is needed, '$(PYTHON)' is older. Run: make PYTHON=python3.11 ..."; exit 2; }
	@$(PYTHON) -m venv .venv || \
	  { echo "error: '$(PYTHON) -m venv' failed. On Debian run: apt-get install python3-venv"; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/%.stamp: envs/%.lock | $(UV)
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r $<
	@touch $@

tesseract:
	@envs/ensure_tesseract.sh

slurm:
	@envs/ensure_slurm.sh

lock: | $(UV)  ## pin every dependency anew from pyproject.toml
	$(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-header --extra text --extra vision --extra train --extra workflow \
	  --extra sample --extra yolo --extra slurm --extra dev --output-file envs/test.lock
	$(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-header --extra text --extra vision --extra train --extra workflow \
	  --extra sample --constraint envs/test.lock --output-file envs/demo.lock
	$(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-header --extra text --extra vision --extra train --extra workflow \
	  --extra sample --extra slurm --constraint envs/test.lock --output-file envs/slurm.lock

licences: .venv/test.stamp  ## list the licences of all dependencies anew (envs/THIRD_PARTY.md)
	$(BIN)/python envs/third_party.py

clean:  ## remove what runs made (not the environment)
	rm -rf results logs benchmarks .snakemake data/sample
