# Everything a user or a developer does with this project.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
export DAGSTER_HOME ?= $(CURDIR)/.dagster
export DEEPEXP3D_ROOT ?= $(CURDIR)

.PHONY: help paper-params run test ui storage backup restore bench lint install clean

help:  ## what there is to do
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed  ## the environment (.venv), from the pinned versions

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --progress-bar on -c constraints.txt -e '.[dev]'
	touch $@

run: install  ## environment and whole pipeline; VIDEOS=folder takes your clips along
	$(BIN)/python -m orchestration.run $(if $(VIDEOS),--videos '$(VIDEOS)')

test: install  ## lint, architecture and all tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pytest

paper-params: install  ## write the paper's scale into params.yaml (needs a GPU and the videos)
	$(BIN)/python -m assets.params params.paper.yaml

ui: install  ## Dagster on port 3000 and MLflow on port 5000, on loopback
	$(BIN)/python -m orchestration.ui

storage: install  ## point Dagster, MLflow and DVC at what DEEPEXP3D_PROFILE names, and see whether it answers
	$(BIN)/python -m orchestration.storage

backup: install  ## everything that git does not hold, into a new folder TO=folder and DVC's remote
	$(BIN)/python -m orchestration.backup backup '$(or $(TO),$(error name a new folder: make backup TO=folder))'

restore: install  ## the other way round, into a fresh clone: FROM=folder
	$(BIN)/python -m orchestration.backup restore '$(or $(FROM),$(error name a backup: make restore FROM=folder))'

bench: install  ## measured figures, into benchmarks/results
	$(BIN)/pip install --quiet -c constraints.txt -e '.[bench]'
	mkdir -p benchmarks/results
	for name in rendering landmarks reconstruction training_input inference serving scale pipeline_overhead \
	  ingest_fuzzing; do \
	  $(BIN)/python -m benchmarks.$$name --json benchmarks/results/$$name.json || exit 1; done

clean:  ## remove results, not sources (data/incoming and data/datasets stay)
	rm -rf reports mlflow.db mlartifacts .dagster dvc.lock .dvc/cache .dvc/tmp
	find data -mindepth 1 -maxdepth 1 ! -name incoming ! -name datasets -exec rm -rf {} +
