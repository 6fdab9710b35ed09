# make assess | test | bench | certify | gates | audit | lab | lock | clean. Needs Python 3.11 or newer, make and git; everything else it installs
# into .venv from the lock files, checked by their hashes.

VENV := .venv
BIN := $(VENV)/bin
JIANFU_FLAGS ?=
PYTEST_FLAGS ?= -n 2
UV := 0.13.9
PIP_AUDIT := 2.10.1

.PHONY: assess test bench certify gates audit lab setup lock clean

assess: $(VENV)/run.stamp
	@$(BIN)/jianfu assess $(JIANFU_FLAGS)

test: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/nbstripout --keep-id --verify notebooks/*.ipynb
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

bench: $(VENV)/test.stamp
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

certify: $(VENV)/test.stamp
	$(BIN)/python tests/certify

# A study that was built, such as data after make assess.
STUDY ?= data

gates: $(VENV)/test.stamp
	$(BIN)/python tests/certify/quality_gates.py $(STUDY)

# Known vulnerabilities of locked packages: exit 1 when there are any, 7 when no source of advisories answered.
audit: | $(VENV)/bin/python
	@$(BIN)/python -m venv .venv-audit
	@.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check "pip-audit==$(PIP_AUDIT)"
	@$(BIN)/python tests/certify/audit.py .venv-audit/bin/pip-audit

lab: $(VENV)/run.stamp
	$(BIN)/jupyter lab notebooks

setup: $(VENV)/run.stamp

$(VENV)/bin/python:
	@for python in python3.13 python3.12 python3.11 python3; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    exec $$python -m venv $(VENV); \
	  fi; \
	done; \
	echo "No Python 3.11 or newer was found: install one (https://www.python.org) and run make again." >&2; exit 7

$(VENV)/run.stamp: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# What tests need is what a run needs and more, in the same versions.
$(VENV)/test.stamp: requirements-test.lock $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.lock
	@touch $@

lock: | $(VENV)/bin/python
	$(BIN)/python -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check "uv==$(UV)"
	$(call compile,--extra build,requirements.lock)
	$(call compile,--extra build --extra test -c requirements.lock,requirements-test.lock)

compile = .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate pyproject.toml $(1) -o $(2)

clean:
	rm -rf $(VENV) .venv-lock .venv-audit build *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
