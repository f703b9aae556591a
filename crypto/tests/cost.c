/* SPDX-License-Identifier: GPL-2.0-only */
/* Seals and opens pages, for counting instructions: `cost COUNT`. Also prints the time per page. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "crypto/page_crypt.h"
#include "crypto/vector_state.h"

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static uint8_t frame[PAGE_CRYPT_FRAME_BYTES], key[PAGE_CRYPT_KEY_BYTES];
    static struct vector_state area;
    static struct page_crypt ctx;
    struct page_seal seal = { 0 };
    int count = argc > 1 ? atoi(argv[1]) : 1;
    double begin, seal_time = 0, open_time = 0;

    page_crypt_init(&ctx);
    if (page_crypt_setkey(&ctx, key, 1) != PAGE_CRYPT_OK)
        return 1;
    for (int i = 0; i < count; i++) {
        begin = seconds();
        crypto_begin(&area);
        if (page_crypt_seal(&ctx, 7, frame, &seal) != PAGE_CRYPT_OK)
            return 1;
        crypto_end(&area);
        seal_time += seconds() - begin;
        begin = seconds();
        if (page_crypt_open(&ctx, 7, frame, &seal) != PAGE_CRYPT_OK)
            return 1;
        open_time += seconds() - begin;
    }
    page_crypt_free(&ctx);
    printf("seal %.1f us, open %.1f us of CPU time per page\n", seal_time / count * 1e6, open_time / count * 1e6);
    return 0;
}
