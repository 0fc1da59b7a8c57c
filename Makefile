# Every target makes what it needs; a second call of any installs nothing. `make` lists the targets.

PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help repository install demo params doctor test quick nightly browser check docs zoo bench claims compare clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1|/' | column -t -s '|'

install: $(INSTALLED) ## make the environment (.venv) with the pinned packages

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

repository:
	@git rev-parse --git-dir >/dev/null || \
		{ echo "DVC works in a Git repository, and this is none (a ZIP download?). Make it one: git init && git add ."; exit 1; }

demo: repository install ## run the whole pipeline (in a fresh clone: on the built-in corpus) and print the results
	@trap : INT; dvc repro || { echo "Not finished. What was made is kept: \`make demo\` goes on from there."; exit 1; }
	@cat data/ensemble/tables.md

params: install ## compose conf/ into params.yaml, and check every setting
	pipeline params

doctor: install ## look at this machine and this project; say what to do
	@pipeline doctor

quick: install ## the tests that need little time, side by side: some five minutes on two cores
	python -m pytest -m "not slow and not nightly" --numprocesses 2

test: install ## all tests but the long forms of `make nightly`, two at a time: under twenty-five minutes on two cores
	python -m pytest -m "not slow and not nightly" --numprocesses 2
	python -m pytest -m "slow and not nightly" --numprocesses 2 --dist loadfile

nightly: $(VENV)/.extras ## the long forms, two at a time: a hundred kills, an hour of work; under two hours on two cores
	python -m pytest -m nightly --numprocesses 2 --dist loadfile

browser: install ## the tests of the pages, in the system's Chromium; fails where there is none
	python -m pytest -m "browser and not nightly" --numprocesses 2 tests/comparison tests/report tests/serve

check: install ## format, lint and types
	ruff format --check . && ruff check . && mypy

docs: $(VENV)/.docs ## build the manual as a site, in site/; a broken link fails
	python docs/settings.py
	mkdocs build --strict

$(VENV)/.docs: $(INSTALLED)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	@touch $@

$(VENV)/.extras: $(INSTALLED)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[hf,onnx,ray,tensorboard,wandb,mlflow,writers]'
	@touch $@

compare: install ## the figures of all experiments, side by side (`pipeline compare RUN RUN` says more)
	pipeline compare

zoo: install ## parameters, GMACs and clips of every model
	@pipeline zoo

bench: install ## the benchmarks, each prints one table
	@for file in benchmarks/*.py; do python $$file || exit 1; done

claims: repository install ## try the report's claims on three corpora of the built-in kind, an hour: docs/claims.md
	@trap : INT; python benchmarks/claims/measure.py

clean: ## delete outs (imported scores too), scratch, site and environment; keep DVC's cache
	git clean -fdxq -- $(VENV) data work site
