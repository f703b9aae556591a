# SPDX-License-Identifier: GPL-2.0-only
#
# Tests of cvbundle and bundle_check, included by cloudvisor/bundle/targets.mk.
#
#   bundle-test   unit tests under sanitizers, cvbundle's command line, boots under QEMU TCG
#   bundle-unit   the unit tests only
#   bundle-fuzz   each libFuzzer target for FUZZ_SECONDS

BUNDLE_TEST_DIR := tests/bundle
BUNDLE_TEST_OUT := build/bundle-test
BUNDLE_TEST_CFLAGS := -std=c17 -D_GNU_SOURCE -g -O1 -fno-omit-frame-pointer $(BUNDLE_WARNINGS) -I. -I$(BUNDLE_TEST_DIR)
BUNDLE_SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=all
BUNDLE_FUZZERS := -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all

BUNDLE_UNITS := $(BUNDLE_TEST_OUT)/test_check $(BUNDLE_TEST_OUT)/test_policy
BUNDLE_FUZZ := $(addprefix $(BUNDLE_TEST_OUT)/,fuzz_check fuzz_policy fuzz_image)
BUNDLE_HEADERS := $(wildcard $(BUNDLE_DIR)/*.h $(BUNDLE_DIR)/*.def $(BUNDLE_TEST_DIR)/*.h)
bundle_of_check := $(BUNDLE_DIR)/bundle_check.c
bundle_of_policy := $(BUNDLE_DIR)/policy.c $(BUNDLE_DIR)/machine.c
bundle_of_image := $(addprefix $(BUNDLE_DIR)/,image.c inspect.c bundle_check.c machine.c)

$(BUNDLE_TEST_OUT)/test_%: $(BUNDLE_TEST_DIR)/test_%.c $(wildcard $(BUNDLE_DIR)/*.c) $(BUNDLE_HEADERS)
	@mkdir -p $(@D)
	@echo CC $<
	@clang $(BUNDLE_TEST_CFLAGS) $(BUNDLE_SANITIZERS) -o $@ $< $(bundle_of_$*) -lcmocka

$(BUNDLE_TEST_OUT)/fuzz_%: $(BUNDLE_TEST_DIR)/fuzz_%.c $(wildcard $(BUNDLE_DIR)/*.c) $(BUNDLE_HEADERS)
	@mkdir -p $(@D)
	@echo CC $<
	@clang $(BUNDLE_TEST_CFLAGS) $(BUNDLE_FUZZERS) -o $@ $< $(bundle_of_$*) $(if $(filter image,$*),-l:libmbedcrypto.a)

.PHONY: bundle-test bundle-unit bundle-fuzz
bundle-unit: $(BUNDLE_UNITS)
	@tests/unit/run $(BUNDLE_UNITS)

bundle-fuzz: $(BUNDLE_FUZZ)
	@tests/fuzz/run $(or $(FUZZ_SECONDS),20) $(BUNDLE_FUZZ)

bundle-test: build/cvbundle $(BUNDLE_UNITS) build/testbed/kernel/version
	@$(BUNDLE_TEST_DIR)/run

ifeq ($(filter tests/targets.mk,$(MAKEFILE_LIST)),)
build/testbed/kernel/version: tests/fetch-kernel
	tests/fetch-kernel build/testbed/kernel
endif
