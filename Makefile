# make demo | test | lint | bench | clean. Each sets up .venv first; once it stands, nothing is fetched again.
# make examples runs docs/examples, in environments of their own; make alibi sets up alibi-detect, apart (docs/alibi.md),
# alibi-torch the same with PyTorch; alibi-test tries driftd with them. make lock renews the pinned requirements.
# make e2e-airflow asks a real Apache Airflow for a retraining.

.SHELLFLAGS := -euc
.DELETE_ON_ERROR:
.DEFAULT_GOAL := test
.PHONY: demo test lint bench clean setup lock e2e-airflow examples alibi alibi-torch alibi-test

BIN := .venv/bin
CODE := monitor detectors exporters dashboards alert_rules
PYTHON ?= $(shell command -v python3.11 || command -v python3)
NATIVE := hatch_build.py $(wildcard monitor/native/*.c monitor/native/*.h)
PINS := requirements/dev.txt requirements/build.txt requirements/uv.txt
ANALYSE := gcc -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -fanalyzer -DNARROW -DDRIFTD_SOURCES='""' -S -o /dev/null

# Byte code is kept: else each worker of the tests, and each program that they start, would compile all again.
unexport PYTHONDONTWRITEBYTECODE

# uv does not read pip's settings; whoever configured pip by the environment means uv as well.
NETWORK := .venv/.ready .envs/%/.ready lock
$(NETWORK): export UV_HTTP_TIMEOUT ?= 180
$(NETWORK): export UV_SYSTEM_CERTS ?= true
ifdef PIP_INDEX_URL
$(NETWORK): export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
ifdef PIP_CERT
$(NETWORK): export SSL_CERT_FILE ?= $(PIP_CERT)
endif

demo: setup
	exec $(BIN)/driftd demo

# Daemons under test write and sync without end: in memory, where there is room, no test waits for a disk.
MEMORY = $$(test "$$(df -Pk /dev/shm 2>/dev/null | awk 'END {print $$4 + 0}')" -gt 8000000 && echo /dev/shm)
# mypy keeps one core busy; what else is to be done before the tests is done beside it.
test: setup
	$(MAKE) --no-print-directory --jobs 2 --output-sync lint .pytest_cache/.rewritten .envs/mlflow/.ready
	export TMPDIR="$${TMPDIR:-$(MEMORY)}"; export DRIFTD_REQUIRE_MLFLOW=1; \
	$(BIN)/pytest -q -n 6 --ignore tests/alibi -o tmp_path_retention_policy=failed # more than cores: many tests wait for programs

# pytest rewrites the assertions of each test, once: its workers find the byte code of this first look.
.pytest_cache/.rewritten: $(shell find tests -name '*.py') | setup
	found=$$($(BIN)/pytest -qq --collect-only --ignore tests/alibi) || { echo "$$found"; exit 1; }
	mkdir -p $(@D); touch $@

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	if command -v gcc >/dev/null; then for c in monitor/native/*.c; do $(ANALYSE) $$c; done; fi

bench: setup
	$(BIN)/python benchmarks/run.py
	$(BIN)/python -m benchmarks.join
	$(BIN)/python -m benchmarks.defaults
	$(BIN)/python -m benchmarks.multivariate
	$(BIN)/python -m benchmarks.closing
	$(BIN)/python -m benchmarks.scrape

examples: setup .envs/examples/.ready .envs/examples-torch/.ready
	for example in scikit_fastapi xgboost_flask retrieval; do \
	  .envs/examples/bin/python docs/examples/run.py $$example --driftd $(BIN)/driftd; \
	done
	.envs/examples-torch/bin/python docs/examples/run.py pytorch_fastapi --driftd $(BIN)/driftd

e2e-airflow: setup .envs/airflow/.ready
	$(BIN)/python -m tests.e2e.airflow .envs/airflow/bin/airflow

alibi: .envs/alibi/.ready
	@echo "alibi-detect has a licence of its own, the Business Source License 1.1: docs/alibi.md"

alibi-torch: .envs/alibi-torch/.ready
	@echo "alibi-detect has a licence of its own, the Business Source License 1.1: docs/alibi.md"

alibi-test: setup .envs/alibi/.ready .envs/alibi-torch/.ready
	DRIFTD_REQUIRE_ALIBI=1 $(BIN)/pytest -q tests/alibi # one after the other: each worker would start processes of its own

setup: .venv/.ready

$(BIN)/python:
	if command -v uv >/dev/null; then uv venv --quiet --python "$(PYTHON)" .venv; else "$(PYTHON)" -m venv .venv; fi

# The project is installed last and without its dependencies: they are the pinned ones, checked by their hashes.
.venv/.ready: pyproject.toml $(PINS) $(NATIVE) | $(BIN)/python
	uv=$$(command -v uv || echo $(BIN)/uv); \
	if ! [ -x "$$uv" ]; then \
	  $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null; \
	  $(BIN)/python -m pip install --quiet --require-hashes -r requirements/uv.txt; \
	fi; \
	install="$$uv pip install --quiet --python $(BIN)/python"; \
	$$install --compile-bytecode --require-hashes -r requirements/dev.txt -r requirements/build.txt; \
	$$install --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q $(CODE)
	touch $@

# Other programs that driftd is tried with, each in an environment of its own.
.envs/%/.ready: requirements/%.txt | setup
	uv=$$(command -v uv || echo $(BIN)/uv); \
	$$uv venv --quiet --clear --python $(BIN)/python .envs/$*; \
	$$uv pip install --quiet --python .envs/$*/bin/python --require-hashes -r $<
	touch $@

# The registry's PyTorch for Linux brings CUDA, gigabytes of it. TORCH is a file with another build; where pip is told of
# a folder with the one for CPUs, that one is taken.
TORCH ?= $(firstword $(wildcard $(PIP_FIND_LINKS)/torch-2.13.0+cpu-cp311-*.whl))
ifneq ($(TORCH),)
.envs/%-torch/.ready: requirements/%.txt requirements/%-torch.txt | setup
	uv=$$(command -v uv || echo $(BIN)/uv); \
	$$uv venv --quiet --clear --python $(BIN)/python .envs/$*-torch; \
	install="$$uv pip install --quiet --python .envs/$*-torch/bin/python"; \
	$$install --require-hashes -r requirements/$*.txt; \
	$$install -c requirements/$*-torch.txt "$(TORCH)"
	touch $@
endif

LOCK = pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-header --no-annotate
# What MLflow's server needs as a registry: a third of the whole mlflow.
MLFLOW = 'mlflow-skinny>=3.17,<4' aiohttp alembic 'flask<4' 'flask-cors<7' 'graphene<4' 'huey<4' 'numpy<3' 'pandas<4' \
  'sqlalchemy<3'
EXAMPLES = 'fastapi>=0.115,<1' 'flask>=3,<4' 'numpy>=2.2,<3' 'scikit-learn>=1.7,<2' 'uvicorn>=0.54,<0.55' 'xgboost-cpu>=3,<4'
EXAMPLES_TORCH = 'fastapi>=0.115,<1' 'numpy>=2.2,<3' 'torch==2.13.0' 'uvicorn>=0.54,<0.55'
lock: setup
	uv=$$(command -v uv || echo $(BIN)/uv); \
	$$uv $(LOCK) pyproject.toml -o requirements/runtime.txt; \
	$$uv $(LOCK) pyproject.toml --all-extras --group dev -c requirements/runtime.txt -o requirements/dev.txt; \
	printf 'hatchling>=1.27\neditables>=0.5\n' | $$uv $(LOCK) - -c requirements/dev.txt -o requirements/build.txt; \
	printf 'apache-airflow>=3.3,<4\n' | $$uv $(LOCK) - -o requirements/airflow.txt; \
	printf '%s\n' $(MLFLOW) | $$uv $(LOCK) - -o requirements/mlflow.txt; \
	printf '%s\n' $(EXAMPLES) | $$uv $(LOCK) - -o requirements/examples.txt; \
	printf '%s\n' $(EXAMPLES_TORCH) | $$uv $(LOCK) - -c requirements/examples.txt -o requirements/examples-torch.txt; \
	printf 'alibi-detect>=0.13,<0.14\n' | $$uv $(LOCK) - -o requirements/alibi.txt; \
	printf 'alibi-detect>=0.13,<0.14\ntorch==2.13.0\n' | $$uv $(LOCK) - -c requirements/alibi.txt -o requirements/alibi-torch.txt; \
	printf 'uv>=0.8\n' | $$uv $(LOCK) - -o requirements/uv.txt

clean:
	rm -rf .venv .envs .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage dist build benchmarks/.data benchmarks/.envs monitor/native/_driftd.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
