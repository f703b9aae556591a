# SPDX-License-Identifier: GPL-2.0-only
#
# Attestation: cvverify for tenants, its tests and fuzzers. Included by the top-level Makefile; also works alone:
# make -f attest/targets.mk build/cvverify

ATTEST := build/attest
CVVERIFY_SOURCES := $(sort $(wildcard attest/cvverify/*.c)) attest/report_encode.c
CVVERIFY_OBJECTS := $(CVVERIFY_SOURCES:%.c=$(ATTEST)/obj/%.o)
CVVERIFY_WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wvla -Werror
CVVERIFY_CFLAGS := -std=c17 -D_GNU_SOURCE -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong $(CVVERIFY_WARNINGS) -I. \
	-ffile-prefix-map=$(CURDIR)=.
CVVERIFY_LIBS := -l:libmbedx509.a -l:libmbedcrypto.a

$(ATTEST)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CVVERIFY_CFLAGS) -MMD -MP -c -o $@ $<

build/cvverify: $(CVVERIFY_OBJECTS)
	$(CC) -static -Wl,--build-id=none -o $@ $^ $(CVVERIFY_LIBS)

-include $(CVVERIFY_OBJECTS:.o=.d)

# ---- Tests. ----

ATTEST_UNIT_CC ?= clang
ATTEST_COMMON := $(filter-out %/main.o,$(CVVERIFY_OBJECTS))
ATTEST_GENERATOR := $(addprefix $(ATTEST)/obj/tests/attest/,generate.o scene.o)

$(ATTEST)/generate: $(ATTEST_GENERATOR) $(ATTEST_COMMON)
	$(CC) -o $@ $^ $(CVVERIFY_LIBS)

$(ATTEST)/obj/tests/attest/generate.o: tests/attest/cases.def
-include $(ATTEST_GENERATOR:.o=.d)

ATTEST_WARN_FLAGS := -std=c17 -D_GNU_SOURCE -g -O1 -fno-omit-frame-pointer $(CVVERIFY_WARNINGS) -I.
ATTEST_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
ATTEST_FUZZ_RUNS ?= 10000000
ATTEST_FUZZ_TARGETS := event_log quote cbor pe policy evidence verify
ATTEST_FUZZ := $(ATTEST_FUZZ_TARGETS:%=$(ATTEST)/fuzz/fuzz_%)
ATTEST_LOGIC := $(filter-out %/main.c %/ear.c $(wildcard attest/cvverify/command_*.c),$(CVVERIFY_SOURCES))
ATTEST_LOGIC_FUZZ := $(ATTEST_LOGIC:%.c=$(ATTEST)/fuzz/obj/%.o)

$(ATTEST)/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	clang $(ATTEST_WARN_FLAGS) -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -MMD -MP -c -o $@ $<

$(ATTEST)/fuzz/fuzz_%: $(ATTEST)/fuzz/obj/tests/attest/fuzz/fuzz_%.o $(ATTEST_LOGIC_FUZZ)
	clang -fsanitize=fuzzer,address,undefined -o $@ $^ $(CVVERIFY_LIBS)

.PHONY: attest-fuzz
attest-fuzz: $(ATTEST_FUZZ) attest-cases ## the parsers of attestation, ATTEST_FUZZ_RUNS inputs each
	tests/attest/fuzz/seed $(ATTEST)/cases $(ATTEST)/fuzz
	tests/attest/fuzz/run $(ATTEST_FUZZ_RUNS) $(ATTEST_FUZZ)

.PHONY: attest-cases
attest-cases: $(ATTEST)/generate
	$(ATTEST)/generate $(ATTEST)/cases

-include $(shell find $(ATTEST)/fuzz -name '*.d' 2>/dev/null)

ATTEST_UNIT := $(addprefix $(ATTEST)/unit/obj/,$(CVVERIFY_SOURCES:%.c=%.o))
ATTEST_UNIT_TEST := $(addprefix $(ATTEST)/unit/obj/tests/attest/,unit_attest.o scene.o)

$(ATTEST)/unit/obj/%.o: %.c
	@mkdir -p $(@D)
	clang $(ATTEST_WARN_FLAGS) $(ATTEST_SANITIZE) -MMD -MP -c -o $@ $<

$(ATTEST)/unit/test_attest: $(ATTEST_UNIT_TEST) $(filter-out %/main.o,$(ATTEST_UNIT))
	clang $(ATTEST_SANITIZE) -o $@ $^ -lcmocka $(CVVERIFY_LIBS)

# cvverify itself with the sanitizers: the cases run on it, too.
$(ATTEST)/unit/cvverify: $(ATTEST_UNIT)
	clang $(ATTEST_SANITIZE) -o $@ $^ $(CVVERIFY_LIBS)

-include $(shell find $(ATTEST)/unit -name '*.d' 2>/dev/null)

$(ATTEST)/machine: $(addprefix $(ATTEST)/obj/tests/attest/,machine.o scene.o) $(ATTEST_COMMON)
	$(CC) -o $@ $^ $(CVVERIFY_LIBS)

.PHONY: attest-test attest-mutants attest-bench
attest-test: $(ATTEST)/dump_log.efi build/cvverify $(ATTEST)/unit/test_attest $(ATTEST)/unit/cvverify $(ATTEST)/machine attest-cases ## attestation: unit tests, cases, software TPM
	@tests/suite attest-unit "tests/unit/run $(ATTEST)/unit/test_attest" attest-cases "tests/attest/run" \
	    attest-sanitized "tests/attest/run $(ATTEST)/unit/cvverify" attest-tpm "tests/attest/integration" \
	    attest-firmware "tests/attest/firmware-log" \
	    attest-docs "tests/attest/docs"

attest-mutants: build/cvverify attest-cases ## break each check of cvverify, expect its cases to notice
	@tests/attest/mutants

attest-bench: build/cvverify $(ATTEST)/machine ## verifications per second
	@tests/attest/integration >$(ATTEST)/integration.log || { cat $(ATTEST)/integration.log; exit 1; }
	@tests/attest/bench

$(ATTEST)/dump_log.efi: tests/attest/dump_log.c
	@mkdir -p $(@D)
	gcc -std=c17 -O2 -ffreestanding -fpic -fno-stack-protector -fshort-wchar -mno-red-zone -mgeneral-regs-only \
	    -DGNU_EFI_USE_MS_ABI -Wall -Wextra -Werror -isystem /usr/include/efi -isystem /usr/include/efi/x86_64 \
	    -c -o $(ATTEST)/dump_log.o $<
	ld -nostdlib -znocombreloc -shared -Bsymbolic -T /usr/lib/elf_x86_64_efi.lds -o $(ATTEST)/dump_log.so \
	    /usr/lib/crt0-efi-x86_64.o $(ATTEST)/dump_log.o -L/usr/lib -lgnuefi
	SOURCE_DATE_EPOCH=0 objcopy -j .text -j .sdata -j .data -j .dynamic -j .dynsym -j .rel -j .rela -j .reloc -j .rodata \
	    --target efi-app-x86_64 --subsystem=10 $(ATTEST)/dump_log.so $@
