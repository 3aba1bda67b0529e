# `make` lists the targets. ARGS passes overrides: make run ARGS="seeds=1 data.sizes=[100,300]"
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/installed
CHECKED := name=check outputs=build
PEERS := benchmarks/.venv-peers
FEW := seeds=1 data.sizes=[30] data.n_test=30 grid.sizes=[2,3]

.PHONY: $(shell awk -F: '/^[a-z-]+:/ {print $$1}' $(MAKEFILE_LIST))
.DEFAULT_GOAL := help

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## install kansweep with its pinned dependencies into .venv

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@echo "Installing into .venv (torch is large)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@$(BIN)/kansweep run $(FEW) outputs=$$(mktemp -d) > /dev/null # compiles the solver's loops
	@touch $@

run: $(INSTALLED) ## train what is not trained yet, then draw the law
	$(BIN)/kansweep run $(ARGS)
	$(BIN)/kansweep plot

plot: $(INSTALLED) ## draw the law again
	$(BIN)/kansweep plot $(ARGS)

test: $(INSTALLED) ## run the tests
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

lint: $(INSTALLED) ## check style and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

typecheck: $(INSTALLED) ## check types
	$(BIN)/mypy

check: $(INSTALLED) ## train a small sweep and hold its law against the theory
	$(BIN)/kansweep run $(CHECKED) data.sizes=[1000] grid.sizes=[5,10,20,50] seeds=3 run.mode=force
	$(BIN)/kansweep check $(CHECKED) check.verdict=consistent check.exponent=[-4.3,-3.9] \
	  'check.worst={50: 1e-6}' format=$(if $(GITHUB_ACTIONS),github,text)

bench: $(INSTALLED) $(PEERS)/installed ## measure kansweep and its peers; writes benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks.peers $(ARGS)

bench-quick: $(INSTALLED) $(PEERS)/installed ## a minute's worth of bench; only prints
	$(BIN)/python -m benchmarks.peers --quick $(ARGS)

bench-revision: $(INSTALLED) ## measure kansweep against an earlier revision of its own; only prints
	$(BIN)/python -m benchmarks.revision $(ARGS)

bench-gpu: $(INSTALLED) ## measure a GPU beside the CPU; writes into benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks.gpu $(ARGS)

bench-engines: $(INSTALLED) ## measure the engines and a folder of 100,000 cells; writes benchmarks/ENGINES.md
	$(BIN)/python -m benchmarks.engines $(ARGS)

bench-accuracy: $(INSTALLED) ## errors over floors on many targets; writes benchmarks/ACCURACY.md
	$(BIN)/python -m benchmarks.accuracy --report benchmarks/ACCURACY.md $(ARGS)

bench-baseline: $(INSTALLED) ## measure the MLP beside what it was; writes benchmarks/BASELINE.md
	$(BIN)/python -m benchmarks.baseline $(ARGS)

bench-tables: $(INSTALLED) ## measure small and noisy tables; writes benchmarks/TABLES.md
	$(BIN)/python -m benchmarks.tables $(ARGS)

bench-shapes: $(INSTALLED) ## found shapes beside shapes by hand; only prints
	nice -n 10 $(BIN)/python -m benchmarks.shapes $(ARGS)

bench-pykan: $(INSTALLED) ## hold pykan through kansweep against pykan by a script; only prints
	$(BIN)/python -m benchmarks.pykan_itself $(ARGS)

bench-blowups: $(INSTALLED) ## train a thousand random deep networks and look for blow-ups
	$(BIN)/python -m benchmarks.blowups $(ARGS)

bench-regressor: $(INSTALLED) ## measure KANRegressor beside others; writes benchmarks/REGRESSOR.md
	$(BIN)/python -m benchmarks.regressor $(ARGS)

kills: $(INSTALLED) ## kill a sweep with -9 at twelve moments by each of three engines, and compare
	$(BIN)/python -m benchmarks.kills

$(PEERS)/installed: benchmarks/peers.txt
	@echo "Installing the peers into $(PEERS) (torch and JAX are large)"
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --requirement benchmarks/peers.txt
	@touch $@

gallery: $(INSTALLED) ## train and draw what docs/gallery.md shows, and write it
	$(BIN)/python docs/gallery.py $(ARGS)

tables: $(INSTALLED) ## repeat the KAN paper's tables; writes docs/tables.md
	$(BIN)/python docs/tables.py $(ARGS)

docs: .venv/docs ## write the documentation as a site, build/site; a broken link fails
	$(BIN)/mkdocs build

.venv/docs: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	@touch $@

wheel: $(INSTALLED) ## build the wheel, and run a sweep with it in an environment of its own
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	$(PYTHON) -m venv --clear build/wheel
	build/wheel/bin/python -m pip install --quiet --constraint constraints.txt dist/kansweep-*.whl
	cd build && wheel/bin/kansweep run $(FEW) outputs=$$(mktemp -d)

ci: lint typecheck test check ## what continuous integration runs

clean: ## remove the environment and the caches; outputs/ stays
	rm -rf .venv $(PEERS) .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
