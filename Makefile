# One environment, .venv, serves every target. It is made when it is missing
# and brought up to date when the requirements or the interpreter change.
PYTHON ?= python3
ARGS ?=

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
# Relative paths only: make cannot quote a folder with spaces in its name.
VENV := .venv
PY := $(VENV)/bin/python
EXTRAS := examples,test,dev,docs,notebooks

export TF_CPP_MIN_LOG_LEVEL ?= 3
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo docs notebooks test test-sweeps test-fast test-report pytest \
    lint format clean $(VENV)

help:
	@echo "make demo    two comparisons with tables and plots, and a SavedModel"
	@echo "make test    run the tests          (make test ARGS='-k sgd')"
	@echo "make test-sweeps   all exports, all options, all examples, NIST"
	@echo "make test-fast   without the slow ones, see CONTRIBUTING.md"
	@echo "make test-report   look at a report in Chromium, if it is installed"
	@echo "make docs    build the site; open site/index.html"
	@echo "make notebooks   run three tutorials as notebooks, pictures kept"
	@echo "make lint    check style and types  (make format mends style)"
	@echo "make clean   remove .venv, plots, site and exported models"
	@echo "Another interpreter than python3: make demo PYTHON=python3.12"

demo: $(VENV)
	@$(PY) examples/demo.py $(ARGS)

# What is asked for is run, sweeps included.
test: override ARGS := $(or $(ARGS),-m "not sweep")
test: pytest

test-sweeps: override ARGS += -m sweep
test-sweeps: pytest

test-fast: override ARGS += -m "not slow"
test-fast: pytest

pytest: $(VENV)
	@$(PY) -m pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

test-report: $(VENV)
	@$(PY) tests/report/browser_check.py $(ARGS)

docs: $(VENV)
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet $(ARGS)
	@echo "Site: site/index.html"

notebooks: $(VENV)
	@$(PY) docs/tutorials/make_notebooks.py $(ARGS)

lint: $(VENV)
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

format: $(VENV)
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

clean:
	@rm -rf $(VENV) .mypy_cache plots site saved_models/digits

# The stamp holds what .venv was made from, so that an interrupted set-up, a
# new requirement or a moved folder is noticed, and nothing else costs time.
$(VENV):
	@command -v "$(PYTHON)" >/dev/null || { \
	    echo "No $(PYTHON) found: install Python 3.10 to 3.13, or name one:" \
	        "make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }; \
	version=$$("$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	case "$$version" in 3.10|3.11|3.12|3.13) ;; *) \
	    echo "Python 3.10 to 3.13 is needed; $(PYTHON) is $$version." \
	        "Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; \
	    exit 1;; esac; \
	wanted="$$version $$PWD $$(cat setup.cfg pyproject.toml | cksum)"; \
	if [ "$$(cat $(VENV)/stamp 2>/dev/null)" = "$$wanted" ]; then exit 0; fi; \
	echo "Setting up $(VENV) with Python $$version (TensorFlow is some" \
	    "600 MB to download once) ..."; \
	"$(PYTHON)" -m venv --clear $(VENV); \
	$(PY) -m pip install --progress-bar off -e ".[$(EXTRAS)]" \
	    | awk '/^Collecting/ {sub(/[<>=!~].*/, "", $$2); print "  fetching", $$2; fflush()} \
	           /^Installing/ {print "  installing ..."; fflush()}'; \
	echo "$$wanted" > $(VENV)/stamp
