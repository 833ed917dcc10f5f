# The front door. `make demo` and `make test` set up everything they need by themselves.

.DEFAULT_GOAL := help
.PHONY: help setup demo test check unit lab lab-down bench clean

PYTHON := .venv/bin/python

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing on this machine (run by the other targets)
	@bin/setup

demo: setup ## Run the main job in the lab: provision, converge, deploy, refuse, roll back, diagnose
	@$(PYTHON) bin/demo.py

test: ## Run every test, the lab included
	@bin/test

check: setup ## Run the linters, the types and the contracts: what CI runs first
	@bin/check

unit: setup ## Run the tests that need no engine
	@bin/unit

lab: setup ## Bring up the two hosts and their surroundings
	@$(PYTHON) molecule/lab up

lab-down: ## Take the lab down; images and package caches stay
	@$(PYTHON) molecule/lab down

bench: setup ## Measure one thing: make bench BENCH=<name>
	@bin/bench "$(BENCH)"

clean: ## Remove build/ and .venv/ (take the lab down first)
	@rm -rf build .venv .ansible
