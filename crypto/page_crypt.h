/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Encryption of a protected VM's page when its frame goes back to the host, and verification when it returns.
 * AES-256-GCM under one key per launch of a VM; docs/crypto.md has the format and its argument.
 *
 * Not trusted: the frame's contents at page_crypt_open. Trusted: the context and every struct page_seal, which live
 * in the layer's memory only. Callers own the frame alone during a call (mapping broken, CPUs flushed), are between
 * crypto_begin and crypto_end, and hold the layer's lock: a context serves one call at a time.
 */
#ifndef CRYPTO_PAGE_CRYPT_H
#define CRYPTO_PAGE_CRYPT_H

#include <stdbool.h>
#include <stdint.h>
#include <mbedtls/gcm.h>

enum { PAGE_CRYPT_FRAME_BYTES = 4096, PAGE_CRYPT_KEY_BYTES = 32, PAGE_CRYPT_TAG_BYTES = 12 };

/* Versions run from 1 to here, so that two bits of the word are left to the owner of the record for its state. */
#define PAGE_VERSION_MAX ((UINT32_C(1) << 30) - 1)

/*
 * What the layer keeps per guest page. `version` counts the seals of this page under this key: it must survive while
 * the page is in memory and may only be set back together with a new key. `tag` means nothing while the page is in.
 */
struct page_seal {
    uint32_t version;
    uint8_t tag[PAGE_CRYPT_TAG_BYTES];
};
_Static_assert(sizeof(struct page_seal) == 16, "the budget is 16 bytes a page");

enum page_crypt_result {
    PAGE_CRYPT_OK,
    PAGE_CRYPT_FORGED,      /* the frame is not what was sealed last for this page */
    PAGE_CRYPT_EXHAUSTED,   /* no version left */
    PAGE_CRYPT_UNSUPPORTED, /* no AES-NI or carry-less multiplication */
    PAGE_CRYPT_FAILED,      /* no key, no memory, or an error of the library */
};

struct page_crypt {
    mbedtls_gcm_context gcm;
    uint64_t vm_id;
    bool has_key;
};

void page_crypt_init(struct page_crypt *ctx);

/* Binds the context to `key`, which must be fresh from random_bytes for each launch, and to the VM. */
__attribute__((warn_unused_result)) enum page_crypt_result
page_crypt_setkey(struct page_crypt *ctx, const uint8_t key[PAGE_CRYPT_KEY_BYTES], uint64_t vm_id);

/*
 * Encrypts the page of guest frame number `gfn` in place under the next version and fills `seal`. On an error the
 * frame is wiped: whatever is returned, no plaintext is left in it.
 */
__attribute__((warn_unused_result)) enum page_crypt_result page_crypt_seal(struct page_crypt *ctx, uint64_t gfn,
                                                                           void *frame, struct page_seal *seal);

/* Decrypts in place what was sealed last for `gfn`; on anything else the frame is wiped. */
__attribute__((warn_unused_result)) enum page_crypt_result page_crypt_open(struct page_crypt *ctx, uint64_t gfn,
                                                                           void *frame, const struct page_seal *seal);

/* Wipes the key. The context may be used again after page_crypt_init. */
void page_crypt_free(struct page_crypt *ctx);

/*
 * Whether a page comes back from seal and open as it was, encrypted in between, and is refused when it isn't what was
 * sealed. Once at start, behind random_init, so that a broken link or processor is noticed before any secret exists.
 */
__attribute__((warn_unused_result)) bool page_crypt_self_check(void);

#endif
