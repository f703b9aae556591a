# SPDX-License-Identifier: GPL-2.0-only
#
# The emulated machine's TPM: a device for Bochs with swtpm behind it. Included
# by the top-level Makefile; all output is under build/tpm.

TPM_OUT := build/tpm
TPM_DEVICE := $(addprefix tests/tpm/,tis.c pcr_banks.c)
TPM_PLUGIN := $(TPM_DEVICE) $(addprefix tests/tpm/,plugin.c swtpm_link.c)
TPM_HEADERS := $(wildcard tests/tpm/*.h)
TPM_CFLAGS := -std=c17 -D_GNU_SOURCE -Wall -Wextra -Wconversion -Wshadow -Wvla -Werror -I. -Itests/unit

.PHONY: tpm tpm-packages tpm-unit tpm-test tpm-linux-test
tpm: $(TPM_OUT)/plugin/libbx_tpm_tis.so $(TPM_OUT)/template/state/tpm2-00.permall $(TPM_OUT)/grubx64.efi

tpm-packages:
	@tests/install-packages --tpm

$(TPM_OUT) $(TPM_OUT)/plugin:
	@mkdir -p $@

# Bochs provides the symbols that are left open.
$(TPM_OUT)/plugin/libbx_tpm_tis.so: $(TPM_PLUGIN) $(TPM_HEADERS) | $(TPM_OUT)/plugin
	gcc $(TPM_CFLAGS) -O2 -shared -fPIC -fvisibility=hidden -o $@ $(TPM_PLUGIN)

# A template that exists is kept: its certificates may have been handed out.
$(TPM_OUT)/template/state/tpm2-00.permall: | $(TPM_OUT)
	tests/tpm/make-state $(TPM_OUT)/template

# The boot loader, also able to start a kernel by its EFI stub.
$(TPM_OUT)/grubx64.efi: tests/targets.mk tests/tpm/targets.mk | $(TPM_OUT)
	grub-mkimage -O x86_64-efi -p /EFI/debian -o $@ $(TB_MODULES) linuxefi

$(TPM_OUT)/tcg2_report.o: tests/tpm/tcg2_report.c | $(TPM_OUT)
	gcc -std=c17 -O2 -Wall -Wextra -Wconversion -Wshadow -Wvla -Werror -ffreestanding -fpic -fshort-wchar \
		-fno-stack-protector -fno-asynchronous-unwind-tables -mno-red-zone -mgeneral-regs-only \
		-DGNU_EFI_USE_MS_ABI -isystem /usr/include/efi -isystem /usr/include/efi/x86_64 -c -o $@ $<

$(TPM_OUT)/tcg2_report.efi: $(TPM_OUT)/tcg2_report.o
	ld -nostdlib -znocombreloc -znoexecstack -shared -Bsymbolic --build-id=none -T /usr/lib/elf_x86_64_efi.lds \
		-o $(TPM_OUT)/tcg2_report.so /usr/lib/crt0-efi-x86_64.o $< /usr/lib/libgnuefi.a
	SOURCE_DATE_EPOCH=0 objcopy -j .text -j .sdata -j .data -j .dynamic -j .dynsym -j .rel -j .rela -j '.rel.*' -j '.rela.*' \
		-j .reloc --target efi-app-x86_64 $(TPM_OUT)/tcg2_report.so $@

$(TPM_OUT)/test_tis: tests/tpm/test_tis.c $(TPM_DEVICE) $(TPM_HEADERS) tests/unit/unit.h | $(TPM_OUT)
	clang $(TPM_CFLAGS) -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -o $@ $< $(TPM_DEVICE) -lcmocka

tpm-unit: $(TPM_OUT)/test_tis
	@tests/unit/run $<

unit: tpm-unit

tpm-test: tpm-packages tpm-unit $(TPM_OUT)/tcg2_report.efi ## the emulated TPM: firmware's measurements, event log, PCRs
	@tests/tpm/run

tpm-linux-test: tpm-packages ## the same in the host's Linux: /dev/tpm0 and its event log
	@tests/tpm/run linux

# For tests/unit.mk's lints.
test_c += $(wildcard tests/tpm/tis.c tests/tpm/pcr_banks.c tests/tpm/plugin.c tests/tpm/swtpm_link.c tests/tpm/test_tis.c)
efi_c += tests/tpm/tcg2_report.c
