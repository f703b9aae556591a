# SPDX-License-Identifier: GPL-2.0-only
# cvctl, the host's tool, and its tests. Included by the top-level Makefile; run from the root.

CVCTL_FILES := $(addprefix cloudvisor/cvctl/,cvctl.c stats.c vms.c)
CVCTL_HEADERS := $(wildcard cloudvisor/cvctl/*.h) cloudvisor/hypercall.h cloudvisor/stats.def cloudvisor/vm_stops.def \
	nested-vmx/vmx_bits.h
CVCTL_CFLAGS := -std=c17 -I. -Wall -Wextra -Wconversion -Wshadow -Wvla -Werror -ffile-prefix-map=$(CURDIR)=.

build/cvctl: $(CVCTL_FILES) cloudvisor/cvctl/layer.c $(CVCTL_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(CVCTL_CFLAGS) -O2 -static -Wl,--build-id=none $(filter %.c,$^) -o $@

# The same with a file of answers in the layer's place.
build/cvctl-test/cvctl: $(CVCTL_FILES) tests/cvctl/fake_layer.c $(CVCTL_HEADERS)
	@mkdir -p $(@D)
	clang $(CVCTL_CFLAGS) -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all $(filter %.c,$^) -o $@

.PHONY: cvctl-test
cvctl-test: build/cvctl-test/cvctl ## cvctl on a layer that is a file of answers; its completion and man page
	@tests/cvctl/run $<
