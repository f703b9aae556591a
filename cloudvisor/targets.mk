# SPDX-License-Identifier: GPL-2.0-only
# The layer: everything that runs in VMX root mode, linked to one flat image that the loader embeds. CRYPTO_OBJECTS and
# CRYPTO_LIBRARY, from crypto/targets.mk, must be known here.

LAYER_SOURCES := $(wildcard cloudvisor/*.c nested-vmx/*.c ept-guard/*.c)
LAYER_SOURCES := $(filter-out cloudvisor/asm_offsets.c,$(LAYER_SOURCES)) cloudvisor/bundle/bundle_check.c
LAYER_OBJECTS := $(LAYER_SOURCES:%.c=build/layer/%.o) build/layer/cloudvisor/entry.o

LAYER_CFLAGS := -std=gnu17 -O2 -g -Wall -Wextra -Wconversion -Wshadow -Wvla -Werror -ffreestanding -fpie \
	-fvisibility=hidden -mgeneral-regs-only -mno-red-zone -mcmodel=small -fno-stack-protector -fcf-protection=none \
	-fno-asynchronous-unwind-tables -fno-strict-aliasing -fno-common -ffile-prefix-map=$(CURDIR)=. \
	-MMD -MP -I. -Icloudvisor/hw -Ibuild/layer

build/layer/%.o: %.c
	@mkdir -p $(@D)
	@echo CC $<
	@$(CC) $(LAYER_CFLAGS) -c $< -o $@

build/layer/asm_offsets.h: cloudvisor/asm_offsets.c cloudvisor/cpu.h cloudvisor/boot_info.h cloudvisor/stats.def
	@mkdir -p $(@D)
	$(CC) $(filter-out -MMD -MP,$(LAYER_CFLAGS)) -S $< -o - | sed -n 's/^[[:space:]]*\(#define [A-Z]\)/\1/p' > $@.new
	mv $@.new $@

build/layer/cloudvisor/entry.o: cloudvisor/entry.S build/layer/asm_offsets.h
	@mkdir -p $(@D)
	@echo CC $<
	@$(CC) $(LAYER_CFLAGS) -c $< -o $@

build/layer.elf: $(LAYER_OBJECTS) $(CRYPTO_OBJECTS) $(CRYPTO_LIBRARY) cloudvisor/layer.lds
	@echo LD $@
	@$(LD) -static -nostdlib -z max-page-size=4096 -z noexecstack --build-id=none --no-warn-rwx-segments \
		-T cloudvisor/layer.lds -Map build/layer.map $(LAYER_OBJECTS) $(CRYPTO_OBJECTS) $(CRYPTO_LIBRARY) -o $@

build/layer.bin: build/layer.elf
	objcopy -O binary $< $@

-include $(LAYER_OBJECTS:.o=.d) build/layer/asm_offsets.d
