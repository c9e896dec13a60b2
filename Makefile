# Two commands do everything on a fresh machine with Python 3.11 or newer: make demo, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNS := runs/demo
# One of the demo's two judges comes through npm; where there is no npm the other one judges alone.
JUDGES := $(if $(shell command -v npm),,--judge dlib-resnet)

.PHONY: demo test lint docs clean

demo: $(VENV)/.installed
	$(BIN)/anonbench run --method identity,pixelate,g2face --protocol lfw-tar --suite demo $(JUDGES) --output $(RUNS)
	$(BIN)/anonbench table $(RUNS)
	$(BIN)/anonbench grid --method pixelate,g2face --out $(RUNS)/faces.png

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.installed
	$(BIN)/python -m mkdocs build --strict

clean:
	rm -rf build dist runs site .mypy_cache .ruff_cache .pytest_cache

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "anonbench needs Python 3.11 or newer. Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@
