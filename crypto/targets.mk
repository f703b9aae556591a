# SPDX-License-Identifier: GPL-2.0-only
#
# The crypto module of the layer: its objects and the library that they are linked with. layer.elf takes
# $(CRYPTO_OBJECTS) and, behind all objects, $(CRYPTO_LIBRARY). LAYER_CFLAGS and the rule for *.c are the layer's,
# whose file is included behind this one.

CRYPTO_LIBRARY ?= /usr/lib/x86_64-linux-gnu/libmbedcrypto.a
CRYPTO_SOURCES := $(wildcard crypto/*.c)
CRYPTO_OBJECTS := $(CRYPTO_SOURCES:%.c=build/layer/%.o) build/layer/crypto/vector_state.o
CRYPTO_CHECK_OBJECTS := build/layer/crypto/tests/link_check.o $(CRYPTO_OBJECTS) build/layer/cloudvisor/memory.o

build/layer/crypto/vector_state.o: crypto/vector_state.S
	@mkdir -p $(@D)
	@echo CC $<
	@$(CC) $(LAYER_CFLAGS) -c $< -o $@

crypto_link = $(LD) -static -nostdlib -z noexecstack --build-id=none --no-warn-rwx-segments -e link_check_start

# At the layer's address, which is out of reach of 32-bit relocations, and once more where Linux can run it.
build/crypto/layer-address: $(CRYPTO_CHECK_OBJECTS) cloudvisor/layer.lds $(CRYPTO_LIBRARY)
	@mkdir -p $(@D)
	$(crypto_link) -z max-page-size=4096 -T cloudvisor/layer.lds -Map $@.map $(CRYPTO_CHECK_OBJECTS) \
	    $(CRYPTO_LIBRARY) -o $@

build/crypto/link_check: $(CRYPTO_CHECK_OBJECTS) $(CRYPTO_LIBRARY)
	@mkdir -p $(@D)
	$(crypto_link) $(CRYPTO_CHECK_OBJECTS) $(CRYPTO_LIBRARY) -o $@

.PHONY: crypto-link-check crypto-cost
crypto-link-check: build/crypto/layer-address build/crypto/link_check build/layer.elf ## link the crypto module without a C library
	crypto/tests/link-check $(if $(V),-v) $< $<.map $(CRYPTO_LIBRARY) build/layer.map
	build/crypto/link_check

# Instructions per page, counted by valgrind's callgrind in a hosted build of the same files.
build/crypto/cost: crypto/tests/cost.c crypto/page_crypt.c crypto/cipher_aes.c crypto/vector_state.S crypto/page_crypt.h
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O2 -g -Wall -Wextra -I. $(filter %.c %.S,$^) $(CRYPTO_LIBRARY) -o $@

crypto-cost: build/crypto/cost ## instructions for sealing and opening a page (needs valgrind)
	@crypto/tests/cost-report $<

-include $(CRYPTO_OBJECTS:.o=.d) build/layer/crypto/tests/link_check.d
