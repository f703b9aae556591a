# SPDX-License-Identifier: GPL-2.0-only
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

all: build/cloudvisor.efi

include cloudvisor/targets.mk
-include cloudvisor/loader/targets.mk
-include tests/targets.mk
-include tests/unit.mk
-include untrusted-hypervisor-harness/targets.mk
