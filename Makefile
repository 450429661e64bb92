# make demo   set everything up and turn a recording of John F. Kennedy into out/talk.{npz,bvh,glb,mp4,html}
# make test   set everything up and run the checks and tests
# make docs   set everything up and write the documentation as a site into build/site
# Needed beforehand: Python 3.11 or newer with its venv module, and make. docs/install.md has the steps without make.

PYTHON := python3
BIN := .venv/bin
SPEECH := examples/jfk.flac

# Without an NVIDIA GPU constraints.txt keeps torch at a version whose CPU build is used; see docs/install.md.
CONSTRAINTS := $(shell nvidia-smi >/dev/null 2>&1 || echo -c constraints.txt)
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet --prefer-binary $(CONSTRAINTS)

# OpenMP threads that wait by spinning make a machine with few, busy cores many times slower.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: demo test docs install browser clean

demo: .venv/installed
	$(BIN)/cospeech generate $(SPEECH) out/talk.npz
	$(BIN)/cospeech convert out/talk.npz out/talk.bvh
	$(BIN)/cospeech convert out/talk.npz out/talk.glb
	$(BIN)/cospeech convert out/talk.npz out/talk.mp4 --audio $(SPEECH)
	$(BIN)/cospeech convert out/talk.npz out/talk.html --audio $(SPEECH)
	@echo "Open out/talk.html in a browser, or out/talk.mp4 in a player."

test: .venv/installed-for-tests browser
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

docs: .venv/installed-for-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "Open build/site/index.html, or see it as it changes with: $(BIN)/mkdocs serve"

install: .venv/installed

.venv/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or newer is needed as $(PYTHON); name another one with: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "error: $(PYTHON) has no venv module; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: .venv/created pyproject.toml constraints.txt
	@echo "Installing cospeech and all its extras into .venv; this takes minutes, docs/install.md says how much space."
	$(INSTALL) --editable '.[all]'
	@touch $@

.venv/installed-for-docs: .venv/installed
	$(INSTALL) --editable '.[all,docs]'
	@touch $@

.venv/installed-for-tests: .venv/installed
	$(INSTALL) --editable '.[all,dev]'
	@touch $@

# Optional. A few tests open pages in a browser, one speaks with espeak-ng; without them these tests are skipped.
# Installed here only by root on a system with apt, as in a container; elsewhere this just says what is missing.
BROWSER_PACKAGES := chromium espeak-ng fonts-dejavu-core
browser:
	@if command -v chromium >/dev/null && command -v espeak-ng >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing $(BROWSER_PACKAGES) with apt, for the tests that use them."; \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
	    $(BROWSER_PACKAGES) >/dev/null; } || echo "That failed; the tests that need them will be skipped."; \
	else echo "chromium or espeak-ng is missing; the tests that need it will be skipped."; fi

clean:
	rm -rf .venv out build dist
