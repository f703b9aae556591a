# SPDX-License-Identifier: GPL-2.0-only
#
# CloudVisor. `make help` lists the targets; `make run` and `make test` install the Debian packages that they need.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

.PHONY: all cloudvisor help test reproducible clean
all: cloudvisor ## build cloudvisor.efi and the host's tool cvctl
cloudvisor: build/cloudvisor.efi build/cvctl

include crypto/targets.mk
include cloudvisor/targets.mk
include cloudvisor/loader/targets.mk
include cloudvisor/cvctl/targets.mk
include tests/targets.mk
include tests/unit.mk
include untrusted-hypervisor-harness/targets.mk
-include cloudvisor/bundle/targets.mk
-include attest/targets.mk
-include tests/tpm/targets.mk

# Emulator runs come one after another, so that two cores suffice; the build itself may use both.
TEST_MAKE = $(MAKE) --no-print-directory
test: packages ## all tests: host, conformance, hostile hypervisor, stock KVM; ends with 'N passed, N failed'
	@$(TEST_MAKE) -j2 all harness >build/test-build.log 2>&1 || { tail -n 40 build/test-build.log; exit 1; }
	@tests/suite \
	    unit "$(TEST_MAKE) unit" \
	    fuzz "$(TEST_MAKE) fuzz FUZZ_SECONDS=5" \
	    lint "$(TEST_MAKE) lint" \
	    size "$(TEST_MAKE) size" \
	    reproducible "$(TEST_MAKE) reproducible" \
	    crypto-link "$(TEST_MAKE) crypto-link-check" \
	    cvctl "$(TEST_MAKE) cvctl-test" \
	    host-tools "$(TEST_MAKE) host-test" \
	    bundle "$(TEST_MAKE) bundle-test" \
	    attest "$(TEST_MAKE) attest-test" \
	    loader "$(TEST_MAKE) loader-test" \
	    conformance "$(TEST_MAKE) conformance" \
	    guests "$(TEST_MAKE) harness-layer HARNESS_SUITE=guests" \
	    hostile "$(TEST_MAKE) harness-layer HARNESS_SUITE=hostile" \
	    attacks "$(TEST_MAKE) attacks" \
	    kvm "$(TEST_MAKE) kvm-test"

reproducible: build/cloudvisor.efi ## build cloudvisor.efi once more, elsewhere, and compare
	@tests/reproducible build/cloudvisor.efi

help: ## this list
	@echo "CloudVisor: make TARGET [VARIABLE=value]"
	@cat $(MAKEFILE_LIST) | awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  %-18s %s\n", $$1, $$2 }'
	@echo "Options of 'make run' are listed by tests/run --help."

clean: ## remove everything that was built, but for the downloaded kernel
	find build -mindepth 1 -maxdepth 1 ! -name testbed -exec rm -rf {} +
