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
