.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# cpu or gpu: faiss-gpu where a GPU answers, faiss-cpu otherwise.
FLAVOUR ?= $(shell nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)
PROTOS := $(wildcard protos/spr/v1/*.proto protos/spr/internal/v1/*.proto)
# npx hangs and buf fails where they may not write to their caches at home.
AT_HOME := $(shell test -w "$$HOME" && echo yes)
CACHES := $(if $(AT_HOME),,npm_config_cache=$(CURDIR)/$(VENV)/npm BUF_CACHE_DIR=$(CURDIR)/$(VENV)/buf)
BUF := $(CACHES) npx --yes @bufbuild/buf@1.75.0

# Kept bytecode: a test run starts Python some hundred times, and each would compile the same modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install protos page docs-api docs-images node demo serve test timm nightly fuzz fuzz-files check check-deploy deploy-k8s audit chaos crash bench gpu quality clean

help:  ## Show this list.
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

install: $(VENV)/.installed-$(FLAVOUR)  ## Make .venv with everything; FLAVOUR=cpu|gpu overrides the choice.

# torch first and pinned, so that nothing else pulls another build of it.
$(VENV)/.installed-$(FLAVOUR): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[$(FLAVOUR),dev]'
	@touch $@

protos: install  ## Generate the Python code of the protos anew.
	$(BIN)/python protos/generate.py protos

page: install  ## Build the web page anew; needs Node.
	cd clients/web && npm ci --no-audit --no-fund && npm run build

docs-api: install  ## Write docs/api anew, from the protos' comments and the client's docstrings.
	$(BIN)/python -m recipes.reference

docs-images: demo  ## Take the docs' pictures anew, of the demo; needs Chromium.
	$(BIN)/python -m recipes.images

node: install  ## Generate and build the Node client anew; needs Node.
	cd clients/node && npm ci --no-audit --no-fund --ignore-scripts
	$(BIN)/python clients/node/generate.py clients/node/src/generated
	cd clients/node && npm run build

demo: install  ## Video files to ranked moments and an evaluation table, in build/demo.
	$(BIN)/python -m recipes.demo

serve: demo  ## Serve the demo's collection until Ctrl-C.
	$(BIN)/spr serve build/demo/topology.toml

# Three workers on two cores. What shares a running service stays together, so that it is started once: tests/conftest.py.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: install  ## Run the tests, three workers on two cores; TESTS="-p randomly -k word" is handed on.
	$(BIN)/python -m pytest $(PARALLEL) $(TESTS)

nightly: install  ## Test what takes minutes, a corpus of the published size too: an hour or more, 25 GB.
	$(BIN)/python -m pytest -m nightly -s tests

# Beside the environment: transformers takes torchvision wherever it is, whatever torch it was built for.
build/timm: pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --target $@ --upgrade --no-deps torchvision timm \
		open_clip_torch ftfy wcwidth
	@touch $@

timm: install build/timm  ## Test the encoders whose towers are timm's or open_clip's.
	PYTHONPATH=build/timm $(BIN)/python -m pytest -p tests.torchvision_ops tests/workers/ranker/encoder

fuzz: install  ## Fuzz every method of a service; REQUESTS=n SEED=s; ends with a line of JSON.
	$(BIN)/python -m tests.system.fuzz_run --requests $(or $(REQUESTS),200000) --seed $(or $(SEED),1)

fuzz-files: install  ## Fuzz every reader of files, guided by coverage; SECONDS=n for each; needs atheris.
	$(BIN)/python -W ignore -m tests.fuzz --seconds $(or $(SECONDS),120) --seed $(or $(SEED),1)

check: install check-deploy  ## Lint, types, import rules, sizes, wire contract, deploy/; needs Node for npx.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.sizes --strict
	$(BIN)/python protos/generate.py --image build/protos.binpb
	$(BUF) lint build/protos.binpb --config protos/buf.yaml --exclude-path google
	$(BUF) breaking build/protos.binpb --config protos/buf.yaml --against protos/released.binpb --exclude-path google

check-deploy: install  ## Manifests and compose files against their schemas, the Dockerfile's lint.
	mkdir -p build
	@if command -v kubectl > /dev/null; then set -x; \
		kubectl kustomize tests/deploy > build/k8s.yaml && \
		$(BIN)/python -m kubernetes_validate --strict --quiet build/k8s.yaml $(wildcard deploy/k8s/*-job.yaml); \
	else echo "deploy/k8s is not checked: kubectl is not installed (https://kubernetes.io/docs/tasks/tools)."; fi
	$(BIN)/python -m check_jsonschema --builtin-schema vendor.compose-spec deploy/compose*.yaml
	$(BIN)/hadolint deploy/Dockerfile

ACCESS ?= access

deploy-k8s:  ## Apply deploy/k8s to the cluster of kubectl's context; ACCESS=the folder of `spr access`.
	kubectl apply --filename deploy/k8s/namespace.yaml
	kubectl --namespace spr create secret generic spr-access --dry-run=client --output yaml \
		$(foreach file,fleet.pem fleet-key.pem authority.pem tokens.toml library.token,--from-file=$(ACCESS)/$(file)) \
		| kubectl apply --filename -
	kubectl apply --kustomize deploy/k8s

# In an environment of its own: it would bring twenty packages into ours.
build/audit/bin/pip-audit:
	$(PYTHON) -m venv build/audit
	-build/audit/bin/pip install --quiet pip-audit

audit: install build/audit/bin/pip-audit  ## Known vulnerabilities of the pinned dependencies; asks PyPI.
	$(BIN)/python -m tests.audit build/audit/bin/pip-audit

quality: install  ## Train and compare the rankers of docs/quality.md; goes on where it was stopped.
	$(BIN)/python -m recipes.quality

chaos: install  ## Break a real service in every way of a table, half an hour; CHAOS="--only kill:ranker".
	$(BIN)/python -m recipes.chaos --json build/chaos/verdict.json $(CHAOS)

MINUTES ?= 2
SEED ?= 1

crash: install  ## Crash processes at random under searches and changes, for MINUTES=2, by SEED=1.
	$(BIN)/python -m recipes.crash --minutes $(MINUTES) --seed $(SEED) --json build/crash/verdict.json

bench: install  ## Time every stage, and write docs/performance.md; 25 minutes, ten more at first.
	$(BIN)/spr bench --out docs/performance
	$(BIN)/python -m bench.planning docs/performance/bench.json

gpu: install  ## Where a GPU is: its tests, then docs/performance-gpu.md; six minutes at most.
	$(BIN)/python -m bench.gpu --out docs/performance-gpu.md

clean:  ## Remove what was built; .venv stays.
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
