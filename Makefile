# make demo    install, make a scene, segment it, show where the mask is
# make test    the whole suite that needs no GPU
# make lint    ruff, mypy, import-linter, deptry, codespell
# make docs    the documentation site, in build/site
# make bench   the figures of docs/benchmarks.md

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-all lint docs bench clean

.venv/ready: pyproject.toml constraints.txt setup.py $(wildcard segtasks/crf/native/*.cpp segtasks/crf/native/*.h)
	$(PYTHON) -m venv .venv
	$(PIP) torch
	$(PIP) -e ".[dev,all]"
	$(PIP) --no-deps dask-kubernetes  # its schemas judge our manifests; its code is not run
	touch $@

demo: .venv/ready
	$(BIN)/python -m segtasks.cli.demo demo

test: .venv/ready lint docs
	$(BIN)/pytest -m "not slow and not gpu"

test-all: .venv/ready lint docs
	$(BIN)/pytest -m "not gpu"

lint: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry segtasks flows
	$(BIN)/codespell

docs: .venv/ready  # the variable hides that mkdocs-material is maintained until May 2027 only
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

bench: .venv/ready
	$(BIN)/python benchmarks/route.py

clean:
	rm -rf .venv build demo
