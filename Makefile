# Each target sets up .venv by itself; it needs Python 3.11 or newer with pip, and make.
#
#   make demo     the seven taxi queries of the Flint paper, on this machine
#   make test     the tests; installs PySpark (456 MB), DuckDB and a Java runtime for those of programs and SQL
#   make slow     the tests marked slow
#   make check-pyspark VERSION=4.0   the tests of PySpark programs on another release (3.5, 4.0, 4.1)
#   make simulate a hundred random jobs under every fault (ARGS="--start 4711 --seeds 1")
#   make fuzz     decoders under any bytes, guided by coverage, a minute each (ARGS="frame --seconds 9")
#   make check    what needs no running: format, lint, types, walls (each runs alone too)
#   make bench    aflint beside its peers; installs PySpark and a Java runtime (about 500 MB)
#   make bench-peers   Dask, Lithops, Polars, Ray and Sail, each in an environment of its own
#   make soak     an hour of mixed jobs: flat memory and file descriptors; BACKEND=localcloud, too
#   make format   rewrite the code in the house format
#   make docs     rewrite the generated parts of docs/, and build the site; a broken link fails

SHELL := /bin/bash
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SOURCES := $(wildcard aflint bench examples tests tools)
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install demo test slow check check-pyspark seams simulate fuzz fmt lint types walls bench bench-peers soak \
	format docs clean
.NOTPARALLEL:

help:
	@sed -n 's/^#  *\(make .*\)/\1/p' $(firstword $(MAKEFILE_LIST))

# A Python may be there and be too old, or a shim that starts nothing: each candidate is tried.
$(BIN)/python:
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  echo "Setting up $(VENV) with $$("$$python" --version)"; \
	  "$$python" -m venv $(VENV) 2>/dev/null && exit 0; \
	  rm -rf $(VENV); \
	  "$$python" -m venv --without-pip $(VENV) \
	    && "$$python" -m pip --quiet --python $(BIN)/python install pip && exit 0; \
	  rm -rf $(VENV); exit 1; \
	done; \
	echo "aflint needs Python 3.11 or newer; name one with make PYTHON=/path/to/python" >&2; exit 1

# What aflint itself needs, in seconds.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(PIP) install --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[dev]'
	@touch $@

$(VENV)/.installed-bench: pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[bench,dev]'
	@touch $@ $(VENV)/.installed-dev

# Apart from the rest, as pip builds PySpark from an archive with all of Spark's jars: two minutes.
$(VENV)/.installed-sql: pyproject.toml | $(VENV)/.installed-dev
	$(PIP) install --editable '.[pandas,sql]'
	-@$(BIN)/python -m aflint.sql.startup  # tests start the JVM often; without it they only take longer
	@touch $@

install: $(VENV)/.installed-dev

demo: $(VENV)/.installed
	@$(BIN)/python -m examples.taxi.demo $(ARGS)

# Each process that a test starts would compile aflint anew.
unexport PYTHONDONTWRITEBYTECODE

# A process for each core; what a file shares it makes once. ARGS="-n 0" for one process.
PYTEST = $(BIN)/python -m pytest -n auto --dist loadfile

test: install $(VENV)/.installed-sql
	$(PYTEST) -m 'not slow' $(ARGS)

slow: install $(VENV)/.installed-sql
	$(PYTEST) -m slow $(ARGS)

VERSION ?= 4.0
PYSPARK_VENV := $(VENV)/pyspark-$(VERSION)

$(PYSPARK_VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m venv $(PYSPARK_VENV)
	$(PYSPARK_VENV)/bin/python -m pip --disable-pip-version-check --quiet install \
	  --editable '.[dev]' 'pyspark==$(VERSION).*' setuptools
	@touch $@

check-pyspark: $(PYSPARK_VENV)/.installed
	$(PYSPARK_VENV)/bin/python -m pytest tests/pyspark $(ARGS)

simulate: install
	@$(BIN)/aflint simulate $(ARGS)

# The oldest and the newest aiobotocore that pyproject.toml allows, each laid over the environment.
SEAMS := 3.0 3.10
seams: install
	@set -e; for version in $(SEAMS); do \
	  folder=$(VENV)/aiobotocore-$$version; \
	  [ -d $$folder ] || $(BIN)/pip install -q --target $$folder "aiobotocore==$$version.*"; \
	  PYTHONPATH=$$folder $(BIN)/python -m pytest -n 0 -q tests/aws/test_seams.py tests/aws/test_clients.py; \
	done

# In an environment of its own, as atheris is not there for every Python.
FUZZ_VENV := $(VENV)/fuzz

$(FUZZ_VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m venv $(FUZZ_VENV)
	$(FUZZ_VENV)/bin/python -m pip --disable-pip-version-check --quiet install --editable '.[fuzz]'
	@touch $@

fuzz: $(FUZZ_VENV)/.installed
	$(FUZZ_VENV)/bin/python -m tests.fuzz $(ARGS)

check: install
	@$(MAKE) --no-print-directory --keep-going fmt lint types walls

fmt: install
	$(BIN)/ruff format --check $(SOURCES)

lint: install
	$(BIN)/ruff check $(SOURCES)

types: install $(VENV)/.installed-sql
	$(BIN)/mypy $(SOURCES)

walls: install
	$(BIN)/lint-imports --no-logo

bench: $(VENV)/.installed-bench
	@$(BIN)/python -m bench $(ARGS)

bench-peers: $(VENV)/.installed-bench
	@$(BIN)/python -m bench install

BACKEND ?= local

soak: $(VENV)/.installed-bench
	@$(BIN)/python -m bench.soak --backend $(BACKEND) $(ARGS)

format: install
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

docs: install
	$(BIN)/python -m tools.docs
	$(BIN)/python -m mkdocs build --quiet

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
