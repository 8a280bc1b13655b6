# make demo   from nothing to a layer-resolved report of a real calculation
# make test   every check: style, types, architecture, tests with a real pw.x, the built wheel
# make papers        the small campaigns of the papers, hours; SYSTEM=… for one; goes on where it was stopped,
#                    with SYSTEM="--kept …" also from the results in examples where there is no folder of runs
# make papers-page   docs/papers.md from the results that are kept in examples
# make docs          the site of the documentation, in build/site; warnings are errors
# make lowest        a part of the tests with the lowest versions of the dependencies, in an environment of their own
# make newest        the same with the newest; PYTHON=python3.13 for another Python, TESTS=tests for all tests
# make peers  the structure builder beside pymatgen, doped and icet, installed in an environment of their own
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CAMPAIGN := examples/demo/campaign.yaml
# Of the tests with a real pw.x, which also run PBEsol and spin-orbit coupling.
FAMILIES := $(addprefix pseudodojo-0.4-,pbe-sr-standard pbesol-sr-standard pbe-fr-standard)

.PHONY: demo test docs lowest newest system pseudos benchmarks papers papers-page peers clean

demo: $(VENV)/.installed pseudos
	$(BIN)/heterodft submit $(CAMPAIGN)
	$(BIN)/heterodft run
	$(BIN)/heterodft report $(CAMPAIGN) -o report

test: $(VENV)/.installed-dev
	@PYTHON=$(PYTHON) tools/install_system.sh --tests || [ -z "$$CI" ]  # elsewhere the tests without Slurm or Chromium are skipped
	$(BIN)/heterodft pseudos install $(FAMILIES)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n 2 -m "not espresso" $(PYTEST_OPTIONS)
	$(BIN)/python -m pytest -m espresso $(PYTEST_OPTIONS)  # pw.x itself takes two cores
	$(BIN)/python benchmarks/startup.py
	$(MAKE) docs
	PYTHON=$(abspath $(BIN))/python tools/test_wheel.sh

docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lowest:
	PYTHON=$(PYTHON) TESTS="$(TESTS)" tools/test_versions.sh lowest $(VENV)-lowest

newest:
	PYTHON=$(PYTHON) TESTS="$(TESTS)" tools/test_versions.sh newest $(VENV)-newest

papers: $(VENV)/.installed pseudos
	$(BIN)/python tools/papers.py run $(SYSTEM)

papers-page: $(VENV)/.installed
	$(BIN)/python tools/papers.py page

benchmarks: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/structures.py
	$(BIN)/python benchmarks/inputs.py
	$(BIN)/python benchmarks/job_queue.py
	$(BIN)/python benchmarks/kills.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/readers.py
	$(BIN)/python benchmarks/grids.py

peers: $(VENV)-peers/.installed
	$(VENV)-peers/bin/python benchmarks/structures.py

$(VENV)-peers/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)-peers
	$(VENV)-peers/bin/python -m pip install -q --disable-pip-version-check -e . \
		pymatgen-analysis-defects doped icet
	@touch $@

system:
	@PYTHON=$(PYTHON) tools/install_system.sh

pseudos: $(VENV)/.installed
	$(BIN)/heterodft pseudos install

$(VENV)/bin/python: | system
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) $(VENV)-peers $(VENV)-lowest $(VENV)-newest runs report dist build
