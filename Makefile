# What one does with the project. `make test` is all that `.ci/run` calls.
PYTHON ?= /usr/bin/python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: all venv packages demo test acceptance lint wheel fuzz load bench clean

all: lint test

# Debian packages that the tests and the demo need; a no-op where they are there.
packages:
	@tests/install-packages

venv: $(VENV)/ready

$(VENV)/ready: pyproject.toml | packages
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test,lint,package]'
	$(PYTHON) -IS pymodutils/packed.py
	touch $@

demo: venv
	$(BIN)/python -m tests.vm.demo

test: venv
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup $(PYTEST_ARGS)

# Debian 12 and 13 with our package in place of kmod, booted; as root. Too slow for every `make test`.
acceptance: venv
	$(BIN)/python -m tests.acceptance

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# dist/pymodutils-VERSION-py3-none-any.whl and .tar.gz
wheel: venv
	$(BIN)/python -m hatchling build -d dist

# Each reader of foreign bytes, guided by coverage, so many seconds.
FUZZ_SECONDS ?= 60
fuzz: venv
	$(BIN)/pip install --quiet --disable-pip-version-check '.[fuzz]'
	$(BIN)/python -m fuzz $(FUZZ_SECONDS)

# The load tests of `make test` on two processors.
load: venv
	PYMODUTILS_LOAD=full $(BIN)/python -m pytest -q tests/vm/test_load.py

bench: venv
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build dist *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

-include packaging.mk
