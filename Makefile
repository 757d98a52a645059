# `make demo` and `make test` need nothing but Python 3.11 or later; `make help` lists the rest.
# PYTHON=/path/to/python3 chooses the interpreter of .venv; PYTEST_ARGS="-k wait -x" goes to pytest.

.DEFAULT_GOAL := help
.PHONY: help demo test-fast test test-all mutants lint format typecheck pytest test-terraform coverage oldest engine bench audit schema states lock
.PHONY: clean setup

BIN := .venv/bin
# Tests with the real engine wait for other processes much of the time: one worker more than there are cores.
# Stealing keeps them all busy to the end, and all but one out of the matrix, which is one long batch.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
PYTEST_ARGS ?=
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "  make %-14s %s\n", $$1, $$2 }'

demo: setup ## a stack of models comes up, is changed and taken down, on the built-in emulator
	@$(BIN)/python tools/demo.py

test-fast: lint typecheck ## what needs no engine: lint, types, the rules, the emulator, the hosts
	@$(PYTEST) -m "not engine and not nightly" $(PYTEST_ARGS)

test: lint typecheck pytest ## that, and each behaviour once with the real engine: what has to pass

# Every round, cell and example, and the oldest of everything.
test-all: lint typecheck engine ## everything in its full size: what a night runs
	@KOREAI_TESTS=all $(PYTEST) $(PYTEST_ARGS)
	@KOREAI_TESTS=all $(MAKE) --silent oldest

mutants: engine ## break the code one line at a time: do the tests of `make test` see it?
	@PYTHONPATH=tools $(BIN)/python -m mutants

lint: setup ## the linter, the formatter's check, the stacks' files
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/koreai check

format: setup ## format, and fix what the linter can fix
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

typecheck: setup ## mypy, strict
	@$(BIN)/mypy

# The engine is fetched first, where its progress can be seen: pytest would hide it.
pytest: engine ## the tests of `make test` alone
	@$(PYTEST) -m "not nightly" $(PYTEST_ARGS)

test-terraform: ## the tests with the real terraform, or tofu, of the PATH
	@command -v terraform >/dev/null || command -v tofu >/dev/null || { \
	  echo "Neither terraform nor tofu is on the PATH: tests/terraform can't run. Install one of them:" >&2; \
	  echo "https://developer.hashicorp.com/terraform/install or https://opentofu.org/docs/intro/install" >&2; exit 1; }
	@$(MAKE) --silent engine
	@$(PYTEST) tests/terraform $(PYTEST_ARGS)

# Apart from the tests, as it slows down each of the many processes that they start.
coverage: engine ## the tests again, with the coverage of provider/
	@$(PYTEST) -m "not nightly" --cov --cov-report=term $(PYTEST_ARGS)

# On top of what is locked, so that the tests' own tools are those of everyone.
.venv-oldest/.ready: requirements.lock requirements-oldest.lock pyproject.toml | setup
	@echo "setting up .venv-oldest (a minute or so) ..." >&2
	@rm -rf .venv-oldest && $(BIN)/python -m venv .venv-oldest
	@.venv-oldest/bin/pip install --quiet --require-hashes -r requirements.lock
	@.venv-oldest/bin/python -m pip install --quiet --require-hashes --no-deps -r requirements-oldest.lock
	@.venv-oldest/bin/python -m pip install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

# The engine of the PATH is the one that is taken.
oldest: .venv-oldest/.ready ## all the tests with the oldest engine, SDK and packages that are allowed
	@folder=$$($(BIN)/python tools/engine.py --oldest) && PATH="$$folder:$$PATH" && \
	  .venv-oldest/bin/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

engine: setup ## the pulumi engine: from the PATH, the installer or built from Go modules
	@$(BIN)/python tools/engine.py >/dev/null

bench: engine ## the measurements
	@PYTHONPATH=tools $(BIN)/python -m bench

audit: ## look the locked packages up among the known vulnerabilities; needs the network
	@sh tools/audit.sh

# Each with the newest and the oldest SDK.
states: engine .venv-oldest/.ready ## keep the states that this version writes, before it is released
	@for bin in $(BIN) .venv-oldest/bin; do \
	  KEEP_STATES=1 $$bin/python -m pytest -q -n0 tests/system/engine/test_old_states.py -k format || exit 1; done

schema: setup ## the JSON Schema of stack files, and the reference page
	@$(BIN)/koreai schema >stacks/schema.json
	@$(BIN)/koreai schema --markdown >docs/reference.md

lock: ## resolve the dependencies anew and pin them: requirements.lock, requirements-oldest.lock
	@sh tools/lock.sh

clean: ## remove what was made here; the engine's cache outside the clone stays
	@rm -rf .venv .venv-oldest .venv.lock .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: ## .venv with everything that requirements.lock names
	@sh tools/setup.sh
