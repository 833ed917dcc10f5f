# The front door. `make demo` and `make test` set up everything they need by themselves.

.DEFAULT_GOAL := help
.PHONY: help setup python demo test check unit lab lab-down bench crash clean

PYTHON := .venv/bin/python

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:
	@bin/setup

# What needs neither engine nor root.
python:
	@bin/setup --python-only

demo: setup ## Run the main job in the lab: provision, converge, deploy, refuse, roll back, diagnose
	@$(PYTHON) bin/demo.py

test: setup ## Run every test, the lab included
	@$(PYTHON) bin/test.py

check: python ## Run the linters, the types and the contracts: what CI runs first
	@$(PYTHON) bin/check.py

unit: python ## Run the tests that need neither engine nor a run of Ansible
	@$(PYTHON) bin/test.py unit

lab: setup ## Bring up the two hosts and their surroundings
	@$(PYTHON) molecule/lab up

lab-down: python ## Take the lab down; images and package caches stay
	@$(PYTHON) molecule/lab down

bench: setup ## Measure one thing: make bench BENCH=<name>; without a name, list them
	@$(PYTHON) bin/bench.py $(BENCH)

crash: setup ## Strike deploys and rollbacks at every step with every fault; CRASH="--only fault=host" for a part
	@$(PYTHON) bin/crash.py $(CRASH)

clean: ## Take the lab down with its data, and remove build/ and .venv/
	@[ ! -x $(PYTHON) ] || $(PYTHON) molecule/lab down --all
	@rm -rf build .venv .ansible
