# gd_jax: `make help` lists what there is.
PYTHON ?= python3
EXTRA ?=
ARGS ?=
BIN := .venv/bin
MNIST := $(wildcard ../shared/mnist)
# The constraints are what was tested on CPU; an accelerator brings its own JAX.
PINS := $(if $(EXTRA),,-c constraints.txt)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Tests and what they start are compiled briefly; `make claims` as shipped.
DAILY := $(BIN)/pytest -n 2 --dist=loadscope --no-loadscope-reorder \
  --compile-briefly -m 'not claims and not torch'
NEXT = @printf '\nNext:\n  . .venv/bin/activate\n'

.PHONY: help compare train descend mnist textbook bench test claims coverage torch clean
.DEFAULT_GOAL := help

help:
	@echo 'make compare   the tournament on the shipped digits    1 min,  1.1 GB'
	@echo 'make test      format, lint, types and all tests       6 min,  2.9 GB'
	@echo 'make mnist     the book'"'"'s network on MNIST              1 min,  2.4 GB'
	@echo 'make train     one network; ARGS='"'"'--epochs=30'"'"' passes flags'
	@echo 'make textbook  every claim of the textbooks, on a page  2 min'
	@echo 'make bench     how fast, how near to the roof          2 min'
	@echo 'make descend   pictures of descent; ARGS='"'"'--surface=ravine'"'"''
	@echo 'make claims    full distributions and fault campaigns  40 min'
	@echo 'make coverage  which lines of gd_jax/ the tests run     10 min'
	@echo 'make torch     parity with PyTorch; installs it'
	@echo 'EXTRA=cuda or EXTRA=tpu installs that JAX; PYTHON=python3.12 chooses Python'

.venv/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and \
	  f"{sys.executable} is Python {v[0]}.{v[1]}: gd_jax needs 3.11 or newer, \
	  give one with make PYTHON=python3.12")'
	@$(PYTHON) -m venv .venv || { \
	  echo 'python -m venv failed: install it (Debian: apt-get install \
	python3-venv)'; rm -rf .venv; exit 1; }

# A stamp an extra: a second make installs nothing again.
.venv/.with-%: pyproject.toml constraints.txt | .venv/bin/python
	@echo 'Installing gd_jax$(if $(filter base,$*),, [$*]) into .venv ...'
	@$(PIP) $(if $(filter cuda tpu,$*),,-c constraints.txt) \
	  -e '.$(if $(filter base,$*),,[$*])'
	@touch $@

BASE := .venv/.with-$(or $(EXTRA),base)

compare: $(BASE)
	@$(BIN)/python -m experiments.compare $(ARGS)
	$(NEXT)
	@echo '  python -m experiments.compare --optimizers=sgd,optax:lion'
	@echo '  make mnist'

train: $(BASE)
	@$(BIN)/python -m experiments.train $(ARGS)
	$(NEXT)
	@echo '  python -m experiments.train --help'

descend: $(BASE)
	@$(BIN)/python -m experiments.descend $(ARGS)
	$(NEXT)
	@echo '  python -m experiments.descend --help'

textbook: $(BASE)
	@$(BIN)/python -m experiments.textbook $(ARGS)
	$(NEXT)
	@echo '  python -m experiments.descend --surface=two_minima'

bench: $(BASE)
	@$(BIN)/python -m experiments.benchmark $(ARGS)
	$(NEXT)
	@echo '  python -m experiments.benchmark --help'

mnist: .venv/.with-tfds
	@$(BIN)/python -m experiments.train --dataset=mnist \
	  $(if $(MNIST),--manual_dir=$(MNIST)) --layer_sizes=784,30,10 \
	  --batch_size=10 --learning_rate=3 --epochs=30 --init=normal $(ARGS)
	$(NEXT)
	@echo '  python -m experiments.compare --dataset=mnist --epochs=10'

test: .venv/.with-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@mkdir -p build; $(BIN)/pyright > build/types.txt 2>&1 & types=$$!; \
	  trap "kill $$types; exit 130" INT TERM; $(DAILY); tests=$$?; \
	  wait $$types; sound=$$?; cat build/types.txt; \
	  test $$sound = 0 && exit $$tests
	$(NEXT)
	@echo '  make claims'

claims: .venv/.with-test
	$(BIN)/pytest -n 2 -m claims -rA
	$(BIN)/pytest -n 2 --dist=loadscope --no-loadscope-reorder \
	  -m 'not claims and not torch'
	$(NEXT)
	@echo '  make torch'

coverage: .venv/.with-test
	rm -rf build/coverage && mkdir -p build/coverage
	$(BIN)/coverage run -m $(notdir $(DAILY))
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	$(NEXT)
	@echo '  python -m tests.mutate --seed=1 --lines=10'

torch: .venv/.with-torch .venv/.with-test
	$(BIN)/pytest -m torch
	$(NEXT)
	@echo '  python -m experiments.compare --certify'

clean:
	rm -rf .venv build runs
