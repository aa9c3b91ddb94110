# `make run` and `make test` are all that is needed; each sets up what it needs on a machine with Python 3.11+ and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
IN := .venv/bin/python
STACK := $(IN) -m deploy.local.stack
# Extra arguments, as in: make test TESTS="tests/domain -k promise"
TESTS ?=

.PHONY: rebuild help run up stop status scale clean clean-venv test chaos sim restore-drill lint bench parked redrive skip step-over trace audit migration environment
.DEFAULT_GOAL := help

help: ## say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

run: environment ## start everything, feed the sample quarter, print what came of it, stay until Ctrl-C (ONCE=1: end then)
	@$(STACK) run

up: environment ## start only servers, topics, databases and the sample outside world
	@$(STACK) up

stop: environment ## stop what `make run` started
	@$(STACK) stop

status: environment ## say what runs, where, and how much memory it takes
	@$(STACK) status

scale: environment ## give SERVICE of the running stack N processes (make scale SERVICE=cash_application N=3)
	@$(STACK) scale $(SERVICE) $(N)

clean: environment ## remove all data of the stack (downloads stay)
	@$(STACK) clean

clean-venv: ## remove the Python environment
	rm -rf .venv

test: environment ## run all tests, on a real Kafka and a real PostgreSQL that it starts
ifeq ($(strip $(TESTS)),)
	@$(IN) -m pytest -q -n 2 --dist loadfile -m "not system"
	@$(IN) -m pytest -q -m "system and not chaos"
else
	@$(IN) -m pytest -q $(TESTS)
endif

chaos: environment ## kill, freeze and cut everything in turn, at moments drawn from SEED (SEED=2 draws others)
	@RECOUP_CHAOS_SEED=$(or $(SEED),1) $(IN) -m pytest -q -m chaos

restore-drill: environment ## lose the database of SERVICE under load, restore it, go on, audit, on a stack of its own (BACKUP=older: without its WAL)
	@$(IN) -m deploy.local.restore_drill $(SERVICE) $(if $(BACKUP),--backup $(BACKUP))

sim: environment ## play SEEDS seeds of the simulation (TIER=runtime or service); SEED=n replays one (runtime: FIRST=n, LOG=file)
ifeq ($(TIER),service)
	@$(IN) -m tests.sim.service $(if $(SEED),--seeds 1 --first $(SEED),--seeds $(or $(SEEDS),20))
else
	@$(IN) -m tests.sim $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),1000) $(if $(FIRST),--first $(FIRST)) $(if $(LOG),--log $(LOG)))
endif

lint: environment ## ruff, rules and format
	@$(IN) -m ruff check .
	@$(IN) -m ruff format --check .

bench: environment ## measure everything in one table against its targets, about 20 minutes (ONLY="relay chain": only these)
	@mkdir -p .local
	@$(IN) -m tests.bench --out .local/bench.json $(foreach name,$(ONLY),--only $(name))

parked: environment ## list what is parked, of SERVICE or of all: why, which event, what waits behind it
	@$(STACK) parked $(SERVICE)

redrive: environment ## run parked events of SERVICE again, in order (make redrive SERVICE=collections KEY=vdr-eu/C-1001, or KEY=ALL)
	@$(STACK) redrive $(SERVICE) "$(KEY)"

skip: environment ## ask to leave out the first event of KEY in SERVICE (REASON="…"), or approve that (SHA256=…); BY= names the person
	@$(STACK) skip $(SERVICE) "$(KEY)" --reason "$(REASON)" --sha256 "$(SHA256)" --by "$(BY)"

step-over: environment ## ask to move the cursor of a stopped partition (SERVICE= TOPIC= PARTITION= AT= TO= REASON="…"), or approve that (SHA256=…)
	@$(STACK) step-over "$(SERVICE)" "$(TOPIC)" "$(PARTITION)" --at "$(AT)" --to "$(TO)" --reason "$(REASON)" --sha256 "$(SHA256)" --by "$(BY)"

rebuild: environment ## build the projections of SERVICE (reporting; the items of collections, notifications) anew, compare, swap (ACCEPT=1: although they differ)
	@$(STACK) rebuild $(SERVICE) $(if $(ACCEPT),--accept-differences)

trace: environment ## tell the story of a payment, invoice, item, notice or submission (ID=pay_..., ID=R-2026-0017)
	@$(IN) -m deploy.local.trace "$(ID)"

audit: environment ## prove the books of the running stack from its stores, log and bank files
	@$(STACK) audit

migration: environment ## write the next migration of SERVICE (make migration SERVICE=ingest MESSAGE="add a column")
	@$(STACK) migration $(SERVICE) "$(MESSAGE)"

environment:
	@test -n "$(PYTHON)" || { echo "No python3 on the PATH: install Python 3.11 or newer, or run make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) deploy/local/environment.py
