# SPDX-License-Identifier: GPL-2.0-only
#
# The test platform: what goes into the disk image, and the runs. Included by
# the top-level Makefile; all output is under build/testbed and build/run.

TB := build/testbed
TB_CFLAGS := -std=c17 -O2 -Wall -Wextra -Wconversion -Wshadow -Wvla -Werror
TB_STATS := $(wildcard cloudvisor/stats.def)
TB_MODULES := part_gpt fat tar normal linux acpi setpci test echo search configfile halt reboot
TB_PYTHON := /usr/bin/python3 -B

.PHONY: host-test packages testbed testbed-bochs image run shell kvm-test memory-test life-test soak bench
.DELETE_ON_ERROR:

packages: ## install the Debian packages that are missing
	@tests/install-packages

testbed-bochs: $(TB)/preload.so
testbed: testbed-bochs $(TB)/base.lz4 $(TB)/guest.cpio $(TB)/guest-init $(TB)/bundle-initrd.lz4 $(TB)/tiny.bzimage \
	$(TB)/kernel/version \
	$(TB)/grubx64.efi $(TB)/acpi/dsdt.aml $(TB)/acpi/facp.aml

$(TB) $(TB)/acpi:
	@mkdir -p $@

$(TB)/preload.so: tests/bochs/preload.c | $(TB)
	gcc $(TB_CFLAGS) -shared -fPIC -o $@ $<

$(TB)/guest-init: $(addprefix tests/guest/,init.c talk.c talk.h bench.c bench.h workload.h) | $(TB)
	gcc $(TB_CFLAGS) -static -s -o $@ $(filter %.c,$^)

$(TB)/cvprobe: tests/host/cvprobe.c tests/host/hypercall.h tests/guest/workload.h $(TB_STATS) | $(TB)
	gcc $(TB_CFLAGS) -static -Itests/guest -o $@ $<

$(TB)/cvsearch: tests/host/cvsearch.c | $(TB)
	gcc $(TB_CFLAGS) -static -s -o $@ $<

$(TB)/cvqemu: tests/host/cvqemu.c tests/guest/workload.h | $(TB)
	gcc $(TB_CFLAGS) -static -s -Itests/guest -o $@ $<

# A kernel of three instructions, for very many launches.
$(TB)/tiny.bzimage: tests/guest/tiny.S | $(TB)
	gcc -nostdlib -static -Wl,-Ttext=0,--oformat=binary,--build-id=none -o $@ $<

$(TB)/kvm_micro: tests/bench/kvm_micro.c tests/host/hypercall.h $(TB_STATS) | $(TB)
	gcc $(TB_CFLAGS) -static -Itests/host -o $@ $<

$(TB)/guest_bench: tests/bench/guest_bench.c tests/host/hypercall.h $(TB_STATS) | $(TB)
	gcc $(TB_CFLAGS) -static -s -Itests/host -o $@ $<

$(TB)/handover.o: tests/bench/handover.c | $(TB)
	gcc $(TB_CFLAGS) -ffreestanding -fpic -fno-stack-protector -mno-red-zone -mgeneral-regs-only -c -o $@ $<

$(TB)/handover.efi: $(TB)/handover.o
	ld -nostdlib -znocombreloc -shared -Bsymbolic -T /usr/lib/elf_x86_64_efi.lds -o $(TB)/handover.so \
		/usr/lib/crt0-efi-x86_64.o $< -L/usr/lib -lgnuefi
	objcopy -j .text -j .sdata -j .data -j .dynamic -j .dynsym -j .rel -j .rela -j .reloc \
		-j .rodata --target efi-app-x86_64 --subsystem=10 $(TB)/handover.so $@

$(TB)/kernel/version: tests/fetch-kernel
	tests/fetch-kernel $(TB)/kernel

$(TB)/guest.cpio: $(TB)/guest-init $(TB)/kernel/version tests/testbed/initramfs.py
	$(TB_PYTHON) tests/testbed/initramfs.py guest $@ $(TB)/guest-init $(TB)/kernel

# For bundles: the same program, without modules. Each byte counts, since a launch hashes all of them.
$(TB)/bundle-initrd.lz4: $(TB)/guest-init tests/testbed/initramfs.py
	$(TB_PYTHON) tests/testbed/initramfs.py guest $(TB)/bundle-initrd.cpio $(TB)/guest-init
	lz4 -q -l -9 -f $(TB)/bundle-initrd.cpio $@

TB_PROGRAMS := $(TB)/cvprobe $(TB)/cvsearch $(TB)/cvqemu $(TB)/kvm_micro $(TB)/guest_bench

$(TB)/base.cpio: $(TB_PROGRAMS) $(addprefix tests/host/,init stages talk scene memory life cost) tests/testbed/initramfs.py
	$(TB_PYTHON) tests/testbed/initramfs.py base $@ tests/host/init $(TB_PROGRAMS)

$(TB)/base.lz4: $(TB)/base.cpio
	lz4 -q -l -9 -f $< $@

$(TB)/grubx64.efi: tests/targets.mk | $(TB)
	grub-mkimage -O x86_64-efi -p /EFI/debian -o $@ $(TB_MODULES)

$(TB)/acpi/%.aml: tests/acpi/%.asl | $(TB)/acpi
	iasl -p $(basename $@) $< >$(basename $@).log 2>&1 || { cat $(basename $@).log; exit 1; }

$(TB)/acpi/madt%.aml: tests/testbed/acpi.py | $(TB)/acpi
	$(TB_PYTHON) tests/testbed/acpi.py $* >$(basename $@).asl
	iasl -p $(basename $@) $(basename $@).asl >$(basename $@).log 2>&1 || { cat $(basename $@).log; exit 1; }

host-test: $(TB)/cvsearch ## the host's search program, on files and processes of this machine
	@tests/host/test-cvsearch $<

docs/exits.md: nested-vmx/exits.def nested-vmx/vmx_bits.h cloudvisor/cvctl/exit_reasons.h tests/exit_table.py
	$(TB_PYTHON) tests/exit_table.py --write

# Options of tests/run as make variables: make run CPUS=1 GUESTS=pc1 BARE=1
TB_OPTIONS = $(if $(KERNEL),--kernel '$(KERNEL)') $(if $(GUEST_KERNEL),--guest-kernel '$(GUEST_KERNEL)') \
	$(if $(GUESTS),--guests '$(GUESTS)') $(if $(TESTS),--tests '$(TESTS)') $(if $(CPUS),--cpus '$(CPUS)') \
	$(if $(MEMORY),--memory '$(MEMORY)') $(if $(BARE),--bare) $(if $(LAYER),--layer '$(LAYER)') \
	$(if $(NEXT),--next '$(NEXT)') $(if $(LOGS),--logs '$(LOGS)') $(if $(TIMEOUT),--timeout '$(TIMEOUT)') \
	$(if $(PLATFORM),--platform '$(PLATFORM)') $(if $(END),--end '$(END)') \
	$(if $(CONF),$(foreach setting,$(CONF),--conf '$(setting)')) $(if $(APPEND),--append '$(APPEND)') \
	$(if $(HARDENED),--hardened) $(if $(JSON),--json) $(if $(VERBOSE),--verbose)

run: packages ## boot a machine under the layer and run KVM guests in it
	@tests/run $(TB_OPTIONS) $(RUN_OPTIONS)

shell: packages ## the same with a shell on the host's console
	@tests/run --shell $(TB_OPTIONS) $(RUN_OPTIONS)

image: packages ## write the disk image only
	@tests/run --image-only $(TB_OPTIONS) $(RUN_OPTIONS)

# One short boot with stock KVM: part of make test.
kvm-test: packages ## one short boot of stock KVM under the layer, with a plain and a protected guest
	@tests/run --name kvm-test --guests microvm1,strict-microvm1 --tests none $(TB_OPTIONS) $(RUN_OPTIONS)

# What a stock kernel does with memory, under a protected guest that keeps checking its own.
memory-test: packages ## swap, same-page merging, moves, huge pages and dumps, under protected guests
	@tests/run --name memory-test --cpus 1 --guests none --stall 1200 --guest-timeout 900 \
		--tests memory-dump,memory-swap,memory-huge,memory-move,memory-ksm $(TB_OPTIONS) $(RUN_OPTIONS)

life-test: packages ## reboot, reset, kill, crash, unloading of KVM: how protected VMs begin and end
	@tests/run --name life-test --cpus 1 --guests none --stall 1200 --tests life $(TB_OPTIONS) $(RUN_OPTIONS)

SOAK = 200
soak: packages ## start and end SOAK (200) protected VMs; nothing of them may stay
	@tests/run --name soak --cpus 1 --guests none --tests soak --soak $(SOAK) --stall 1200 --timeout 36000 \
		$(TB_OPTIONS) $(RUN_OPTIONS)

bench: packages ## measure: ticks, layer entries, ratios; results in build/bench
	@tests/bench/run $(BENCH_OPTIONS)
