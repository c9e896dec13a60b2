# Two commands do everything on a fresh machine with Python 3.11 or newer: make demo, make test.
# make showcase goes from one small run to all that a paper, a colleague and a CI want of it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNS := runs/demo
# One of the demo's two judges comes through npm; where there is no npm the other one judges alone.
JUDGES := $(if $(shell command -v npm),,--judge dlib-resnet)

SHOW := runs/showcase
SMALL := --suite demo --limit 20 $(JUDGES)
PAIRS := --protocol lfw-tar:far=0.02 --suite demo --limit 60 $(JUDGES) --output $(SHOW)
REVERSIBLE := identity,pixelate,g2face,drdpgan
MEASURES := celebahq-similarity:seeds=2,utility,recovery,password,key-sensitivity,identity-map,casia-accuracy,complexity
# What the gate watches, as it was measured for results/gate.
GATED := --method pixelate,g2face --protocol celebahq-similarity:seeds=2,recovery $(SMALL)
GATE := --baseline results/gate --tolerance results/gate/tolerance.toml

.PHONY: demo showcase gate test lint docs clean

demo: $(VENV)/.installed
	$(BIN)/anonbench run --method identity,pixelate,g2face --protocol lfw-tar --suite demo $(JUDGES) --output $(RUNS)
	$(BIN)/anonbench table $(RUNS)
	$(BIN)/anonbench grid --method pixelate,g2face --out $(RUNS)/faces.png

# Where there is no LaTeX, all but the PDF is made.
showcase: $(VENV)/.installed
	$(BIN)/anonbench run --method $(REVERSIBLE) --protocol $(MEASURES) $(SMALL) --output $(SHOW)
	$(BIN)/anonbench run --method pixelate,g2face --protocol ablation,diversity:faces=4:identities=30:perplexity=10 $(SMALL) --output $(SHOW)
	for channel in png jpeg:75 jpeg:30; do \
	  $(BIN)/anonbench run --method $(REVERSIBLE) $(PAIRS) --channel $$channel || exit; done
	-$(BIN)/anonbench table $(SHOW) --layout all --format pdf --output $(SHOW)/tables.pdf
	$(BIN)/anonbench plot all $(SHOW) --out $(SHOW)/figures
	$(BIN)/anonbench report $(SHOW) --out $(SHOW)/report.html
	$(BIN)/anonbench check $(GATE) --results $(SHOW) || test $$? -eq 3
	$(BIN)/anonbench run --method pixelate:block=4 --protocol celebahq-similarity:seeds=2 $(SMALL) --output runs/worse
	$(BIN)/anonbench check $(GATE) --results runs/worse; test $$? -eq 1

# Fails where something got worse (1). What cannot be compared (3), such as after the release of
# another judge, is told and lets pass.
gate: $(VENV)/.installed
	$(BIN)/anonbench run $(GATED) --output runs/gate
	$(BIN)/anonbench check $(GATE) --results runs/gate || test $$? -eq 3

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

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
