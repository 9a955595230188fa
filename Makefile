# Two commands: `make demo` and `make test`. Both build .venv first when it is missing or out of date.
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
START := $(shell date +%s)

# The commands of a change: format, lint, types, layers, tests (test); then those that take minutes (slow, hard,
# notebook, packages, site).
.PHONY: install demo test slow hard notebook packages site format docs bench-train bench-write bench-endurance

# The environment alone: what `make` without a word does.
install: $(STAMP)

# What is left of ten minutes when the environment stands.
demo: $(STAMP)
	$(VENV)/bin/arasuji demo --minutes $$(echo "$(START) $$(date +%s)" | awk '{print ($$1 + 585 - $$2) / 60}')

# Two processes with one thread each need less time than one process with two threads.
test: $(STAMP)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	OMP_NUM_THREADS=1 $(PY) -m pytest --numprocesses 2 --dist worksteal

# Tests that start many processes or a browser, train or measure several models, or compile.
slow: $(STAMP)
	OMP_NUM_THREADS=1 $(PY) -m pytest -m slow --numprocesses 2 --dist worksteal

# All cases of tests/hard, of which `make test` tries a tenth, another one each day; at most 40 minutes.
hard: $(STAMP)
	OMP_NUM_THREADS=1 $(PY) -m pytest tests/hard --share 1 --tally hard.json --timeout 2400 --numprocesses 2 --dist worksteal
	$(PY) docs/reliability.py hard.json

# Executes the notebook of the article, shortened.
notebook: $(STAMP)
	$(PY) -m pytest -m notebook tests/test_notebook.py

# Builds the wheel and uses it in an environment of its own; tries exports with other versions of their readers.
packages: $(STAMP)
	$(PY) -m pytest -m packages

# The documentation site, in `site`; the commands on its pages are run.
site: $(STAMP)
	$(VENV)/bin/mkdocs build --strict
	OMP_NUM_THREADS=1 $(PY) -m pytest -m site --numprocesses 2 --dist worksteal

format: $(STAMP)
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

# SOURCE is a file that `prepare` reads (default: the starter corpus); BENCH=--short takes one short round, not 7.
bench-train: $(STAMP)
	$(PY) bench/train.py $(SOURCE) $(BENCH) --out bench-train.json

# The same for writing; BENCH=--short takes one round of 20 tokens, not 5 of 100.
bench-write: $(STAMP)
	$(PY) bench/write.py $(SOURCE) $(BENCH) --out bench-write.json

# Memory, long texts, thousands of prompts, a kill, the start; BENCH="--prompts 10000" takes a quarter of an hour.
bench-endurance: $(STAMP)
	$(PY) bench/endurance.py $(BENCH) --out bench-endurance.json

docs: $(STAMP)
	$(PY) docs/cli.py

# Every file that is installed has a sum in the lock files (see locks/lock.py), and none is built here but our own package.
LOCKED := $(PY) -m pip install --quiet --no-deps --require-hashes --only-binary :all: --requirement
$(STAMP): pyproject.toml $(wildcard locks/*.txt)
	test -x $(PY) || python3 -m venv $(VENV)
	-$(LOCKED) locks/torch-cpu.txt
	$(LOCKED) locks/tests.txt
	$(PY) -c "import torch" 2> /dev/null || $(LOCKED) locks/cuda.txt
	$(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(STAMP)
