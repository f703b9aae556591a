# SPDX-License-Identifier: GPL-2.0-only
#
# cvbundle: the stub and the DSDTs that it embeds, and the tool itself. Included by the top-level Makefile; also works
# alone: make -f cloudvisor/bundle/targets.mk build/cvbundle.

BUNDLE_DIR := cloudvisor/bundle
BUNDLE_OUT := build/bundle
BUNDLE_WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wvla -Werror
BUNDLE_REPRODUCIBLE := -ffile-prefix-map=$(CURDIR)=.

BUNDLE_STUB_OBJECTS := $(addprefix $(BUNDLE_OUT)/stub/,entry.o stub.o quiet.o apic.o pci.o)
BUNDLE_STUB_CFLAGS := -std=c17 -Os -g $(BUNDLE_WARNINGS) -ffreestanding -fno-pic -mcmodel=small -mgeneral-regs-only \
	-mno-red-zone -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns \
	-fno-strict-aliasing -fno-common $(BUNDLE_REPRODUCIBLE) -MMD -MP -I.
BUNDLE_OBJECTS := $(patsubst %,$(BUNDLE_OUT)/%.o,cvbundle inspect build image kernel acpi_tables policy machine bundle_check blobs)
BUNDLE_CFLAGS := -std=c17 -D_GNU_SOURCE -O2 -g $(BUNDLE_WARNINGS) $(BUNDLE_REPRODUCIBLE) -MMD -MP -I.

build/cvbundle: $(BUNDLE_OBJECTS)
	@echo LD $@
	@$(CC) -o $@ $(BUNDLE_OBJECTS) -l:libmbedcrypto.a

$(BUNDLE_OUT)/%.o: $(BUNDLE_DIR)/%.c
	@mkdir -p $(@D)
	@echo CC $<
	@$(CC) $(BUNDLE_CFLAGS) -c $< -o $@

$(BUNDLE_OUT)/blobs.o: $(BUNDLE_DIR)/blobs.S $(BUNDLE_OUT)/stub.bin $(patsubst %,$(BUNDLE_OUT)/%.aml,microvm pc q35)
	@$(CC) -c $< -o $@

$(BUNDLE_OUT)/stub/%.o: $(BUNDLE_DIR)/stub/%.c
	@mkdir -p $(@D)
	@echo CC $<
	@$(CC) $(BUNDLE_STUB_CFLAGS) -c $< -o $@

$(BUNDLE_OUT)/stub/entry.o: $(BUNDLE_DIR)/stub/entry.S $(BUNDLE_OUT)/gen/$(BUNDLE_DIR)/stub/descriptor_offsets.h
	@mkdir -p $(@D)
	@$(CC) $(BUNDLE_STUB_CFLAGS) -I$(BUNDLE_OUT)/gen -c $< -o $@

$(BUNDLE_OUT)/gen/$(BUNDLE_DIR)/stub/descriptor_offsets.h: $(BUNDLE_DIR)/stub/descriptor_offsets.c \
		$(BUNDLE_DIR)/bundle_format.h
	@mkdir -p $(@D)
	@$(CC) $(filter-out -MMD -MP,$(BUNDLE_STUB_CFLAGS)) -S $< -o - | sed -n 's/^[[:space:]]*\(#define [DB]\)/\1/p' >$@.new
	@mv $@.new $@

$(BUNDLE_OUT)/stub.elf: $(BUNDLE_STUB_OBJECTS) $(BUNDLE_DIR)/stub/stub.lds $(BUNDLE_DIR)/bundle_layout.h
	@$(CC) -E -P -undef -x c -I. $(BUNDLE_DIR)/stub/stub.lds -o $(BUNDLE_OUT)/stub.lds
	@echo LD $@
	@$(LD) -static -nostdlib -z max-page-size=4096 -z noexecstack --build-id=none --no-warn-rwx-segments \
		-T $(BUNDLE_OUT)/stub.lds $(BUNDLE_STUB_OBJECTS) -o $@

$(BUNDLE_OUT)/stub.bin: $(BUNDLE_OUT)/stub.elf
	@objcopy -O binary $< $@

$(BUNDLE_OUT)/%.aml: $(BUNDLE_DIR)/acpi/%.asl $(wildcard $(BUNDLE_DIR)/acpi/*.asi)
	@mkdir -p $(@D)
	@echo ASL $<
	@$(CC) -E -P -undef -nostdinc -x assembler-with-cpp -I$(BUNDLE_DIR)/acpi $< -o $(BUNDLE_OUT)/$*.asl
	@iasl -p $(BUNDLE_OUT)/$* $(BUNDLE_OUT)/$*.asl >$(BUNDLE_OUT)/$*.log 2>&1 || { cat $(BUNDLE_OUT)/$*.log; exit 1; }

-include $(BUNDLE_OBJECTS:.o=.d) $(BUNDLE_STUB_OBJECTS:.o=.d) tests/bundle/targets.mk
