# Everything is installed into .venv. requirements*.txt pin versions and hashes; `make lock` updates them.
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
# Python has to cache bytecode: otherwise each process compiles all tests again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run setup test test-fast lint docs stress chaos fuzz bench pictures lock clean

run: .venv/run.stamp
	$(BIN)/understudy dev --port $(PORT)

setup: .venv/dev.stamp

test: .venv/dev.stamp
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

# The tests without the markers `processes` and `long`: run them while you write.
test-fast: .venv/dev.stamp
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m "not processes and not long" $(ARGS)

lint: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site of the documentation, in site/. A link without a target is an error.
docs: .venv/dev.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

stress: .venv/dev.stamp
	STRESS_TURNS=10000 ZOO=all $(BIN)/python -m pytest -q -s tests/test_stress.py tests/zoo

chaos: .venv/dev.stamp
	CHAOS_SECONDS=300 $(BIN)/python -m pytest -q -s tests/chaos

fuzz: .venv/dev.stamp
	FUZZ_SECONDS=60 $(BIN)/python -m pytest -q -s -n auto tests/fuzz

bench: .venv/dev.stamp
	$(BIN)/python -m bench

# Makes the pictures of the web chat in docs/. Needs Debian's packages chromium-headless-shell and fonts-inter.
pictures: .venv/dev.stamp
	cd tests && ../$(BIN)/python -m e2e.web.pictures

lock: .venv/dev.stamp
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-annotate --no-header \
	  --group build --extra all pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-annotate --no-header \
	  --group build --group dev --group docs --extra all --extra langgraph --extra openai-agents -c requirements.txt pyproject.toml \
	  -o requirements-dev.txt

clean:
	rm -rf .venv

.venv/bin/python:
	@echo "Setting up .venv: this happens once and takes about a minute."
	@$(PYTHON) -m venv .venv

.venv/run.stamp: .venv/bin/python requirements.txt pyproject.toml
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev.stamp: .venv/run.stamp requirements-dev.txt cookbook/webhook/pyproject.toml
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable cookbook/webhook
	@touch $@
