# Every command of this project. Each does all the set-up itself, in a fresh clone too; what is
# needed beforehand is Node >= 20.19, a C compiler and make. `make help` lists them.

SHELL := /bin/sh
export PATH := $(CURDIR)/node_modules/.bin:$(CURDIR)/.tools/node_modules/.bin:$(PATH)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup build demo demo-autoscale demo-hosting check test bench format clean distclean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

setup: ## check the machine, fetch pnpm and the dependencies (done by all others too)
	@scripts/setup.sh

build: setup ## compile the native addon and the TypeScript, put the programs into one file each
	@node scripts/build-native.mjs
	@tsc -b
	@node scripts/bundle.mjs

demo: build ## start an Emperor on examples/vassals and show what it does
	@exec node scripts/demo.mjs

demo-hosting: build ## as root: three tenants who cannot see each other (examples/hosting)
	@exec node scripts/demo-hosting.mjs

demo-autoscale: build ## show a site that grows under load and shrinks again
	@exec node scripts/demo-autoscale.mjs

check: setup ## format, lint, build, types, unit tests, transcripts, a short simulation
	@node scripts/check.mjs

test: setup ## every test: unit, transcripts, native, simulation, integration
	@node scripts/test.mjs

bench: build ## measure this Emperor (and uWSGI's, if installed), write docs/performance.md
	@node test/bench/bench.mjs

format: setup ## bring every file into the common form
	@oxfmt .

clean: ## remove what was built
	@rm -rf */dist */build linux/native/build emperor/src/lifecycle/dist test/.tmp
	@find . -name '*.tsbuildinfo' -not -path '*/node_modules/*' -delete

distclean: clean ## remove what was fetched, too
	@rm -rf .tools node_modules */node_modules
