# Everything a person does here, in one word each.

SHELL := /bin/bash
PYTHON ?= python3
DATA ?=
VIEW ?=
ARGS ?=
# How many processes run tests side by side.
JOBS ?= 2
# The workspace's messages must be found; .venv/bin first, so that `python` is ours.
IN_WORKSPACE := . install/setup.bash && export PATH="$(CURDIR)/.venv/bin:$$PATH" &&

.PHONY: help setup demo pictures test gpu lint format docs clean

help: ## show these lines
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: .*## /\t/' | expand -t 10

setup: ## make .venv and build the workspace; a second run takes seconds
	@$(PYTHON) scripts/set_up.py

demo: setup ## map a simulated table and ask it; DATA=folder maps a recording, VIEW=1 shows it
	@.venv/bin/lerf_ros demo $(if $(DATA),--data $(DATA)) $(if $(VIEW),--view) $(ARGS)

pictures: setup ## make the pictures of README and docs, from the demo and the viewer
	@-.venv/bin/lerf_ros demo --output build/pictures
	@$(IN_WORKSPACE) python tools/pictures.py --demo build/pictures

test: setup ## run every test that this machine can run; ARGS="-k pattern" chooses
	@$(IN_WORKSPACE) python -m pytest -n $(JOBS) --no-loadscope-reorder $(ARGS)

gpu: ## prove and measure every CUDA path, at most six minutes; no ROS and no network needed
	@PATH="$(CURDIR)/.venv/bin:$$PATH" python3 benchmarks/gpu.py $(ARGS)

lint: setup ## check style and types
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

format: setup ## put the code into its format
	@.venv/bin/ruff check --fix . && .venv/bin/ruff format .

docs: setup ## build the API documentation into docs/api
	@$(IN_WORKSPACE) python -m pdoc -o docs/api lerf_ros '!lerf_ros.field.encoding.tcnn' \
		'!lerf_ros.field.encoding.triton_kernels' '!lerf_ros.nodes.launching'

clean: ## remove what setup, test and demo made
	rm -rf .venv build install log demo_output docs/api report *.egg-info
