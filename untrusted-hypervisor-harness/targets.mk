# SPDX-License-Identifier: GPL-2.0-only
#
# harness.efi and its runs. Included by the top-level Makefile; paths are from there.

HARNESS_DIR := untrusted-hypervisor-harness
HARNESS_OUT := build/harness
HARNESS_EFI := $(HARNESS_OUT)/harness.efi

HARNESS_SOURCES := $(wildcard $(HARNESS_DIR)/core/*.c $(HARNESS_DIR)/core/*.S \
                              $(HARNESS_DIR)/guest/*.c $(HARNESS_DIR)/guest/*.S $(HARNESS_DIR)/suites/*.c \
                              $(HARNESS_DIR)/suites/*.S $(HARNESS_DIR)/attacks/*.c $(HARNESS_DIR)/attacks/*.S) \
                   nested-vmx/vmcs_fields.c nested-vmx/vmx_caps.c
HARNESS_OBJECTS := $(patsubst %,$(HARNESS_OUT)/%.o,$(HARNESS_SOURCES))

HARNESS_CC ?= gcc
HARNESS_CFLAGS := -std=c17 -O2 -Wall -Wextra -Wconversion -Wshadow -Wvla -Werror -ffreestanding -fpic -fshort-wchar \
                  -fno-stack-protector -fno-asynchronous-unwind-tables -fno-strict-aliasing -mno-red-zone -mgeneral-regs-only \
                  -DGNU_EFI_USE_MS_ABI -I. -isystem /usr/include/efi -isystem /usr/include/efi/x86_64 \
                  -ffile-prefix-map=$(CURDIR)=.

$(HARNESS_OUT)/%.c.o: %.c
	@mkdir -p $(@D)
	$(HARNESS_CC) $(HARNESS_CFLAGS) -MMD -MP -c -o $@ $<

$(HARNESS_OUT)/%.S.o: %.S
	@mkdir -p $(@D)
	$(HARNESS_CC) $(HARNESS_CFLAGS) -MMD -MP -c -o $@ $<

# What the loader maps writable is .data; gnu-efi's script puts .bss there.
$(HARNESS_OUT)/harness.so: $(HARNESS_OBJECTS)
	ld -nostdlib -znocombreloc -znoexecstack -shared -Bsymbolic --build-id=none -T /usr/lib/elf_x86_64_efi.lds \
	   -o $@ /usr/lib/crt0-efi-x86_64.o $(HARNESS_OBJECTS) /usr/lib/libgnuefi.a
	@! nm -u $@ | grep . || { echo "harness.so has undefined symbols"; rm -f $@; exit 1; }

$(HARNESS_EFI): $(HARNESS_OUT)/harness.so
	objcopy -j .text -j .sdata -j .data -j .dynamic -j .dynsym -j .rel -j .rela -j '.rel.*' -j '.rela.*' -j .reloc \
	        --target efi-app-x86_64 $< $@

HARNESS_RUN := $(HARNESS_DIR)/run --efi $(HARNESS_EFI)
HARNESS_SUITE ?= all

.PHONY: harness harness-bare harness-layer conformance attacks
harness: $(HARNESS_EFI) ## build the small hypervisor that tests nested VMX

harness-bare: $(HARNESS_EFI) ## run it on the bare emulator (HARNESS_SUITE=conformance|guests|hostile|attacks|bench|all)
	$(HARNESS_RUN) bare --suite $(HARNESS_SUITE) --out $(HARNESS_OUT)/bare

harness-layer: $(HARNESS_EFI) build/cloudvisor.efi ## run it under the layer
	$(HARNESS_RUN) layer --suite $(HARNESS_SUITE) --out $(HARNESS_OUT)/layer

attacks: $(HARNESS_EFI) build/cloudvisor.efi ## attack protected VMs, each attack with a plain VM as its control
	@$(HARNESS_RUN) layer --suite attacks --out $(HARNESS_OUT)/attacks || true
	@$(HARNESS_DIR)/attacks/report $(HARNESS_OUT)/attacks

conformance: $(HARNESS_EFI) build/cloudvisor.efi ## compare VMX bare and under the layer, with and without shadowing
	$(HARNESS_RUN) bare --suite conformance --out $(HARNESS_OUT)/conformance-bare
	$(HARNESS_RUN) layer --suite conformance --out $(HARNESS_OUT)/conformance-layer
	$(HARNESS_DIR)/compare $(HARNESS_OUT)/conformance-bare $(HARNESS_OUT)/conformance-layer
	$(HARNESS_RUN) layer --shadowing off --suite conformance --out $(HARNESS_OUT)/conformance-layer-noshadow
	$(HARNESS_DIR)/compare $(HARNESS_OUT)/conformance-bare $(HARNESS_OUT)/conformance-layer-noshadow

-include $(HARNESS_OBJECTS:.o=.d)
