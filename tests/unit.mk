# SPDX-License-Identifier: GPL-2.0-only
#
# Host-side tests of the layer's logic: unit tests, fuzzers, lints and the size of the trusted layer. Included by the
# top-level Makefile; also works alone: make -f tests/unit.mk unit.
#
#   unit       cmocka tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   fuzz       each libFuzzer target for FUZZ_SECONDS seconds with a fixed seed; fuzz-long for FUZZ_LONG_SECONDS
#   mutants    breaks FILE in one place at a time and shows what the unit test TEST does not notice, such as
#              make mutants TEST=entry_checks FILE=nested-vmx/entry_checks.c
#   lint       house rules (tests/lint), clang-format, warnings of both compilers, clang-tidy
#   format     rewrites the C files as .clang-format says
#   size       lines that end up in root mode, by folder

BUILD ?= build
UNIT_CC ?= clang
FUZZ_SECONDS ?= 20
FUZZ_LONG_SECONDS ?= 600

comma := ,
unit_warnings := -Wall -Wextra -Wconversion -Wshadow -Wvla -Werror
unit_includes := -Itests/unit/fake -I. -Itests/unit
unit_flags := -std=c17 -D_GNU_SOURCE -g -O1 -fno-omit-frame-pointer $(unit_warnings) $(unit_includes) \
	-fsanitize=address,undefined -fno-sanitize-recover=all

# One program per line: its own file is tests/unit/test_<name>.c, and it links these files of the layer.
unit_tests := fields caps entry_checks decode frames ept ept12 mtrr host_ept ept02 host_memory nested nested_exits nested_operands conf loader \
	page_crypt random crypto_heap vm_cpuid vm_msrs vm_registers vm vm_pages vm_large \
	protected protected_exits
unit_fields := nested-vmx/vmcs_fields.c
unit_caps := nested-vmx/vmx_caps.c
unit_entry_checks := nested-vmx/entry_checks.c nested-vmx/vmx_caps.c
unit_decode := cloudvisor/decode.c
unit_frames := ept-guard/frames.c
unit_guard := $(addprefix ept-guard/,frames.c ept.c ept12.c ept02.c host_ept.c mtrr.c) \
	tests/unit/fake/fake_hw.c tests/unit/fake/fake_layer.c
unit_ept := $(unit_guard)
unit_ept12 := $(unit_guard) nested-vmx/vmx_caps.c
unit_mtrr := $(unit_guard)
unit_host_ept := $(unit_guard)
unit_ept02 := $(filter-out %/ept02.c,$(unit_guard)) nested-vmx/vmx_caps.c
unit_host_memory := $(unit_guard) cloudvisor/host_memory.c
unit_guard_ept02 := $(filter-out %/ept02.c,$(unit_guard)) tests/unit/fake/fake_ept02.c
unit_nested := $(unit_guard_ept02) tests/unit/fake/fake_host.c \
	$(addprefix nested-vmx/,entry.c entry_checks.c exit.c instructions.c merge.c vmcs_fields.c vmx_caps.c) \
	$(addprefix cloudvisor/,host_memory.c intercepts.c vmcs01.c)
unit_nested_exits := $(unit_nested)
unit_nested_operands := $(unit_nested)
unit_conf := cloudvisor/loader/conf.c cloudvisor/loader/text.c
unit_loader := $(addprefix cloudvisor/loader/,acpi_power.c layer_image.c memory_map.c root_tables.c suitability.c text.c tsc.c) \
	nested-vmx/vmx_caps.c
# The library is the static one that the layer links.
CRYPTO_LIBRARY ?= /usr/lib/x86_64-linux-gnu/libmbedcrypto.a
unit_page_crypt := crypto/vector_state.S $(CRYPTO_LIBRARY)
unit_random := $(CRYPTO_LIBRARY)
unit_crypto_heap := $(CRYPTO_LIBRARY)
unit_vm_cpuid := cloudvisor/vm_cpuid.c tests/unit/fake/fake_hw.c
unit_vm_msrs := $(addprefix cloudvisor/,vm_msrs.c intercepts.c pool.c) tests/unit/fake/fake_hw.c \
	$(unit_entry_checks)
unit_vm_registers := cloudvisor/vm_registers.c tests/unit/fake/fake_hw.c
unit_fake_vm := tests/unit/fake/fake_vm.c crypto/vector_state.S $(CRYPTO_LIBRARY)
unit_vm_pages := $(unit_guard_ept02) nested-vmx/vmx_caps.c $(unit_fake_vm)
unit_vm_large := $(unit_vm_pages)
unit_vm := $(unit_vm_pages)
unit_protected := $(unit_nested) $(unit_fake_vm) tests/unit/fake/fake_protected.c \
	nested-vmx/protected.c nested-vmx/protected_exits.c cloudvisor/bundle/bundle_check.c \
	$(addprefix cloudvisor/,decode.c host_cr.c vm_cpuid.c vm_msrs.c vm_registers.c)
unit_protected_exits := $(unit_protected)

unit_dir := $(BUILD)/unit
unit_objects = $(patsubst %.c,$(unit_dir)/obj/%.o,tests/unit/test_$(1).c $(unit_$(1)))

$(unit_dir)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(UNIT_CC) $(unit_flags) -MMD -MP -c -o $@ $<

define unit_program
$(unit_dir)/test_$(1): $(call unit_objects,$(1))
	$$(UNIT_CC) $$(unit_flags) -o $$@ $$^ -lcmocka
endef
$(foreach t,$(unit_tests),$(eval $(call unit_program,$(t))))

unit_programs := $(unit_tests:%=$(unit_dir)/test_%)

$(unit_dir)/decode_dump: $(patsubst %.c,$(unit_dir)/obj/%.o,tests/unit/decode_dump.c cloudvisor/decode.c)
	$(UNIT_CC) $(unit_flags) -o $@ $^

$(unit_dir)/decode_objdump: tests/unit/decode_objdump $(unit_dir)/decode_dump
	printf '#!/bin/sh\nexec tests/unit/decode_objdump $(unit_dir)/decode_dump\n' >$@
	chmod +x $@

unit_programs += $(unit_dir)/decode_objdump

.PHONY: unit
unit: $(unit_programs)
	tests/unit/run $(unit_programs)

.PHONY: mutants
mutants:
	nice tests/unit/mutants $(TEST) $(FILE) $(unit_$(TEST))

fuzz_targets := decode entry_checks fields ept nested conf protected
fuzz_decode := $(unit_decode)
fuzz_entry_checks := $(unit_entry_checks)
fuzz_fields := $(unit_fields)
fuzz_ept := $(unit_ept02)
fuzz_nested := $(unit_nested)
fuzz_conf := $(unit_conf)
fuzz_protected := $(unit_protected)

fuzz_dir := $(BUILD)/fuzz
fuzz_flags := $(subst -fsanitize=address,-fsanitize=fuzzer-no-link$(comma)address,$(unit_flags)) -Itests/fuzz
fuzz_objects = $(patsubst %.c,$(fuzz_dir)/obj/%.o,tests/fuzz/fuzz_$(1).c $(fuzz_$(1)))

$(fuzz_dir)/obj/%.o: %.c
	@mkdir -p $(@D)
	clang $(fuzz_flags) -MMD -MP -c -o $@ $<

define fuzz_program
$(fuzz_dir)/fuzz_$(1): $(call fuzz_objects,$(1))
	clang $(subst fuzzer-no-link,fuzzer,$(fuzz_flags)) -o $$@ $$^
endef
$(foreach t,$(fuzz_targets),$(eval $(call fuzz_program,$(t))))

fuzz_programs := $(fuzz_targets:%=$(fuzz_dir)/fuzz_%)

.PHONY: fuzz fuzz-long
fuzz: $(fuzz_programs)
	tests/fuzz/run $(FUZZ_SECONDS) $(fuzz_programs)

fuzz-long: $(fuzz_programs)
	tests/fuzz/run $(FUZZ_LONG_SECONDS) $(fuzz_programs)

# ---- Lints. ----

c_files = $(shell git ls-files '*.c' '*.h')
layer_c := $(filter-out cloudvisor/asm_offsets.c,$(wildcard cloudvisor/*.c nested-vmx/*.c ept-guard/*.c crypto/*.c) \
	cloudvisor/bundle/bundle_check.c)
efi_c := $(wildcard cloudvisor/loader/*.c untrusted-hypervisor-harness/*/*.c)
test_c := $(wildcard tests/unit/*.c tests/unit/fake/*.c tests/fuzz/*.c)
layer_lint := -std=gnu17 -ffreestanding -I. -Icloudvisor/hw -Ibuild/layer
efi_lint := -std=c17 -ffreestanding -fshort-wchar -DGNU_EFI_USE_MS_ABI -I. -Iuntrusted-hypervisor-harness \
	-isystem /usr/include/efi -isystem /usr/include/efi/x86_64
test_lint := -std=c17 -D_GNU_SOURCE $(unit_includes) -Itests/fuzz
tidy = printf '%s\n' $(1) | nice xargs -P 2 -n 4 sh -c 'clang-tidy --quiet "$$@" -- $(2) 2>/dev/null' tidy

.PHONY: lint lint-rules lint-format lint-warnings lint-tidy format size
lint: lint-rules lint-format lint-warnings lint-tidy

lint-rules:
	tests/lint

lint-format:
	@clang-format --dry-run -Werror $(c_files) 2>build/lint-format.log || \
	{ sed -n 's/^\([^:]*\):.*clang-format-violations.*/\1: not formatted, see make format/p' build/lint-format.log | sort -u; \
	  exit 1; }

lint-warnings:
	clang -fsyntax-only $(unit_warnings) $(layer_lint) $(layer_c)
	gcc -fsyntax-only $(unit_warnings) $(layer_lint) $(layer_c)
	gcc -fsyntax-only $(unit_warnings) $(test_lint) $(test_c)

lint-tidy:
	$(call tidy,$(layer_c),$(layer_lint))
	$(call tidy,$(efi_c),$(efi_lint))
	$(call tidy,$(test_c),$(test_lint))

format:
	clang-format -i $(c_files)

size:
	@tests/size

-include $(shell find $(unit_dir) $(fuzz_dir) -name '*.d' 2>/dev/null)
