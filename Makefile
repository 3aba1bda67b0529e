# `make` lists the targets. ARGS passes overrides: make run ARGS="seeds=1 data.sizes=[100,300]"
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: help install run plot test lint typecheck bench ci clean
.DEFAULT_GOAL := help

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## install kansweep with its pinned dependencies into .venv

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@echo "Installing into .venv (torch is large)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

run: $(INSTALLED) ## train what is not trained yet, then draw the law
	$(BIN)/kansweep run $(ARGS)
	$(BIN)/kansweep plot

plot: $(INSTALLED) ## draw the law again
	$(BIN)/kansweep plot $(ARGS)

test: $(INSTALLED) ## run the tests
	$(BIN)/python -m pytest $(ARGS)

lint: $(INSTALLED) ## check style and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

typecheck: $(INSTALLED) ## check types
	$(BIN)/mypy

bench: $(INSTALLED) ## measure a sweep's cost per cell
	$(BIN)/python benchmarks/cost.py $(ARGS)

ci: lint typecheck test ## what continuous integration runs

clean: ## remove the environment and the caches; outputs/ stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
