# Each target sets everything up that it needs; a second call finds it done.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BENCHMARKS := image_data_speed data_speed training_speed sampling_speed image_speed memory checkpoint_cost \
	samplers decisions neighbours ablations image_trends kill_sweep

.PHONY: demo demo-image test test-gpu lint bench

# Real QM9 -> train -> sample -> evaluate -> report. `make demo MINUTES=1` trains for a minute.
demo: $(INSTALLED)
	$(BIN)/unite train qm9-demo --resume auto --output runs/demo $(if $(MINUTES),-o training.minutes=$(MINUTES))
	$(BIN)/unite report runs/demo --compare qm9-small

# The same for images: emoji, conditioned on their group.
demo-image: $(INSTALLED)
	$(BIN)/unite train emoji-demo --resume auto --output runs/demo-image $(if $(MINUTES),-o training.minutes=$(MINUTES))
	$(BIN)/unite report runs/demo-image -n 500
	$(BIN)/unite sample runs/demo-image --trajectory 10 --output runs/demo-image/strips.png

test: $(INSTALLED)
	$(BIN)/pytest --numprocesses auto --dist loadfile

test-gpu: $(INSTALLED)
	UNITE_TEST_GPU=1 $(BIN)/pytest tests/test_gpu.py

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Every measurement but the curve of quality over hours (`benchmarks/quality_curve.py`); takes hours.
bench: $(INSTALLED)
	for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py || exit 1; done
	$(BIN)/python benchmarks/fuzz.py --publish

$(INSTALLED): requirements.txt constraints.txt $(wildcard packages/*/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --requirement requirements.txt
	touch $@
