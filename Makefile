# The verbs of this workspace. `make` alone lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run look test every check fmt lint unit e2e node uis fuzz golden crds images budget bench deny clean

CARGO ?= cargo
ARGS ?=

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: check ## Run genkan on a real control plane of its own; KUBECONFIG=F: on that cluster, after asking
	@$(CARGO) build --locked --workspace --bin genkan-e2e
	@exec "$${CARGO_TARGET_DIR:-target}/debug/genkan-e2e" run $(if $(findstring command,$(origin KUBECONFIG)),--kubeconfig '$(KUBECONFIG)') $(ARGS)

look: ## Run genkan for a first look: no Kubernetes, a folder of manifests
	@sh e2e/tools/prerequisites look
	@$(CARGO) build --locked --workspace --bin genkan-e2e
	@exec "$${CARGO_TARGET_DIR:-target}/debug/genkan-e2e" run --directory $(ARGS)

test: check fmt lint every deny ## Prove everything: format, lints, unit tests, scenarios on a real control plane

every: # One invocation, so that nothing is compiled twice with different features.
	$(CARGO) test --locked --workspace --no-fail-fast

check: ## Look for what has to be installed
	@sh e2e/tools/prerequisites

fmt: ## Check the format
	$(CARGO) fmt --all --check

lint: ## Run clippy
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

unit: ## Run the tests that need no control plane
	$(CARGO) test --locked --workspace --exclude genkan-e2e

e2e: ## Run the scenarios; ARGS='part of a name' chooses some
	$(CARGO) test --locked --workspace --test suites --test readme -- $(ARGS)

node: ## Install the charts on a real node with containerd, where the machine can
	$(CARGO) test --locked --workspace --test suites -- node:: $(ARGS)

uis: ## Use known web UIs in a browser, by host and below a path; fetches them once
	GENKAN_UIS=all $(CARGO) test --locked --workspace --test uis -- $(ARGS)

fuzz: ## Give each parser of what comes from outside ten minutes of edited input
	GENKAN_FUZZ_SECONDS=600 $(CARGO) test --locked --workspace --test fuzz -- --nocapture $(ARGS)

golden: ## Rewrite the golden files; read the difference before committing it
	GENKAN_REWRITE=1 $(CARGO) test --locked --workspace

crds: ## Write the definitions, and their chart, from the types
	GENKAN_REWRITE=1 $(CARGO) test --locked -p genkan-crds --test drift

images: ## Build the static programs, an image of each and its SBOM in target/images; needs buildah
	@command -v buildah >/dev/null 2>&1 || { echo "missing: buildah, which builds the images (Debian: apt-get install buildah)" >&2; exit 1; }
	@host=$$(rustc -vV | sed -n 's/^host: //p'); target="$${CARGO_TARGET_DIR:-target}"; \
	RUSTFLAGS='-C target-feature=+crt-static' $(CARGO) build --locked --workspace --release --target "$$host" --bin genkan --bin genkan-dataplane && \
	sh images/build "$$target/$$host/release/genkan" "$$target/$$host/release/genkan-dataplane" "$$target/images" \
		"$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)" && \
	sh images/verify "$$target/images" && sh images/sbom "$$target/images" "$$host"

budget: ## Check what a request costs the programs that `make images` built against e2e/budget.json; needs valgrind
	@host=$$(rustc -vV | sed -n 's/^host: //p'); release="$$(realpath "$${CARGO_TARGET_DIR:-target}/$$host/release")"; \
	export GENKAN_BUDGET=published GENKAN_BIN="$$release/genkan" GENKAN_DATAPLANE_BIN="$$release/genkan-dataplane"; \
	$(CARGO) test --locked --workspace --test budget -- --nocapture

bench: ## Build the programs as published, and print tables of what they cost; takes some minutes
	$(CARGO) build --locked --workspace --release --bin genkan --bin genkan-dataplane --example bare
	@release="$${CARGO_TARGET_DIR:-target}/release"; \
	export GENKAN_BARE_BIN="$$(realpath "$$release/examples/bare")" GENKAN_BIN="$$(realpath "$$release/genkan")" GENKAN_DATAPLANE_BIN="$$(realpath "$$release/genkan-dataplane")"; \
	$(CARGO) bench --locked --workspace --bench lookup --bench links --bench strict --bench callers --bench connectors --bench policies --bench scale --bench cost --bench instructions

deny: ## Check licences, advisories and duplicate dependencies, where cargo-deny is installed
	@if command -v cargo-deny >/dev/null 2>&1; then $(CARGO) deny --workspace check; else echo "cargo-deny is not installed: licences and advisories are not checked"; fi

clean: ## Remove what was built here; the Kubernetes programs stay in the cache
	$(CARGO) clean
	rm -rf .genkan
