# On a fresh machine two commands do everything: `make run` and `make test`. Both install what they need into .venv.

PYTHON ?= python3
KILLS ?= 1000
SECONDS ?= 60
VERSION := $(shell sed -n 's/^VERSION = "\(.*\)"$$/\1/p' src/teleport/version.py)
IMAGE ?= teleport:$(VERSION)
OPERATOR_IMAGE ?= teleport-operator:$(VERSION)

BIN := .venv/bin
RUNTIME := .venv/runtime.stamp
DEV := .venv/dev.stamp
FUZZ := .venv/fuzz.stamp
DIST := .venv/dist.stamp
SOURCES := src operator tests benchmarks examples scripts
PYTEST := $(BIN)/python -m pytest
# Two workers, and the tests of one file stay together: they share what they start.
PARALLEL := -n 2 --dist loadfile
BENCHMARKS := joins kubernetes_joins forged_joins join_storm operator_objects step_ca api_requests refusals idle_agents processes sqlite_writes forwarding applications tunnel reverse_tunnels
PARSERS := jwt jwks review heads tunnel
BUILD_IMAGE = docker build --network host --build-arg PIP_INDEX_URL --build-arg VERSION=$(VERSION) --build-arg REVISION=$(shell git rev-parse HEAD 2>/dev/null)

export PYTHON

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test check unit browser integration e2e dist image fmt generate lock bench soak fuzz

help: ## Show this list
	@echo 'usage: make TARGET'
	@echo
	@sed -n 's/^\([a-z0-9]*\):[^#]*## \(.*\)/  \1\t\2/p' Makefile | expand -t 16
	@echo
	@echo 'PYTHON=python3.12 chooses the interpreter that .venv is made with.'

run: $(RUNTIME) ## Start a cluster, let a service join, and show both (ONCE=1: stop after showing)
	@$(BIN)/python examples/01-secret-token/run.py $(if $(filter-out 0,$(ONCE)),--once)

test: check unit browser integration e2e ## Run all checks and all tests

check: $(DEV) ## Lint, types, layers, locks and generated pages; changes nothing
	@! ls operator/*.py 2>/dev/null || { echo 'error: operator/ may hold no Python file, it would shadow the standard library'; exit 1; }
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/python scripts/check_locks.py
	$(BIN)/python scripts/generate_reference.py --check

unit: $(DEV) ## Run the unit tests
	$(PYTEST) $(PARALLEL) tests/unit

integration: $(DEV) ## Run the tests with real processes on this machine
	$(PYTEST) $(PARALLEL) tests/integration

browser: ## Install Chromium for the tests of the web pages, if root runs this on Debian
	@scripts/provide_browser

e2e: $(DEV) ## Run the tests in containers: fresh hosts, the image, a Kubernetes cluster; skipped without Docker and kind
	$(PYTEST) tests/e2e

dist: $(DIST) ## Build the self-contained archive for hosts without Python, dist/teleport-vVERSION-linux-ARCH-bin.tar.gz
	$(BIN)/python scripts/build_dist.py

image: ## Build the container images, IMAGE=teleport:VERSION and OPERATOR_IMAGE=teleport-operator:VERSION; needs Docker
	@docker info >/dev/null 2>&1 || { echo 'error: an image is built by Docker, and `docker info` fails; install Docker or start its engine' >&2; exit 1; }
	$(BUILD_IMAGE) --target teleport --tag $(IMAGE) .
	$(BUILD_IMAGE) --target teleport-operator --tag $(OPERATOR_IMAGE) .

fmt: $(DEV) ## Format the code and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: $(DEV) ## Write the generated pages of docs/reference anew
	$(BIN)/python scripts/generate_reference.py

lock: $(DEV) ## Resolve the locks anew after a change of dependencies (UPGRADE=1: newest versions)
	scripts/lock $(if $(filter-out 0,$(UPGRADE)),--upgrade)

bench: $(DEV) ## Measure; docs/performance.md explains the figures
	@for name in $(BENCHMARKS); do PYTHONPATH=tests $(BIN)/python benchmarks/$$name.py || exit 1; done

soak: $(DEV) ## Kill an auth server under load, KILLS=1000 times
	SOAK=$(KILLS) $(PYTEST) --timeout 0 tests/integration/test_hostile_crashes.py

fuzz: $(FUZZ) ## Feed parsers what nobody thought of, SECONDS=60 each; Linux on x86-64 only
	@for name in $(PARSERS); do mkdir -p var/fuzz/$$name || exit 1; \
		PYTHONPATH=tests $(BIN)/python tests/fuzz/fuzz_$$name.py -max_total_time=$(SECONDS) -max_len=20000 \
		-artifact_prefix=var/fuzz/ var/fuzz/$$name tests/fuzz/seeds/$$name || exit 1; done

$(RUNTIME): requirements/build.txt requirements/runtime.txt pyproject.toml scripts/install
	@scripts/install build runtime
	@touch $@

$(FUZZ): requirements/fuzz.txt $(DEV)
	@scripts/install fuzz
	@touch $@

$(DIST): requirements/dist.txt $(RUNTIME)
	@scripts/install dist
	@touch $@

$(DEV): requirements/dev.txt pyproject.toml scripts/install
	@scripts/install dev
	@touch $(RUNTIME) $@
