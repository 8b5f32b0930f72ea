# Needs Python 3.11 or newer and make; everything else is installed into folders named .venv* beside this file.

PYTHON ?= python3
DEMO_OUT ?= demo-output
PYTEST_FLAGS ?=
UV_FLAGS ?=

TEST_VENV := .venv
DEMO_VENV := .venv-demo
DOCS_VENV := .venv-docs
CONSTRAINTS_VENV := .venv-constraints
DIST_VENV := .venv-dist
SBOM_VENV := .venv-sbom

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test coverage lint docs dist sbom figures paper clean constraints

help:
	@echo "make demo         install what analysis needs and analyse an example radiograph into $(DEMO_OUT)/"
	@echo "make test         run the tests (LUNGLENS_DATA=folder adds those that need the real data,"
	@echo "                  PYTEST_FLAGS='-m not\ slow' leaves the slow ones out)"
	@echo "make coverage     run the tests, which then take half as long again, and say which lines none has run"
	@echo "make lint         ruff, mypy and import-linter"
	@echo "make docs         build the documentation site into site/, which needs no network to be read"
	@echo "make dist         build wheel and source archive into dist/ and check what they say of themselves"
	@echo "make sbom         write what the base install consists of into dist/lunglens.cdx.json (CycloneDX)"
	@echo "make figures      draw the figures of results/ from its numbers"
	@echo "make paper        the same, and write every table of README, docs and cards from those numbers"
	@echo "make constraints  resolve constraints/*.txt again (UV_FLAGS=--upgrade takes newer versions)"
	@echo "make clean        remove the environments, caches and $(DEMO_OUT)/"

# $(call environment,FOLDER,PIP INSTALL COMMANDS): builds FOLDER and, when all went well, its .stamp.
# One install at a time (the lock is on this file). Without a stamp the folder is what a killed install left
# behind, and is built anew.
define environment
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "LungLens needs Python 3.11 or newer, and '$(PYTHON)' is not one: try make PYTHON=/path/to/python3.11" >&2; exit 1; }
@set -e; exec 9<Makefile; if command -v flock >/dev/null; then flock 9; fi; \
	fresh=yes; for file in $^; do [ $@ -nt "$$file" ] || fresh=no; done; [ $$fresh = no ] || exit 0; \
	echo "Installing into $(1) ..."; \
	if [ -e $@ ]; then rm -f $@; else $(PYTHON) -m venv --clear $(1); fi; \
	pip="$(1)/bin/python -m pip --disable-pip-version-check"; \
	$(2); \
	touch $@
endef

$(DEMO_VENV)/.stamp: pyproject.toml constraints/base.txt constraints/dev.txt
	$(call environment,$(DEMO_VENV),$$pip install -q -c constraints/base.txt -e .; \
		$$pip install -q -c constraints/dev.txt pydicom-data)

# Most of torch is never imported: what is, Python compiles then.
$(TEST_VENV)/.stamp: pyproject.toml constraints/dev.txt
	$(call environment,$(TEST_VENV),$$pip install -q --no-compile -c constraints/dev.txt -e '.[dev]')

$(DOCS_VENV)/.stamp: pyproject.toml constraints/base.txt
	$(call environment,$(DOCS_VENV),$$pip install -q -c constraints/base.txt -e '.[docs]')

$(DIST_VENV)/.stamp: pyproject.toml
	$(call environment,$(DIST_VENV),$$pip install -q 'build>=1.3' 'cyclonedx-bom>=7.2' 'twine>=6.2')

$(CONSTRAINTS_VENV)/.stamp: pyproject.toml
	$(call environment,$(CONSTRAINTS_VENV),$$pip install -q 'uv>=0.9')

demo: $(DEMO_VENV)/.stamp
	@$(DEMO_VENV)/bin/lunglens demo --out "$(DEMO_OUT)"

coverage: COVERAGE_FLAGS := --cov=lunglens --cov-report=term

test coverage: $(TEST_VENV)/.stamp
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(TEST_VENV)/bin/python -m pytest -n auto --dist loadfile --no-loadscope-reorder \
		$(COVERAGE_FLAGS) $(PYTEST_FLAGS)

lint: $(TEST_VENV)/.stamp
	$(TEST_VENV)/bin/ruff check .
	$(TEST_VENV)/bin/ruff format --check .
	$(TEST_VENV)/bin/mypy
	$(TEST_VENV)/bin/lint-imports --no-logo

docs: $(DOCS_VENV)/.stamp
	$(DOCS_VENV)/bin/python tools/build_docs.py

dist: $(DIST_VENV)/.stamp
	rm -rf dist
	$(DIST_VENV)/bin/python -m build
	$(DIST_VENV)/bin/twine check --strict dist/*

# An environment without pip, so that all there is comes with LungLens; the version, which the build reads from the
# source, is written out for a tool that does not build.
sbom: $(DIST_VENV)/.stamp
	$(PYTHON) -m venv --clear --without-pip $(SBOM_VENV)
	$(DIST_VENV)/bin/python -m pip --disable-pip-version-check --python $(SBOM_VENV) install -q -c constraints/base.txt .
	version=$$($(SBOM_VENV)/bin/lunglens --version | cut -d " " -f 2); \
		sed "s/^dynamic = .*/version = \"$$version\"/" pyproject.toml >$(SBOM_VENV)/pyproject.toml
	mkdir -p dist
	$(DIST_VENV)/bin/cyclonedx-py environment --pyproject $(SBOM_VENV)/pyproject.toml --mc-type library --short-PURLs \
		--output-reproducible -o dist/lunglens.cdx.json $(SBOM_VENV)

figures: $(TEST_VENV)/.stamp
	$(TEST_VENV)/bin/python tools/draw_figures.py

paper: figures
	$(TEST_VENV)/bin/python tools/write_cards.py
	$(TEST_VENV)/bin/python tools/write_systems.py
	$(TEST_VENV)/bin/lunglens config schema > docs/configuration.md

COMPILE = $(CONSTRAINTS_VENV)/bin/uv pip compile -q --python-version 3.11 --no-annotate --no-emit-index-url \
	--custom-compile-command "make constraints" $(UV_FLAGS) pyproject.toml

# dev first: the others then take the same versions.
constraints: $(CONSTRAINTS_VENV)/.stamp
	$(COMPILE) --extra dev -c constraints/tested.txt -o constraints/dev.txt
	$(COMPILE) -c constraints/dev.txt -o constraints/base.txt
	$(COMPILE) --extra serve --generate-hashes -c constraints/dev.txt -o constraints/serve.txt

clean:
	rm -rf $(TEST_VENV) $(DEMO_VENV) $(DOCS_VENV) $(CONSTRAINTS_VENV) $(DIST_VENV) $(SBOM_VENV) $(DEMO_OUT) dist site .site-pages .cache .coverage \
		.pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -type d -name __pycache__ -prune -exec rm -rf {} +
