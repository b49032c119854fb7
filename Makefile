# Make targets; `make help` lists them.
# Each creates or updates the virtual environment first, so all of them work on a fresh clone.
# Needed: Python 3.11 or newer, make and git.

PYTHON ?= python3
VENV ?= .venv
TOOLS ?= .tools
# Extra arguments for the program that a target runs: make test ARGS='-k lease'
ARGS ?=
ENVELOPES ?= 200000
REQUESTS ?= 20000
NAMES ?= 50000
EXAMPLES ?= 200
# Quiet and attacked slices of three seconds each.
SLICES ?= 3
FOLDER ?= build/screenshots
# How many tests run at once: unit tests need the CPU, the others mostly wait. WORKERS=0: one after the other.
test: WORKERS ?= 5
test-fast: WORKERS ?= 2
fuzz: WORKERS ?= 2

BIN = $(VENV)/bin
# Each PYTHON has its own stamp, so another PYTHON gets another environment.
STAMP = $(VENV)/.installed-with-$(subst /,-,$(PYTHON))

PROTOS = protos/wecom_broker/v1/*.proto
STUBS = clients/python
SCRIPTS = $(shell git ls-files .ci '*.sh')
UV_VERSION = 0.13.9
COMPILE = $(BIN)/uv --quiet pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-emit-index-url --no-emit-find-links --no-emit-package wecom-broker-client \
	--custom-compile-command 'make lock' $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help install demo dev check-deploy wheels sbom pasted test test-fast attacks chaos incidents fuzz lint format generate bench lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## Create .venv with the locked packages, and this repository in it

demo: $(STAMP) ## Walk the whole chain against a simulated WeCom, and print what happens
	$(BIN)/python -m broker demo $(ARGS)

dev: $(STAMP) ## Serve a simulated WeCom and a broker, until Ctrl-C
	$(BIN)/python -m broker dev $(ARGS)

PARALLEL = $(BIN)/python -m pytest --numprocesses $(WORKERS) --no-loadscope-reorder

# Tests start processes while gRPC's threads run. gRPC reads this on import, so a fixture would set it too late.
test test-fast: export GRPC_ENABLE_FORK_SUPPORT = 0
# Where bytecode is not kept, each worker compiles all modules anew.
test test-fast: export PYTHONDONTWRITEBYTECODE =

test: $(STAMP) ## Run all tests
	$(PARALLEL) $(ARGS)

test-fast: $(STAMP) ## Run the unit tests, in less than half a minute
	$(PARALLEL) -m 'not slow' tests/unit tests/architecture tests/simulator $(ARGS)

attacks: export GRPC_ENABLE_FORK_SUPPORT = 0
attacks: $(STAMP) ## Attack a broker in many ways, one after the other: its other callers must hardly notice
	STRICT=1 SLICES=$(SLICES) $(BIN)/python -m pytest tests/integration/attacks $(ARGS)

chaos: export GRPC_ENABLE_FORK_SUPPORT = 0
chaos: $(STAMP) ## Break brokers, stores, networks and WeCom under a steady load, and print what callers noticed
	$(BIN)/python -m tests.chaos $(ARGS)

incidents: export GRPC_ENABLE_FORK_SUPPORT = 0
incidents: $(STAMP) ## Stage 23 incidents, and print what doctor and alerts say and whether the remedy works
	INCIDENTS=all $(BIN)/python -m pytest tests/incidents $(ARGS)

fuzz: export GRPC_ENABLE_FORK_SUPPORT = 0
fuzz: $(STAMP) ## Try what is random with many more examples: callbacks, requests, records, made-up names, interleavings
	ENVELOPES=$(ENVELOPES) REQUESTS=$(REQUESTS) NAMES=$(NAMES) EXAMPLES=$(EXAMPLES) HOSTILE_STORE=all $(PARALLEL) \
		tests/properties tests/integration/fuzz tests/integration/hostile_store \
		tests/integration/entry/test_made_up_names.py $(ARGS)

wheels: $(STAMP) ## Build both wheels into dist/, and walk the whole chain with them in an empty environment
	.ci/wheels $(BIN)/python

sbom: $(STAMP) ## Write dist/wecom-broker.cdx.json: what the lock pins, as CycloneDX
	.ci/deploy-tools $(TOOLS) sbom
	@mkdir -p dist
	$(TOOLS)/bin/cyclonedx-py requirements --pyproject pyproject.toml --mc-type application --output-reproducible \
		--output-format JSON --output-file dist/wecom-broker.cdx.json requirements-runtime.lock

pasted: export SHELLS = bash zsh
pasted: $(STAMP) ## Paste the lines of `make dev` and of the pages into bash and zsh
	$(BIN)/python -m pytest tests/architecture/pages/test_pasted_lines.py tests/cli/test_in_the_foreground.py $(ARGS)

check-deploy: $(STAMP) ## Have helm, kubectl, hadolint and kubernetes-validate read what is in deploy/; fetches them first
	.ci/deploy-tools $(TOOLS)
	PATH="$(abspath $(TOOLS))/bin:$$PATH" $(BIN)/python -m pytest tests/deploy -m 'not slow' $(ARGS)

.PHONY: screenshots
screenshots: export GRPC_ENABLE_FORK_SUPPORT = 0
screenshots: $(STAMP) ## Have Chromium draw the console of a fleet into FOLDER=build/screenshots
	mkdir -p $(FOLDER)
	SCREENSHOTS=$(FOLDER) $(BIN)/python -m pytest tests/integration/console/test_screenshots.py $(ARGS)

lint: $(STAMP) ## Check style, format, types, layers, protos and shell scripts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint
	@# shellcheck has no wheel for ARM Linux.
	if [ -x $(BIN)/shellcheck ]; then $(BIN)/shellcheck $(SCRIPTS); fi

format: $(STAMP) ## Format the code, and fix what ruff can fix
	$(BIN)/ruff check --fix-only --show-fixes
	$(BIN)/ruff format

generate: $(STAMP) ## Generate the Python stubs from protos/
	rm -f $(STUBS)/wecom_broker/v1/*_pb2*
	$(BIN)/python -m grpc_tools.protoc --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
		-Iprotos --python_out=$(STUBS) --pyi_out=$(STUBS) --grpc_python_out=$(STUBS) \
		--mypy_grpc_out=$(STUBS) $(PROTOS)

bench: $(STAMP) ## Measure throughput and latency on this machine
	$(BIN)/python -m bench $(ARGS)

lock: $(STAMP) ## Update the lock files from pyproject.toml; ARGS=--upgrade for the newest
	$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
	$(COMPILE) --group dev --output-file requirements.lock
	$(COMPILE) --group build --constraint requirements.lock --output-file requirements-runtime.lock
	$(COMPILE) --group build --extra otel --constraint requirements.lock --output-file requirements-otel.lock

clean: ## Remove what the targets have created; a database and its key stay
	rm -rf $(VENV) $(TOOLS) build dist .mypy_cache .ruff_cache .import_linter_cache .pytest_cache .hypothesis
	rm -rf *.egg-info clients/python/build clients/python/*.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

$(STAMP): requirements.lock pyproject.toml clients/python/pyproject.toml .ci/venv
	@.ci/venv '$(PYTHON)' '$(VENV)'
	@touch $@
