# `make demo` and `make test` need Python ≥ 3.11, gcc and a package index, and do the rest themselves.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The folders kernels/, query/ and eval/ must not be importable by their bare names.
export PYTHONSAFEPATH := 1

.DEFAULT_GOAL := help

.PHONY: help
help:  ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

$(VENV)/base: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=…")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/full: $(VENV)/base
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		-e '.[documents,eval,dense,torch,train,serve,mcp,watch,dev]'
	touch $@

$(VENV)/peers: $(VENV)/full
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[peers]'
	touch $@

$(VENV)/frameworks: $(VENV)/full
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[frameworks]'
	touch $@

.PHONY: frameworks
frameworks: $(VENV)/frameworks  ## Install the frameworks that lsr.integrations has a module for, for their tests

.PHONY: setup
setup: $(VENV)/full  ## Make the virtual environment .venv with everything but the benchmark peers

.PHONY: demo
demo: $(VENV)/base  ## Index the documentation of Python and search it
	@$(BIN)/python -m lsr.cli.demo

.PHONY: test
test: $(VENV)/full  ## Run the tests (ARGS=--large for the large ones as well)
	$(BIN)/pytest --numprocesses 2 --dist worksteal $(ARGS)

.PHONY: reference
reference: $(VENV)/base  ## Write the commands' pages in docs/commands from their parsers
	$(BIN)/python -m lsr.cli.reference docs/commands
	$(BIN)/python -m lsr.cli.formats_table docs/CORPORA.md

build/demo/index: | $(VENV)/base
	$(BIN)/python -m lsr.cli.demo

.PHONY: picture
picture: $(VENV)/full build/demo/index  ## Make README's picture of the search page, with chromium
	$(BIN)/python .ci/picture.py

.PHONY: lowest
lowest: $(VENV)/base  ## Run the kernel tests with the lowest versions that pyproject.toml promises
	$(BIN)/python .ci/lowest.py

.PHONY: lint
lint: $(VENV)/full  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python .ci/types.py

SHARED ?= $(or $(LSR_SHARED),../shared)
DATASETS ?= $(wildcard $(addprefix $(SHARED)/data/beir/,scifact nfcorpus cranfield cacm))

.PHONY: eval
eval: $(VENV)/full  ## Print the evaluation tables of BM25 and the bundled models for DATASETS, BEIR folders
	$(if $(DATASETS),,$(error no test collections in $(SHARED)/data/beir: make eval DATASETS="FOLDER …"))
	$(BIN)/lsr eval $(DATASETS) --encoder bm25 default --hybrid --threads 2 --output build/eval
	$(BIN)/lsr eval $(DATASETS) --encoder bm25 fast --threads 2 --output build/eval-fast

.PHONY: hybrid
hybrid: $(VENV)/full  ## Print quality and cost of hybrid searches, BM25 with all-MiniLM-L6-v2, for DATASETS
	$(if $(DATASETS),,$(error no test collections in $(SHARED)/data/beir: make hybrid DATASETS="FOLDER …"))
	$(BIN)/lsr eval $(DATASETS) --encoder bm25 --hybrid --dense all-MiniLM-L6-v2 --dtype bfloat16 \
		$(addprefix --fusion ,min-max tm2c2 z-score rrf dbsf) --feedback --measures nDCG@10 Recall@100
	$(BIN)/python -m lsr.eval.bench.hybrid

TEXTS := $(SHARED)/data/text
TRAINING := build/train
PAIRS := $(SHARED)/data/train/pairs.parquet $(TRAINING)/wikipedia.parquet
# TRAIN_OPTIONS: for all three trainings, as in make train TRAIN_OPTIONS="--set train.steps=50" TRAINING=/tmp/short.
# Arguments of train-part: the training's letter, its examples, and options that its config doesn't have.
train-part = $(BIN)/lsr train lsr/models/lsr-mini-v1-$(1).toml --output $(TRAINING)/lsr-mini-v1-$(1) --data $(2) \
	$(3) $(TRAIN_OPTIONS) $(if $(wildcard $(TRAINING)/lsr-mini-v1-$(1)/checkpoints/*),--resume)

.PHONY: train
train: $(VENV)/full  ## Train the bundled model, for some hours; run again, it resumes
	$(if $(wildcard $(TEXTS)),,$(error no training texts in $(TEXTS)))
	mkdir -p $(TRAINING)
	test -f $(TRAINING)/wikipedia.parquet || $(BIN)/lsr mine $(TEXTS)/wikipedia.parquet --make-queries --sample 0.12 \
		--seed 1 --output $(TRAINING)/wikipedia.parquet
	test -f $(TRAINING)/mined.parquet || $(BIN)/lsr mine $(PAIRS) --encoder bm25 --negatives 2 --depth 20 \
		--seed 1 --output $(TRAINING)/mined.parquet
	test -d $(TRAINING)/lsr-mini-v1-a/model || $(call train-part,a,$(PAIRS),\
		--set 'encoder.fit_head={files = ["$(TEXTS)/wikipedia.parquet"]}')
	test -d $(TRAINING)/lsr-mini-v1-b/model || $(call train-part,b,$(PAIRS),\
		--set 'encoder.start="$(TRAINING)/lsr-mini-v1-a/model"')
	test -d $(TRAINING)/lsr-mini-v1-c/model || $(call train-part,c,$(TRAINING)/mined.parquet,\
		--set 'encoder.start="$(TRAINING)/lsr-mini-v1-b/model"')
	$(BIN)/python -m lsr.training.model.package_model $(TRAINING)/lsr-mini-v1-c/model lsr/models/lsr-mini-v1 \
		--words 5 --words-beside-dense 15 --rarity 0.3 --threshold 0.3 --texts $(TEXTS)/wikipedia.parquet

NEXT := $(TRAINING)/next

.PHONY: train-next
train-next: $(VENV)/full  ## Train the bundled model further, taught by its own hybrid; run again, it resumes
	$(if $(wildcard $(TEXTS)),,$(error no training texts in $(TEXTS)))
	mkdir -p $(NEXT)
	test -f $(NEXT)/wikipedia.parquet || $(BIN)/lsr mine $(TEXTS)/wikipedia.parquet --make-queries --sample 0.02 \
		--seed 23 --output $(NEXT)/wikipedia.parquet
	test -f $(NEXT)/examples.parquet || $(BIN)/python -m lsr.training.mining.example_pool \
		$(SHARED)/data/train/pairs.parquet $(NEXT)/wikipedia.parquet --output $(NEXT) --phrases 14000 --seed 23 \
		--most acl_anthology=8000 medquad=3500 wiki_qa_weak=3000 scitldr=2700 win32_docs=2000 fairytaleqa=1500 \
		wikipedia=4500
	ls $(NEXT)/index/manifest-* >/dev/null 2>&1 || $(BIN)/lsr index $(NEXT)/pool.jsonl --index $(NEXT)/index --dense joint \
		--no-passages
	$(BIN)/lsr train lsr/models/lsr-mini-v2.toml --output $(TRAINING)/lsr-mini-v2 --data $(NEXT)/examples.parquet \
		--set 'data.topic_model="index:$(NEXT)/index"' --set 'teacher=[{name="index:$(NEXT)/index"}]' \
		$(TRAIN_OPTIONS) $(if $(wildcard $(TRAINING)/lsr-mini-v2/checkpoints/*),--resume)

.PHONY: train-fast
train-fast: $(VENV)/full  ## Make the bundled encoder without a transformer, for some minutes; run again, it resumes
	$(if $(wildcard $(TEXTS)),,$(error no training texts in $(TEXTS)))
	$(BIN)/python -m lsr.training.static.make lsr/models/lsr-static-v1 --pairs $(SHARED)/data/train/pairs.parquet \
		--texts $(TEXTS)/wikipedia.parquet --work $(TRAINING)/static

METHODS := build/methods

.PHONY: methods
methods: $(VENV)/full  ## Train each method and the same without its idea, and measure both; run again, it resumes
	$(if $(wildcard $(TEXTS)),,$(error no training texts in $(TEXTS)))
	mkdir -p $(METHODS)
	test -f $(METHODS)/pairs.parquet || $(BIN)/lsr mine $(SHARED)/data/train/pairs.parquet --sample 0.05 \
		--encoder bm25 --negatives 1 --depth 30 --seed 1 --output $(METHODS)/pairs.parquet
	$(BIN)/python -m lsr.training.comparison.make $(METHODS) $(DATASETS) --pairs $(METHODS)/pairs.parquet \
		--texts $(TEXTS)/wikipedia.parquet
	$(BIN)/python -m lsr.eval.bench.methods.table $(METHODS) $(DATASETS) --max-length 80 --dtype bfloat16

.PHONY: bench
bench: $(VENV)/peers  ## Time the engine against its peers
	$(BIN)/lsr bench --peers
