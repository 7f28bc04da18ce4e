# Every command sets up what it needs in a virtual environment of the project's own, pinned by
# constraints.txt, and does nothing when that is done. PYTHON=python3.12 chooses another
# interpreter, which then has an environment of its own (.venv-3.12).

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run storm test check bench peers format coverage differences lock clean
SHELL := /bin/sh

ifdef PYTHON
  minor := $(shell PYTHON='$(PYTHON)' sh scripts/find-python --minor)
  ifeq ($(minor),)
    $(error nothing done)
  endif
  VENV ?= .venv-$(minor)
else
  VENV ?= .venv
endif
python := $(VENV)/bin/python
ready := $(VENV)/.ready

AGAINST =
SECONDS = 20
ARGS =

export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_NO_INPUT = 1
export PYRIGHT_PYTHON_GLOBAL_NODE = off
export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' Makefile

run: $(ready)/example ## start the example shop; Ctrl-C stops it
	@$(python) -m examples.shop $(ARGS)

storm: $(ready)/storm ## put the example under load and faults; AGAINST=starlette compares, SECONDS=20
	@$(python) -m examples.storm --seconds $(SECONDS) $(if $(AGAINST),--against $(AGAINST)) $(ARGS)

test: $(ready)/test ## run the test suite; ARGS='-k name' chooses
	@$(python) -m pytest $(ARGS)

check: $(ready)/check ## check formatting, lint rules, types and import floors
	@$(python) -m ruff format --check .
	@$(python) -m ruff check .
	@$(python) -m mypy
	@$(python) -m pyright --pythonpath $(python)
	@$(python) -m pytest -q tests/meta/test_floors.py

bench: $(ready)/bench ## measure what a middleware layer costs, beside Starlette
	@$(python) -m benchmarks $(ARGS)

peers: $(ready)/peers ## measure typed endpoints, beside those of other frameworks
	@$(python) -m benchmarks typed documents $(ARGS)

format: $(ready)/check ## rewrite the code in the project's format
	@$(python) -m ruff check --fix-only --exit-zero --quiet .
	@$(python) -m ruff format .

coverage: $(ready)/test ## run the test suite and show the lines it misses
	@$(python) -m coverage run -m pytest $(ARGS)
	@$(python) -m coverage report

differences: $(ready)/base ## write docs/differences.md from its table in tests/parity/differences/
	@$(python) -m tests.parity.differences

lock: $(ready)/base ## write constraints.txt anew, from what the package index offers today
	@$(python) scripts/lock.py

clean: ## remove the environments, caches and build products
	@rm -rf .venv .venv-* .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call install,what for,what)
install = \
	@echo "setting up $(VENV) for $(1) ..." && \
	$(python) -m pip install -qq --constraint constraints.txt \
	  --no-build-isolation --editable $(2) && touch $@

$(ready)/base: constraints.txt scripts/find-python
	@found=$$(PYTHON='$(PYTHON)' sh scripts/find-python) && \
	if ! $(python) -m pip --version >/dev/null 2>&1; then \
	  echo "creating $(VENV) with $$found ..." && $$found -m venv --clear $(VENV); fi && \
	$(python) -m pip install -qq --constraint constraints.txt 'pip>=25.1' hatchling && \
	mkdir -p $(ready) && touch $@

$(ready)/example: $(ready)/base pyproject.toml
	$(call install,the example,. --group example)

$(ready)/storm: $(ready)/base pyproject.toml
	$(call install,the storm,. --group storm)

$(ready)/bench: $(ready)/base pyproject.toml
	$(call install,the benchmarks,. --group bench)

$(ready)/peers: $(ready)/base pyproject.toml
	$(call install,the benchmarks of typed endpoints,. --group peers)

$(ready)/test: $(ready)/base pyproject.toml
	$(call install,the tests,'.[all]' --group test)

$(ready)/check: $(ready)/test
	$(call install,the checks,'.[all]' --group test --group lint)
