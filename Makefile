# Two commands set everything up: `make serve` (run the bundled model) and `make test` (install what tests need and pass them).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NODE := tests/clients/node
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: serve test browser page properties soak nano lint clean

serve: $(VENV)/.serve
	$(BIN)/sansi serve checkpoints/nano

test: $(VENV)/.test $(NODE)/node_modules/.stamp
	$(BIN)/python -m pytest

# The chat page in a real browser. SHOTS=1 takes the pictures of docs/images anew.
browser: $(VENV)/.browser
	@command -v chromium > /dev/null || command -v chromium-browser > /dev/null || command -v google-chrome > /dev/null || \
	  { echo "make browser needs Chromium: install Debian's package chromium (apt-get install chromium)"; exit 1; }
	SHOTS=$(SHOTS) $(BIN)/python -m pytest tests/browser -m browser

# The bundle of the chat page, from web/; it is committed, so that only those who change it need node and npm.
page:
	cd web && npm ci --no-audit --no-fund --omit-lockfile-registry-resolved && npm run build

# The codec's properties on ten thousand examples each; `make test` tries sixty.
properties: $(VENV)/.test
	$(BIN)/python -m pytest tests/text --hypothesis-profile thorough

# Two thousand random requests over tiny memory (`make test` runs three hundred), and new ones over HTTP each time.
soak: $(VENV)/.test
	$(BIN)/python -m pytest -m slow

nano: $(VENV)/.test
	$(BIN)/python runs/nano/recipe.py

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# A stamp per set of extras, so that an installed environment starts at once.
$(VENV)/.serve: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e .
	touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e ".[test]"
	touch $@ $(VENV)/.serve

$(VENV)/.browser: $(VENV)/.test
	$(PIP) -e ".[browser]"
	touch $@

# OpenAI's client for JavaScript. Where there is no npm, or it can not fetch, the tests with it are skipped and say so.
$(NODE)/node_modules/.stamp: $(NODE)/package.json $(NODE)/package-lock.json
	if command -v npm > /dev/null && (cd $(NODE) && npm ci --silent --no-audit --no-fund); then touch $@; fi

$(VENV)/.lint: $(VENV)/.test
	$(PIP) -e ".[lint]"
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis
