/* SPDX-License-Identifier: GPL-2.0-only */
/* `cvverify verify` and `cvverify release`: files in, result out. A secret is sealed only after everything passed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <mbedtls/platform_util.h>
#include "attest/cvverify/commands.h"
#include "attest/cvverify/ear.h"
#include "attest/cvverify/files.h"
#include "attest/cvverify/json.h"
#include "attest/cvverify/release.h"

enum { ROOT_FILE_MAX = 1 << 20 };

static const char *const verify_options[] = {
    "evidence", "policy", "state", "nonce", "ek-root", "ear", "ear-key", NULL
};
static const char *const release_options[] = { "evidence", "policy", "state", "nonce",    "ek-root",
                                               "launch",   "secret", "out",   "keep-key", NULL };

static int load_policy(const char *path, struct verification *v)
{
    struct bytes file;
    bool well;

    if (!file_read(path, POLICY_SIZE_MAX, &file))
        return EXIT_INPUT;
    well = policy_parse(file, &v->policy, &v->findings);
    file_release(&file);
    return well ? EXIT_OK : findings_exit_code(&v->findings);
}

static int load_challenge(const struct options *options, struct verification *v)
{
    struct bytes file;
    bool well;

    if (options->nonce) {
        if (hex_parse(options->nonce, strlen(options->nonce), v->challenge.nonce, CHALLENGE_NONCE_SIZE))
            return EXIT_OK;
        fputs("cvverify: --nonce: give 64 hexadecimal digits\n", stderr);
        return EXIT_USAGE;
    }
    if (!file_read(options->state, 4096, &file))
        return EXIT_INPUT;
    well = challenge_parse(file, &v->challenge, &v->findings);
    file_release(&file);
    return well ? EXIT_OK : findings_exit_code(&v->findings);
}

static int load_root(const char *path, struct verification *v)
{
    struct bytes file;
    uint8_t *text;
    int error;

    if (!file_read(path, ROOT_FILE_MAX, &file))
        return EXIT_INPUT;
    text = calloc(1, file.size + 1);
    if (!text) {
        file_release(&file);
        return EXIT_TROUBLE;
    }
    memcpy(text, file.data, file.size);
    error = mbedtls_x509_crt_parse(&v->roots, text, file.size + 1);
    if (error != 0)
        error = mbedtls_x509_crt_parse(&v->roots, text, file.size);
    free(text);
    file_release(&file);
    if (error == 0)
        return EXIT_OK;
    refuse(&v->findings, CHECK_INPUT_FORMAT, "%s: not a certificate in PEM or DER", path);
    return findings_exit_code(&v->findings);
}

static int load_files(const struct options *options, struct verification *v)
{
    int code = load_policy(options->policy, v);

    if (code == EXIT_OK)
        code = load_challenge(options, v);
    for (size_t i = 0; code == EXIT_OK && i < options->ek_roots.count; i++)
        code = load_root(options->ek_roots.items[i], v);
    if (code == EXIT_OK && !file_read(options->evidence, EVIDENCE_SIZE_MAX, &v->raw_evidence))
        code = EXIT_INPUT;
    return code;
}

int verify_files(const struct options *options, struct verification *v, bool *reached)
{
    static const char *const needed[] = { "evidence", "policy", NULL };
    int code;

    *reached = false;
    mbedtls_x509_crt_init(&v->roots);
    if (!options_need(options, needed))
        return EXIT_USAGE;
    if (!options->state == !options->nonce) {
        fputs("cvverify: give either --state or --nonce\n", stderr);
        return EXIT_USAGE;
    }
    code = load_files(options, v);
    if (code != EXIT_OK)
        return code;
    *reached = true;
    verify(v);
    return findings_exit_code(&v->findings);
}

void verify_files_release(struct verification *v)
{
    verification_release(v);
    file_release(&v->raw_evidence);
    mbedtls_platform_zeroize(&v->challenge, sizeof(v->challenge));
    free(v);
}

static void put_findings(struct json *j, const struct findings *f)
{
    json_open(j, "refused", '[');
    for (size_t i = 0; i < f->refused_count; i++) {
        json_open(j, NULL, '{');
        json_string(j, "check", check_name(f->refused[i].check));
        json_number(j, "exit_code", (uint64_t)check_exit_code(f->refused[i].check));
        json_string(j, "meaning", check_meaning(f->refused[i].check));
        json_string(j, "text", f->refused[i].text);
        json_string(j, "remedy", f->refused[i].remedy);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_number(j, "refused_more", f->refused_more);
    json_open(j, "notes", '[');
    for (size_t i = 0; i < f->notes_count; i++)
        json_string(j, NULL, f->notes[i]);
    json_close(j, ']');
}

static void show_findings(const struct findings *f)
{
    for (size_t i = 0; i < f->refused_count; i++) {
        printf("refused [%s] %s\n", check_name(f->refused[i].check), f->refused[i].text);
        if (f->refused[i].remedy[0])
            printf("    %s\n", f->refused[i].remedy);
    }
    if (f->refused_more)
        printf("refused: and %zu more reasons\n", f->refused_more);
    for (size_t i = 0; i < f->notes_count; i++)
        printf("note: %s\n", f->notes[i]);
}

int findings_print(const struct findings *f, bool json)
{
    struct json j = { 0 };

    if (!json) {
        show_findings(f);
        return findings_exit_code(f);
    }
    json_open(&j, NULL, '{');
    json_string(&j, "result", f->refused_count ? "refused" : "accepted");
    json_number(&j, "exit_code", (uint64_t)findings_exit_code(f));
    put_findings(&j, f);
    json_close(&j, '}');
    return json_print(&j) ? findings_exit_code(f) : EXIT_TROUBLE;
}

static void put_accepted(struct json *j, const struct verification *v)
{
    char version[16];

    json_open(j, "machine", '{');
    json_hex(j, "ak_name", (struct bytes){ v->ak.name.byte, TPM_NAME_SIZE });
    if (v->ek_known)
        json_hex(j, "ek_name", (struct bytes){ v->ek.byte, TPM_NAME_SIZE });
    json_string(j, "bound_by", v->bound_by);
    json_close(j, '}');
    json_open(j, "boot", '{');
    json_hex(j, "digest", (struct bytes){ v->facts.boot.byte, DIGEST_SIZE });
    json_hex(j, "layer", (struct bytes){ v->facts.layer.byte, DIGEST_SIZE });
    json_hex(j, "configuration", (struct bytes){ v->facts.configuration.byte, DIGEST_SIZE });
    json_string(j, "layer_version", version_text(v->facts.layer_version, version));
    json_bool(j, "iommu", v->facts.platform_flags & CV_PLATFORM_IOMMU);
    json_bool(j, "debug", v->facts.platform_flags & CV_PLATFORM_DEBUG);
    json_close(j, '}');
    json_open(j, "vms", '[');
    for (size_t i = 0; i < v->evidence.report_count; i++) {
        const struct report_claims *claims = &v->reports[i].claims;

        json_open(j, NULL, '{');
        json_hex(j, "launch_digest", (struct bytes){ claims->launch_digest, DIGEST_SIZE });
        json_number(j, "policy", claims->vm_policy);
        json_number(j, "vcpus", claims->vcpus);
        json_hex(j, "guest_data", (struct bytes){ claims->guest_data, REPORT_GUEST_DATA_SIZE });
        json_close(j, '}');
    }
    json_close(j, ']');
}

static bool print_json(const struct verification *v, int code)
{
    struct json j = { 0 };
    char hex[DIGEST_HEX];

    json_open(&j, NULL, '{');
    json_string(&j, "result", code == EXIT_OK ? "accepted" : "refused");
    json_number(&j, "exit_code", (uint64_t)code);
    json_string(&j, "policy_name", v->policy.name);
    json_string(&j, "policy_digest", digest_text(&v->policy.digest, hex));
    if (code == EXIT_OK)
        put_accepted(&j, v);
    put_findings(&j, &v->findings);
    json_close(&j, '}');
    return json_print(&j);
}

static void show_accepted(const struct verification *v)
{
    char name[2 * TPM_NAME_SIZE + 1], hex[DIGEST_HEX], version[16];

    printf("machine  AK %s\n", tpm_name_text(&v->ak.name, name));
    if (v->ek_known)
        printf("         EK %s\n", tpm_name_text(&v->ek, name));
    printf("         bound by: %s\n", v->bound_by);
    printf("boot     %s\n", digest_text(&v->facts.boot, hex));
    printf("         layer %s, %s IOMMU, debugging %s\n", version_text(v->facts.layer_version, version),
           v->facts.platform_flags & CV_PLATFORM_IOMMU ? "with" : "without an",
           v->facts.platform_flags & CV_PLATFORM_DEBUG ? "allowed" : "off");
    for (size_t i = 0; i < v->evidence.report_count; i++) {
        const struct report_claims *claims = &v->reports[i].claims;

        printf("VM       %s, %u vCPUs\n", hex_text((struct bytes){ claims->launch_digest, DIGEST_SIZE }, hex),
               claims->vcpus);
    }
}

static void print_result(const struct verification *v, int code)
{
    if (code == EXIT_OK) {
        puts("ACCEPTED");
        show_accepted(v);
    } else {
        printf("REFUSED, exit code %d\n", code);
    }
    show_findings(&v->findings);
}

static bool ear_usage_ok(const struct options *options)
{
    if (!options->ear == !options->ear_key)
        return true;
    fputs("cvverify: --ear and --ear-key belong together\n", stderr);
    return false;
}

int command_verify(int argc, char **argv)
{
    struct verification *v = calloc(1, sizeof(*v));
    struct options options;
    bool reached;
    int code;

    if (!v)
        return EXIT_TROUBLE;
    if (!options_parse(argc, argv, verify_options, &options) || !options_no_words(&options) ||
        !ear_usage_ok(&options)) {
        free(v);
        return EXIT_USAGE;
    }
    code = verify_files(&options, v, &reached);
    if (options.ear && reached && !ear_write(v, options.ear_key, options.ear))
        code = code ? code : EXIT_TROUBLE;
    if (options.json) {
        if (!print_json(v, code))
            code = code ? code : EXIT_TROUBLE;
    } else {
        print_result(v, code);
    }
    verify_files_release(v);
    return code;
}

/* The report for the launch digest asked for; without one asked for, the only report. */
static const struct report *choose_report(const struct verification *v, const struct options *options)
{
    struct digest wanted;

    if (options->launches.count == 0)
        return v->evidence.report_count == 1 ? &v->reports[0] : NULL;
    if (options->launches.count > 1 ||
        !hex_parse(options->launches.items[0], strlen(options->launches.items[0]), wanted.byte, DIGEST_SIZE))
        return NULL;
    for (size_t i = 0; i < v->evidence.report_count; i++) {
        if (memcmp(v->reports[i].claims.launch_digest, wanted.byte, DIGEST_SIZE) == 0)
            return &v->reports[i];
    }
    return NULL;
}

static int seal_to(const struct verification *v, const struct report *report, const struct options *options)
{
    struct release_target target = { .boot = v->facts.boot, .flags = options->keep_key ? RELEASE_KEEP_KEY : 0 };
    static uint8_t blob[RELEASE_MAX];
    struct bytes secret;
    size_t size;

    memcpy(target.launch_digest.byte, report->claims.launch_digest, DIGEST_SIZE);
    memcpy(target.nonce, report->claims.nonce, CHALLENGE_NONCE_SIZE);
    memcpy(target.agreement, v->evidence.boot_keys.data + CV_POINT_SIZE, CV_POINT_SIZE);
    if (!file_read(options->secret, RELEASE_SECRET_MAX, &secret))
        return EXIT_INPUT;
    size = release_seal(&target, secret, random_callback, blob);
    file_release(&secret);
    if (size == 0) {
        fputs("cvverify: the secret is empty, or sealing failed\n", stderr);
        return EXIT_TROUBLE;
    }
    return file_write(options->out, FILE_PUBLIC, (struct bytes){ blob, size }) ? EXIT_OK : EXIT_TROUBLE;
}

static int release_verified(struct verification *v, const struct options *options)
{
    const struct report *report = choose_report(v, options);

    if (!report) {
        refuse(&v->findings, CHECK_REPORT_MISSING, "no report, or more than one, for the VM that shall get the secret");
        remedy(&v->findings, "name one VM of the evidence: --launch DIGEST");
        return findings_exit_code(&v->findings);
    }
    if (options->keep_key && !(report->claims.vm_policy & REPORT_VM_KEEP_KEY)) {
        refuse(&v->findings, CHECK_REPORT_POLICY, "the VM's own policy doesn't let it keep a secret");
        return findings_exit_code(&v->findings);
    }
    return seal_to(v, report, options);
}

int command_release(int argc, char **argv)
{
    static const char *const needed[] = { "secret", "out", NULL };
    struct verification *v = calloc(1, sizeof(*v));
    struct options options;
    bool reached;
    int code;

    if (!v)
        return EXIT_TROUBLE;
    if (!options_parse(argc, argv, release_options, &options) || !options_no_words(&options) ||
        !options_need(&options, needed)) {
        free(v);
        return EXIT_USAGE;
    }
    code = verify_files(&options, v, &reached);
    if (code == EXIT_OK)
        code = release_verified(v, &options);
    if (options.json) {
        if (!print_json(v, code))
            code = code ? code : EXIT_TROUBLE;
    } else {
        print_result(v, code);
        if (code == EXIT_OK)
            printf("sealed   %s\n", options.out);
    }
    verify_files_release(v);
    return code;
}
