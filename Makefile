# Needs make and Python 3.11 or newer; everything else comes from the hashed locks.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The two sets of packages that .venv may hold: what the service and its demo need, or everything.
DEMO := $(VENV)/.installed-demo
STAMP := $(VENV)/.installed

# Where it is set, each of the many processes of a stack or a test compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup tools demo up wheel docs test thorough stores browser screenshots faults soak endurance fuzz coverage lint types audit fmt bench lock vendor clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Build .venv from the hashed locks, with everything that the tests need

# A lock is complete and is installed as it stands: without --no-deps an old pip resolves anew what
# a newer release offers; without --only-binary it builds with tools that nobody pinned. A run that
# was interrupted leaves no stamp, so it is completed next time. A venv without pip is what Debian
# leaves where python3-venv is missing.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
define install
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Stocktake needs Python 3.11 or newer: make PYTHON=python3.11")'
@$(BIN)/python -m pip --version > /dev/null 2>&1 || { echo "Making a virtual environment in $(VENV)"; $(PYTHON) -m venv --clear $(VENV); }
@echo "Installing what $< pins into $(VENV) ($(1))"
@$(INSTALL) --only-binary :all: --require-hashes -r $<
@$(INSTALL) --no-build-isolation -e .
@touch $@
endef

$(DEMO): requirements-demo.lock pyproject.toml
	$(call install,700 MB; half a minute beside the downloads)

# What venv brings is upgraded by then; the oldest pip that we promise tries the locks in a test.
# The generator of Python clients needs a Typer older than ours, so it has a folder of its own.
$(STAMP): requirements.lock tests/oldest-pip.lock tests/openapi-python-client.lock pyproject.toml
	$(call install,2.1 GB; a minute beside the downloads)
	@$(BIN)/python -m pip download --quiet --no-deps --require-hashes -r tests/oldest-pip.lock -d $(VENV)/oldest-pip
	@rm -rf $(VENV)/openapi-python-client
	@$(INSTALL) --only-binary :all: --require-hashes -r tests/openapi-python-client.lock --target $(VENV)/openapi-python-client
	@touch $(DEMO)

# Servers that come out of no wheel, what makes TypeScript of the API's description, and what looks
# for faults of accessibility. Node 20 and npm are needed for them, and for nothing else.
TOOLS := azurite@3.37.0 s3rver@3.7.1 axe-core@4.14.1 \
	openapi-typescript@7.13.0 openapi-fetch@0.17.0 typescript@5.9.3 @types/node@20.19.43
.tools/.installed: Makefile
	npm install --prefix .tools --no-save --no-audit --no-fund --ignore-scripts --silent $(TOOLS)
	@touch $@

tools: .tools/.installed ## Install Azurite, s3rver, openapi-typescript and axe with npm; without them their tests skip

demo: $(DEMO) ## Start the embedded stack, show the main job end to end, stop
	$(BIN)/stocktake demo

up: $(DEMO) ## Start the embedded stack and leave it running (ARGS="--local-root ~/data")
	$(BIN)/stocktake up $(ARGS)

wheel: $(DEMO) ## Build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

# Tests wait half of their time, for a lease, a retry or a process, so there are two for each core of
# a small machine. Slow folders come first by their names, and quick ones fill up the end.
SPREAD = -n 4

docs: $(STAMP) ## Write docs/cli.md anew, from the commands
	$(BIN)/typer cli utils docs --name stocktake --title "The command line" --output docs/cli.md

test: $(STAMP) ## Run the tests, against real servers that come with them (ARGS="-k name")
	$(BIN)/python -m pytest $(SPREAD) --dist loadfile --no-loadscope-reorder \
		-m "not long and not thorough" $(ARGS)

thorough: $(STAMP) ## Run what `make test` leaves to CI: most rows of faults, and lives at random
	$(BIN)/python -m pytest $(SPREAD) --dist worksteal -m "thorough and not long" $(ARGS)

stores: $(STAMP) ## Ask the same of every object store that a package ships; writes docs/stores.md
	@mkdir -p .tools
	$(BIN)/python -m pytest tests/stores --timeout 600 \
		--junitxml .tools/stores.xml -o junit_family=xunit1 -rs $(ARGS)
	$(BIN)/python -m tests.stores.matrix .tools/stores.xml

browser: $(STAMP) ## Play the console in Chromium, and look at each of its pages (needs `make tools`)
	$(BIN)/python -m pytest tests/browser -rs $(ARGS)

screenshots: $(STAMP) ## Take the pictures of the console in docs/images/ anew (needs Chromium)
	$(BIN)/python -m tests.browser.screenshots

faults: $(STAMP) ## Break everything that can break, on both databases; takes long
	$(BIN)/python -m pytest tests/faults tests/acceptance/test_metrics.py --timeout 1800 $(ARGS)

soak: $(STAMP) ## Load and random faults together (SECONDS=300 SEED=7 DATABASE=sqlite|postgresql)
	$(BIN)/python -m tests.faults.soak --seconds $(or $(SECONDS),120) $(if $(SEED),--seed $(SEED)) $(if $(DATABASE),--database $(DATABASE)) $(ARGS)

endurance: $(STAMP) ## Load without faults, and what each process holds (SECONDS=3600 DATABASE=sqlite|postgresql)
	$(BIN)/python -m tests.faults.endurance --seconds $(or $(SECONDS),3600) $(if $(DATABASE),--database $(DATABASE)) $(ARGS)

# The tests of random things that are `make test`'s in their short form.
EXAMPLES ?= 10000
fuzz: $(STAMP) ## Run the random tests for long, new each time, on both databases (EXAMPLES=10000)
	STOCKTAKE_FUZZ_EXAMPLES=$(EXAMPLES) STOCKTAKE_MODEL_EXAMPLES=$(EXAMPLES) \
		$(BIN)/python -m pytest tests/fuzz tests/integration/jobs/test_model.py --timeout 0 $(ARGS)

coverage: $(STAMP) ## Run all tests and measure branch coverage
	$(BIN)/python -m pytest --cov --cov-report=term -m "not long" $(ARGS)

lint: $(STAMP) ## Check style, format and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: $(STAMP) ## Check types
	$(BIN)/mypy

audit: $(STAMP) ## Look the locked packages up among the known vulnerabilities
	$(BIN)/python .ci/audit.py

fmt: $(STAMP) ## Format, and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## Measure on both databases; every figure is kept as it comes
	$(BIN)/python -m benchmarks $(ARGS)

# Without --no-strip-extras the lock names no extra, and pip before 24 then looks for a package with
# an extra among the newest releases. The smaller locks are parts of the largest.
COMPILE = $(BIN)/uv pip compile --universal --no-header --no-annotate --no-strip-extras --generate-hashes --quiet
PART = $(COMPILE) -c requirements.lock

lock: $(STAMP) ## Pin the newest versions that pyproject.toml allows
	$(COMPILE) pyproject.toml --all-extras --group build --upgrade -o requirements.lock
	$(PART) pyproject.toml -o requirements-service.lock
	$(PART) pyproject.toml --extra demo --group build -o requirements-demo.lock
	$(PART) --group build -o requirements-build.lock

vendor: ## Bring the console's files from their npm packages (needs npm; they are committed)
	$(PYTHON) .ci/vendor.py

clean: ## Remove the venv, caches and build output, but no data
	rm -rf $(VENV) .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist htmlcov .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
