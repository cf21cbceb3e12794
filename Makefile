# SPDX-License-Identifier: LGPL-2.1-or-later
# What one does with the project; `make help` lists it. `make lint test` is all that `.ci/run` calls.
PYTHON ?= /usr/bin/python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: all help venv packages demo picture test test-pythons acceptance closures doors users states keys ansible salt hotplug lint wheel fuzz load bench clean

all: lint test

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## boot a Debian kernel in QEMU and show the commands on it
	@tests/install-packages demo
	$(PYTHON) -m tests.vm.demo

# Debian packages that the tests need; a no-op where they are there.
packages:
	@tests/install-packages

venv: $(VENV)/ready

$(VENV)/ready: pyproject.toml | packages
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test,lint,package]'
	$(PYTHON) -IS pymodutils/make_pack.py
	touch $@

lint: venv ## check style and types, of Python, shell scripts and manual pages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	tools/lint-shell
	mandoc -T lint -W warning $$(grep -L '^\.so' man/*.[1-9])
	PYTHONPATH=. $(BIN)/pyright --ignoreexternal --verifytypes pymodutils

test: venv ## run all tests, also on real kernels in QEMU; PYTEST_ARGS chooses
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup $(PYTEST_ARGS)

test-pythons: venv ## run what needs no kernel under each Python that Debian has; as root, some 10 minutes each
	$(BIN)/python -m tests.pythons $(PYTHONS)

# Too slow for every `make test`.
acceptance: venv ## boot Debian 12 and 13 with our package in place of kmod; as root
	$(BIN)/python -m tests.acceptance

# What `make test` does with three random sets, done with 300; and an initial file system of them, booted.
closures: venv ## compare kmod closure with dracut-install and mkosi at length, and boot with it
	PYMODUTILS_CLOSURES=300 PYMODUTILS_BOOTS=1 $(BIN)/python -m pytest -q -o timeout=0 tests/differential/test_closure.py tests/vm/test_closure.py

# What `make test` tries of three modules under three configurations, of 66 under seven.
doors: venv ## every way in for all modules with soft dependencies and thirty others: an hour for each kernel
	PYMODUTILS_DOORS=full $(BIN)/python -m pytest -q -s -o timeout=0 tests/vm/test_check.py

users: venv ## find and end one use of modules of each class, on both kernels
	PYMODUTILS_USERS=all $(BIN)/python -m pytest -q -o timeout=0 tests/vm/test_who.py

states: venv ## a thousand reloads, and kills at any moment of reload and ensure
	PYMODUTILS_STATES=full $(BIN)/python -m pytest -q -o timeout=0 tests/vm/test_states.py

# What `make test` does with one kernel under Secure Boot.
keys: venv ## ask kernels under UEFI, with and without Secure Boot, which keys they take
	PYMODUTILS_KEYS=all $(BIN)/python -m pytest -q -o timeout=0 tests/vm/test_verify_firmware.py

ansible: venv ## let ansible-test judge the collection by all that it has, and compare Ansible's own modules at length
	PYMODUTILS_ANSIBLE=all $(BIN)/python -m pytest -q -o timeout=0 \
		tests/integrations/test_ansible_sanity.py tests/vm/test_second_boot.py

salt: venv ## have Salt itself run the state and the module for it
	$(PYTHON) -m venv $(VENV)/salt
	$(VENV)/salt/bin/pip install --quiet --disable-pip-version-check salt
	PYMODUTILS_SALT=$(abspath $(VENV))/salt/bin/salt-call $(BIN)/python -m pytest -q -o timeout=0 tests/integrations/test_salt.py

hotplug: venv ## time until the modules of devices are loaded: kmod autoload, udevd, mdev, modprobe
	$(BIN)/python -m tests.vm.hotplug

# The load tests of `make test` on two processors.
load: venv ## test many loads at once, on two processors
	PYMODUTILS_LOAD=full $(BIN)/python -m pytest -q -o timeout=0 tests/vm/test_load.py

FUZZ_SECONDS ?= 60
fuzz: venv ## feed each reader of foreign bytes, guided by coverage, FUZZ_SECONDS each
	$(BIN)/pip install --quiet --disable-pip-version-check '.[fuzz]'
	$(BIN)/python -m fuzz $(FUZZ_SECONDS)

# KMOD_SOURCE=DIRECTORY adds a kmod built from its source; see benchmarks/README.md.
BENCH_ARGS ?=
bench: venv ## measure the budgets next to kmod; BENCH_ARGS chooses
	-@tests/install-packages bench
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

picture: venv ## make docs/session.svg from a session on a real kernel
	$(BIN)/python -m tests.vm.picture docs/session.svg

wheel: venv ## build dist/pymodutils-VERSION-py3-none-any.whl and .tar.gz
	$(BIN)/python -m hatchling build -d dist

clean: ## delete what was built, and the virtual environment
	rm -rf $(VENV) build dist *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

-include packaging.mk
