/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A good boot for a real TPM: machine RESET RESTART NONCE FOLDER writes what such a machine would have besides its TPM:
 * log, extends (for tpm2_pcrextend), boot_keys, report, policy, and the files that it booted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "attest/cvverify/digest.h"
#include "tests/attest/scene.h"

static void write_extends(const struct scene *s, const char *folder)
{
    static struct buffer text;
    char line[128], hex[DIGEST_HEX];

    text.size = 0;
    for (size_t i = 0; i < s->tpm.count; i++) {
        int size = snprintf(line, sizeof(line), "%u:sha256=%s\n", s->tpm.events[i].pcr,
                            digest_text(&s->tpm.events[i].digest, hex));

        put_bytes(&text, line, (size_t)size);
    }
    write_file(folder, "extends", text.data, text.size);
}

static void write_parts(struct scene *s, const char *folder)
{
    static struct buffer b;
    struct digest loader, layer;
    uint8_t points[2 * CV_POINT_SIZE];

    b.size = 0;
    put_log(s, &b);
    write_file(folder, "log", b.data, b.size);
    b.size = 0;
    put_report(&s->reports[0], &b);
    write_file(folder, "report", b.data, b.size);
    key_point(s->attestation, points);
    key_point(s->agreement, points + CV_POINT_SIZE);
    write_file(folder, "boot_keys", points, sizeof(points));
    write_file(folder, "policy", s->policy, strlen(s->policy));
    write_file(folder, "cloudvisor.conf", fake_config, strlen(fake_config));
    make_loader(&b, &loader, &layer);
    write_file(folder, "loader.efi", b.data, b.size);
}

int main(int argc, char **argv)
{
    static struct scene s;

    keys_make();
    scene_make(&s);
    if (argc != 5 || !hex_parse(argv[3], strlen(argv[3]), s.nonce, sizeof(s.nonce))) {
        fputs("usage: machine RESET RESTART NONCE FOLDER\n", stderr);
        return 2;
    }
    scene_boot(&s, (uint32_t)strtoul(argv[1], NULL, 10), (uint32_t)strtoul(argv[2], NULL, 10));
    write_extends(&s, argv[4]);
    write_parts(&s, argv[4]);
    return 0;
}
