# SPDX-License-Identifier: GPL-2.0-only
# Rules for cloudvisor.efi and its test companions. Included by the top-level Makefile; run from the root.

EFI_CC ?= gcc
EFI_LD ?= ld
EFI_OBJCOPY ?= objcopy
EFI_CRT0 ?= /usr/lib/crt0-efi-x86_64.o
EFI_CFLAGS := -std=c17 -O2 -ffreestanding -fPIC -fvisibility=hidden -fshort-wchar -mno-red-zone -mgeneral-regs-only \
	-fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none -fno-ident \
	-ffile-prefix-map=$(CURDIR)=. -DGNU_EFI_USE_MS_ABI -I. -isystem /usr/include/efi -isystem /usr/include/efi/x86_64 \
	-Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Werror
EFI_LDFLAGS := -nostdlib -shared -Bsymbolic -znocombreloc -znoexecstack --build-id=none --no-undefined \
	--hash-style=sysv -T cloudvisor/loader/loader.lds
# Sections of the PE image. SOURCE_DATE_EPOCH fixes the time stamp in its header.
EFI_SECTIONS := $(foreach s,.text .reloc .rodata .data .dynamic .rela,-j $(s))

LOADER_SOURCES := $(addprefix cloudvisor/loader/,main.c demote.c layer_place.c next_stage.c cpus.c capabilities.c \
	console.c firmware.c conf.c suitability.c acpi_power.c tsc.c memory_map.c root_tables.c layer_image.c text.c \
	freestanding.c) \
	nested-vmx/vmx_caps.c
LOADER_OBJECTS := $(LOADER_SOURCES:%.c=build/efi/%.o)

build/efi/%.o: %.c
	@mkdir -p $(@D)
	$(EFI_CC) $(EFI_CFLAGS) -MMD -MP -c $< -o $@

build/efi/cloudvisor/loader/layer_bin.o: cloudvisor/loader/layer_bin.S build/layer.bin
	@mkdir -p $(@D)
	$(EFI_CC) -c -DLAYER_BIN='"build/layer.bin"' $< -o $@

build/efi/cloudvisor.so: $(LOADER_OBJECTS) build/efi/cloudvisor/loader/layer_bin.o

# The loader around a layer image without VMX, and a next stage that looks around: `make loader-test`.
LOADER_TEST := cloudvisor/loader/tests
HELLO_OBJECTS := $(addprefix build/efi/cloudvisor/loader/,tests/hello.o console.o cpus.o firmware.o text.o \
	freestanding.o)

build/efi/stub_layer.bin: $(LOADER_TEST)/stub_layer.S
	@mkdir -p $(@D)
	$(EFI_CC) -c $< -o build/efi/stub_layer.o
	$(EFI_OBJCOPY) -O binary -j .text build/efi/stub_layer.o $@

build/efi/stub_layer_bin.o: cloudvisor/loader/layer_bin.S build/efi/stub_layer.bin
	$(EFI_CC) -c -DLAYER_BIN='"build/efi/stub_layer.bin"' $< -o $@

build/efi/loader_test.so: $(LOADER_OBJECTS) build/efi/stub_layer_bin.o
build/efi/hello.so: $(HELLO_OBJECTS)

build/efi/%.so: cloudvisor/loader/loader.lds
	$(EFI_LD) $(EFI_LDFLAGS) $(EFI_CRT0) $(filter %.o,$^) /usr/lib/libgnuefi.a -o $@

build/efi/%.efi: build/efi/%.so
	SOURCE_DATE_EPOCH=0 $(EFI_OBJCOPY) $(EFI_SECTIONS) --target=efi-app-x86_64 --subsystem=10 $< $@

build/cloudvisor.efi: build/efi/cloudvisor.efi
	cp $< $@

# Expected: "2 CPUs demoted", the options, one reserved range, "2 of 2 answer". Logs are in build/loader-test.
.PHONY: loader-test
loader-test: build/efi/loader_test.efi build/efi/hello.efi
	@mkdir -p build/loader-test
	@printf 'next = /EFI/cloudvisor/hello.efi\nargs = one two\nverbosity = debug\n' >build/loader-test/loader.conf
	$(LOADER_TEST)/run-bochs build/loader-test build/efi/loader_test.efi build/loader-test/loader.conf \
		build/efi/hello.efi | tee build/loader-test/said
	grep -q '2 CPUs demoted' build/loader-test/said
	grep -q '2 of 2 answer' build/loader-test/said

-include $(LOADER_OBJECTS:.o=.d) $(HELLO_OBJECTS:.o=.d)
