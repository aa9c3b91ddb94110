# `make run` and `make test` are all that is needed; each sets up what it needs on a machine with Python 3.11+ and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
IN := .venv/bin/python
STACK := $(IN) -m deploy.local.stack
# Extra arguments, as in: make test TESTS="tests/domain -k promise"
TESTS ?=

.PHONY: help run up stop status clean clean-venv test lint bench redrive audit migration environment
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

clean: environment ## remove all data of the stack (downloads stay)
	@$(STACK) clean

clean-venv: ## remove the Python environment
	rm -rf .venv

test: environment ## run all tests, on a real Kafka and a real PostgreSQL that it starts
ifeq ($(strip $(TESTS)),)
	@$(IN) -m pytest -q -n 2 --dist loadfile -m "not system"
	@$(IN) -m pytest -q -m system
else
	@$(IN) -m pytest -q $(TESTS)
endif

lint: environment ## ruff, rules and format
	@$(IN) -m ruff check .
	@$(IN) -m ruff format --check .

bench: environment ## measure: events/s, statements per batch, ratio to a plain COPY, latency
	@$(IN) -m tests.bench

redrive: environment ## run the parked events of SERVICE again, in order (make redrive SERVICE=collections)
	@$(STACK) redrive $(SERVICE)

audit: environment ## prove the books of the running stack from its stores, log and bank files
	@$(STACK) audit

migration: environment ## write the next migration of SERVICE (make migration SERVICE=ingest MESSAGE="add a column")
	@$(STACK) migration $(SERVICE) "$(MESSAGE)"

environment:
	@test -n "$(PYTHON)" || { echo "No python3 on the PATH: install Python 3.11 or newer, or run make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) deploy/local/environment.py
