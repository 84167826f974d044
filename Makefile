# corebox: `make help` lists what can be made. Every target sets up what it needs, on a Debian machine as root or
# with sudo.

SHELL := /bin/sh
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SECONDS ?= 600
JOBS ?= $(shell nproc)
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# What corebox itself loads, to look into archives.
APT_UNIT := libarchive13
# At the vendor's: a sandbox, and the library that bundles are compressed with.
APT_DEMO := bubblewrap gcc libc6-dev libzstd1
# For the tests: customers' sites, a real engine, gdbs, registries, and what makes cores of every kind.
APT_TEST := $(APT_DEMO) bubblewrap busybox docker.io docker-registry g++ gdb mmdebstrap buildah podman skopeo zstd age lz4 \
	systemd-coredump xz-utils openssl nodejs redis-server faketime chromium rpm luajit rustc strace poppler-utils \
	qemu-user gcc-aarch64-linux-gnu gcc-i686-linux-gnu gcc-powerpc64le-linux-gnu gcc-s390x-linux-gnu \
	libc6-dev-arm64-cross libc6-dev-i386-cross libc6-dev-ppc64el-cross libc6-dev-s390x-cross
# Symbols: a debuginfod server and its client, packages of both kinds, and what they are read with.
APT_TEST += debuginfod dwz libarchive13 rpm squashfs-tools zip
# Package repositories, and what signs them.
APT_TEST += createrepo-c gpg gpgv debhelper
# A store that two machines share: a folder mounted twice, whose locks do not meet.
APT_TEST += bindfs
# Runtimes that report a failure in their own way, or unwind in their own way.
APT_TEST += golang-go libgoogle-glog-dev lua5.4 php-cli ruby libabsl-dev default-jdk-headless musl-tools
# A debugger that reads minidumps.
APT_TEST += lldb-16
# A database that several machines share.
APT_TEST += postgresql
# Editors that look at a crash.
APT_TEST += emacs-nox neovim
# Another kernel than the machine's, as a program, and what it keeps programs from.
APT_TEST += user-mode-linux apparmor
# Shells whose completion is tested, and what reads manual pages.
APT_TEST += fish groff-base man-db zsh
# A core as a file.
APT_TEST += fuse3
# Engines without root.
APT_TEST += rootlesskit uidmap slirp4netns fuse-overlayfs python3-venv

# For the benchmarks: programs that crash at work.
APT_BENCH := libreoffice-core-nogui libreoffice-writer-nogui python3-numpy

.PHONY: help demo test unit coverage mutants fuzz-short fuzz integration faults lint audit format docs site man pictures release bench lock \
	upgrade setup setup-unit setup-demo clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: setup-demo  ## crash a small program, gather, build, and show the backtrace from inside the container
	@PATH="$(abspath $(BIN)):$$PATH" tools/demo

test: lint audit site unit fuzz-short integration  ## every test; sets up all it needs, Docker Engine included

unit: setup-unit  ## the tests that need Python and libarchive, and nothing else; two minutes on two processors
	$(BIN)/python -m pytest -n $(JOBS) tests/unit

# The tests are many short programs: what one compiles is kept for the next.
unit coverage: export PYTHONDONTWRITEBYTECODE =

coverage: setup-unit  ## how much of each package the unit tests run; fails below 90 %
	$(BIN)/python tools/covered.py $(JOBS)

mutants: setup-unit  ## change PACKAGE=corebox/... here and there, and list the changes that no unit test notices
	$(BIN)/python tools/mutants.py $(PACKAGE) $(TESTS)

fuzz-short: setup  ## chosen attacks and a fixed number of damaged inputs for each reader; a minute
	$(BIN)/python -m pytest -n $(JOBS) tests/fuzz

integration: setup  ## real crashes, engines and registries
	$(SUDO) $(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not alone" tests/integration
	$(SUDO) $(BIN)/python -m pytest -m alone tests/integration

fuzz: setup  ## ten minutes of coverage-guided fuzzing for each target; the long version of fuzz-short
	mkdir -p build/fuzz
	for target in notes segments link_map elf manifest bundle around table digests layer archive; do \
		nice $(BIN)/python -m tests.fuzz $$target --seconds $(SECONDS) --keep build/fuzz || exit 1; done

faults: setup  ## the tests of faults and load, long: some 430 kills, 216 reports at once; most of an hour
	$(SUDO) env COREBOX_FAULTS=9 $(BIN)/python -m pytest -rP tests/integration/test_faults_*.py tests/integration/test_load.py

lint: setup  ## ruff, mypy, vermin for the customer's side, import-linter
	$(BIN)/ruff check || { echo "repair: make format" >&2; exit 1; }
	$(BIN)/ruff format --check || { echo "repair: make format" >&2; exit 1; }
	$(BIN)/mypy
	$(BIN)/vermin -t=3.6- --no-tips --violations corebox/__init__.py corebox/errors.py corebox/printable.py \
		corebox/files corebox/coredump corebox/reduce corebox/bundle corebox/describe corebox/gather
	$(BIN)/lint-imports

audit: setup  ## ask whether what is locked has known vulnerabilities; skipped where nobody answers
	$(BIN)/python tools/audit.py

format: setup  ## let ruff repair what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: setup  ## write the generated part of docs/reference
	$(BIN)/python docs/generate.py

site:  ## make the site of the documentation in build/site, with search; fails for a link that leads nowhere
	tools/site build/site build/site-venv $(PYTHON)

pictures: setup  ## make the pictures in docs/images again from real crashes
	$(BIN)/python tools/record-demo.py
	PATH="$(abspath $(BIN)):$$PATH" tools/record-report
	PYTHONPATH=. $(BIN)/python tools/record-fleet.py

man: setup  ## write manual pages into build/man, from the same source as --help
	$(BIN)/python tools/manpages build/man

release: setup  ## make and check all files of a release in dist/, up to the upload
	$(SUDO) tools/release dist $(BIN)

bench: setup  ## compare speed with what a user would do instead
	@tools/install-packages $(APT_BENCH)
	$(SUDO) $(BIN)/python -m benchmarks

lock: setup  ## make the lock files in requirements/ agree with pyproject.toml again
	tools/lock $(BIN)

upgrade: setup  ## the same, with the newest version of everything
	tools/lock $(BIN) --upgrade

setup: $(VENV)/dev.stamp  ## packages, and a virtual environment for development

setup-unit: $(VENV)/unit.stamp  ## the virtual environment alone

setup-demo: $(VENV)/run.stamp  ## the little that the demo needs

$(VENV)/dev.stamp: $(VENV)/unit.stamp tests/client/package-lock.json
	@tools/install-packages $(APT_TEST)
	@tools/make-venv $(PYTHON) $(VENV)
	@tools/install-npm tests/client
	@touch $@

$(VENV)/unit.stamp: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'from ctypes.util import find_library as f; exit(not f("archive"))' 2>/dev/null || \
		tools/install-packages $(APT_UNIT)
	@tools/make-venv $(PYTHON) $(VENV)
	@tools/install-locked $(VENV) $< --editable .
	@touch $@

$(VENV)/run.stamp: requirements/run.txt pyproject.toml
	@tools/install-packages $(APT_DEMO)
	@tools/make-venv $(PYTHON) $(VENV)
	@tools/install-locked $(VENV) $< --editable .
	@touch $@

clean:  ## remove what was made here
	rm -rf $(VENV) tests/client/node_modules build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
