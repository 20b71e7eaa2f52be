# Everything a person or CI does with this repository. `make help` lists it.
# The first of these that is 3.10 or later; python3 where none is, for the message.
PYTHON ?= $(or $(shell for each in python3 python3.13 python3.12 python3.11 python3.10 python3.14; do \
  $$each -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$each && break; \
  done),python3)
BIN := .venv/bin
DEMO := runs/make-demo
# A plain path, which a folder named tssl beside a script cannot hide.
EDITABLE := --config-settings editable_mode=compat

.DEFAULT_GOAL := help
.PHONY: help setup demo test fuzz check lint bench gpu docs clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

setup: .venv/dev ## create .venv with everything, Lava and the developers' tools included

demo: .venv/base ## train, export, run on Lava, verify, report: the whole way on real data
	rm -rf $(DEMO)
	$(BIN)/tssl demo --out $(DEMO)
	@echo "  best.safetensors, metrics.csv   the trained network and its history"
	@echo "  digits.net, digits.proof.json   the chip network and the proof"
	@echo "  result/                         the result of Lava's CPU simulator"
	@echo "  report.html                     the report; open it in a browser"

test: .venv/dev ## run all tests, those with Lava included
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --durations=20

fuzz: .venv/dev ## read files spoilt at random, from a fresh seed, until Ctrl-C
	$(BIN)/python -m tests.contract.fuzz

check: lint ## format, lint, types, import contracts and the fast tests
	$(BIN)/python -m pytest -q -n auto -m "not slow and not lava and not gpu"

lint: .venv/dev ## format, lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/dev ## print the speed of training steps and of the engine, side by side with others
	$(BIN)/python benchmarks/train.py
	$(BIN)/python benchmarks/engine.py

gpu: ## run what needs a CUDA device, part by part (PART=1 DATA=DIR OFFICIAL=DIR); no network
	PYTHONPATH=.$${PYTHONPATH:+:$$PYTHONPATH} $(firstword $(wildcard $(BIN)/python) $(PYTHON)) \
	  benchmarks/gpu.py $(PART) $(if $(DATA),--data-dir $(DATA)) $(if $(OFFICIAL),--official $(OFFICIAL))

docs: .venv/dev ## build the documentation into site/
	NO_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict --quiet

clean: ## remove the environment, caches and build results; keeps runs/
	rm -rf .venv build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

# The stamps make a second call need no network.
.venv/base: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v >= (3, 10) \
	  else "Python %d.%d: tssl needs 3.10 or later; try make PYTHON=python3.11" % v)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(EDITABLE) -e .
	$(BIN)/tssl lava install
	@touch $@

.venv/dev: .venv/base
	@echo "pip may now list the pins of lava-dl that are ignored on purpose; that is no error."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(EDITABLE) -e ".[dev]"
	@touch $@
