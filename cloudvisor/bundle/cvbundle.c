/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cvbundle: packs a protected VM into one file for `qemu -kernel`, and shows such files. Output depends on nothing
 * but the inputs. Exit codes: 0 done, 1 refused or not what it claims to be, 2 wrong usage or a file problem.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include "cloudvisor/bundle/build.h"
#include "cloudvisor/bundle/inspect.h"
#include "cloudvisor/hypercall.h"

enum { EXIT_REFUSED = 1, EXIT_USAGE = 2 };
#define FILE_MAX (2ull << 30)

struct options {
    const char *kernel, *initrd, *cmdline, *policy, *machine, *vcpus, *memory, *output;
    bool allow_plain;
    bool json;
};

struct file {
    uint8_t *bytes;
    size_t size;
};

static void usage(FILE *out)
{
    fprintf(
        out,
        "usage: cvbundle pack --kernel VMLINUZ --policy FILE --machine microvm|pc|q35 -o FILE\n"
        "                     [--initrd FILE] [--cmdline TEXT] [--vcpus N] [--memory SIZE] [--allow-plain]\n"
        "       cvbundle inspect FILE [--json]\n"
        "       cvbundle digest FILE\n"
        "       cvbundle --help | --version\n"
        "\n"
        "pack     writes a bundle for `qemu-system-x86_64 -kernel FILE` and prints its launch digest\n"
        "inspect  shows a bundle and computes its launch digest anew\n"
        "digest   prints the launch digest\n"
        "\n"
        "--allow-plain makes a test bundle that also starts, unprotected, where there is no CloudVisor.\n"
        "Exit codes: 0 done; 1 refused, or not a sound bundle; 2 wrong usage, or a file can't be read or written.\n");
}

static int complain(int code, const char *what, const char *why)
{
    fprintf(stderr, "cvbundle: %s: %s\n", what, why);
    return code;
}

static bool read_file(const char *path, struct file *file)
{
    FILE *stream = fopen(path, "rb");
    size_t room = 1 << 20;

    if (!stream)
        return false;
    file->bytes = malloc(room);
    file->size = 0;
    while (file->bytes) {
        size_t got = fread(file->bytes + file->size, 1, room - file->size, stream);
        uint8_t *larger;

        file->size += got;
        if (file->size < room)
            break;
        room *= 2;
        larger = room <= FILE_MAX ? realloc(file->bytes, room) : NULL;
        if (!larger) {
            free(file->bytes);
            errno = EFBIG;
        }
        file->bytes = larger;
    }
    if (file->bytes && ferror(stream)) {
        free(file->bytes);
        file->bytes = NULL;
    }
    fclose(stream);
    return file->bytes != NULL;
}

static int merge_option(const char *name, bool given_in_file, bool valid, bool same)
{
    if (!valid)
        return complain(EXIT_USAGE, name, "not a valid value");
    if (given_in_file && !same)
        return complain(EXIT_REFUSED, name, "the policy says otherwise");
    return 0;
}

/* Options fill in what the policy leaves open; they can't change what it says. */
static int merge_options(const struct options *options, struct policy *policy)
{
    const struct machine *machine = options->machine ? machine_find(options->machine) : policy->machine;
    uint32_t vcpus = policy->vcpu_count;
    uint64_t memory = policy->memory;
    bool vcpus_valid = !options->vcpus || policy_parse_vcpus(options->vcpus, &vcpus);
    bool memory_valid = !options->memory || policy_parse_memory(options->memory, &memory);
    int code = merge_option("--machine", policy->machine, !options->machine || machine, policy->machine == machine);

    if (!code)
        code = merge_option("--vcpus", policy->vcpu_count, vcpus_valid, policy->vcpu_count == vcpus);
    if (!code)
        code = merge_option("--memory", policy->memory, memory_valid, policy->memory == memory);
    policy->machine = machine;
    policy->vcpu_count = vcpus;
    policy->memory = memory;
    return code;
}

static int read_policy(const struct options *options, struct policy *policy)
{
    struct policy_fault fault;
    struct file file;
    bool valid;
    int code;

    if (!read_file(options->policy, &file))
        return complain(EXIT_USAGE, options->policy, strerror(errno));
    valid = policy_parse((const char *)file.bytes, file.size, policy, &fault);
    free(file.bytes);
    code = valid ? merge_options(options, policy) : EXIT_REFUSED;
    if (code && valid)
        return code;
    if (valid && policy_complete(policy, &fault))
        return 0;
    if (fault.line)
        fprintf(stderr, "cvbundle: %s:%u: %s\n", options->policy, fault.line, fault.message);
    else
        complain(EXIT_REFUSED, options->policy, fault.message);
    return EXIT_REFUSED;
}

static int write_bundle(const struct image *image, const char *path)
{
    FILE *stream = fopen(path, "wb");
    bool written;

    if (!stream)
        return complain(EXIT_USAGE, path, strerror(errno));
    written = image_write(image, stream);
    if (fclose(stream) != 0 || !written) {
        int code = complain(EXIT_USAGE, path, strerror(errno));

        remove(path);
        return code;
    }
    return 0;
}

static int build_and_write(const struct options *options, const struct policy *policy, const struct file *kernel,
                           const struct file *initrd)
{
    const struct build_inputs inputs = { .policy = policy,
                                         .kernel = kernel->bytes,
                                         .kernel_bytes = kernel->size,
                                         .initrd = initrd->bytes,
                                         .initrd_bytes = initrd->size,
                                         .cmdline = options->cmdline ? options->cmdline : "",
                                         .allow_plain = options->allow_plain };
    struct build *build = malloc(sizeof(*build));
    char message[BUILD_MESSAGE_MAX];
    int code;

    if (!build)
        return complain(EXIT_USAGE, "memory", strerror(errno));
    if (!build_bundle(&inputs, build, message))
        code = complain(EXIT_REFUSED, options->kernel, message);
    else
        code = write_bundle(&build->image, options->output);
    if (!code) {
        inspect_print_digest(build->image.digest, stdout);
        printf("\n");
    }
    free(build);
    return code;
}

static int command_pack(const struct options *options)
{
    struct file kernel = { 0 }, initrd = { 0 };
    struct policy policy;
    int code;

    if (!options->kernel || !options->policy || !options->machine || !options->output) {
        fprintf(stderr, "cvbundle: pack needs --kernel, --policy, --machine and -o; see cvbundle --help\n");
        return EXIT_USAGE;
    }
    code = read_policy(options, &policy);
    if (code)
        return code;
    if (!read_file(options->kernel, &kernel))
        return complain(EXIT_USAGE, options->kernel, strerror(errno));
    if (options->initrd && !read_file(options->initrd, &initrd))
        code = complain(EXIT_USAGE, options->initrd, strerror(errno));
    if (!code)
        code = build_and_write(options, &policy, &kernel, &initrd);
    free(kernel.bytes);
    free(initrd.bytes);
    if (!code && !(options->cmdline && strstr(options->cmdline, "tsc=reliable")))
        fprintf(stderr, "cvbundle: note: without tsc=reliable in the command line the guest may distrust its clock\n");
    return code;
}

static int command_show(const struct options *options, const char *path, bool digest_only)
{
    struct inspection inspection;
    char message[IMAGE_MESSAGE_MAX];
    struct file file;
    int code = 0;

    if (!path || options->kernel || options->policy || options->output) {
        fprintf(stderr, "cvbundle: inspect and digest take one FILE; see cvbundle --help\n");
        return EXIT_USAGE;
    }
    if (!read_file(path, &file))
        return complain(EXIT_USAGE, path, strerror(errno));
    if (!inspect_read(file.bytes, file.size, &inspection, message)) {
        code = complain(EXIT_REFUSED, path, message);
    } else if (digest_only) {
        inspect_print_digest(inspection.digest, stdout);
        printf("\n");
    } else if (options->json) {
        inspect_print_json(&inspection, stdout);
    } else {
        inspect_print(&inspection, stdout);
    }
    if (!code && !inspection.digest_matches)
        code = complain(EXIT_REFUSED, path, "its contents don't have the digest that it states");
    free(file.bytes);
    return code;
}

static bool parse_options(int argc, char **argv, struct options *options)
{
    static const struct option table[] = {
        { "kernel", required_argument, NULL, 'k' },
        { "initrd", required_argument, NULL, 'i' },
        { "cmdline", required_argument, NULL, 'c' },
        { "policy", required_argument, NULL, 'p' },
        { "machine", required_argument, NULL, 'm' },
        { "vcpus", required_argument, NULL, 'n' },
        { "memory", required_argument, NULL, 's' },
        { "output", required_argument, NULL, 'o' },
        { "allow-plain", no_argument, NULL, 'a' },
        { "json", no_argument, NULL, 'j' },
        { NULL, 0, NULL, 0 },
    };
    int option;

    while ((option = getopt_long(argc, argv, "o:", table, NULL)) != -1) {
        switch (option) {
        case 'k': options->kernel = optarg; break;
        case 'i': options->initrd = optarg; break;
        case 'c': options->cmdline = optarg; break;
        case 'p': options->policy = optarg; break;
        case 'm': options->machine = optarg; break;
        case 'n': options->vcpus = optarg; break;
        case 's': options->memory = optarg; break;
        case 'o': options->output = optarg; break;
        case 'a': options->allow_plain = true; break;
        case 'j': options->json = true; break;
        default: return false;
        }
    }
    return true;
}

static int run(int argc, char **argv)
{
    struct options options = { 0 };
    const char *command, *path;

    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        usage(stdout);
        return 0;
    }
    if (argc > 1 && !strcmp(argv[1], "--version")) {
        printf("cvbundle %u.%u.%u\n", LAYER_VERSION >> 16, LAYER_VERSION >> 8 & 0xff, LAYER_VERSION & 0xff);
        return 0;
    }
    if (!parse_options(argc, argv, &options) || optind == argc || argc - optind > 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    command = argv[optind];
    path = argv[optind + 1];
    if (!strcmp(command, "pack") && !path)
        return command_pack(&options);
    if (!strcmp(command, "inspect"))
        return command_show(&options, path, false);
    if (!strcmp(command, "digest"))
        return command_show(&options, path, true);
    usage(stderr);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    int code = run(argc, argv);

    if (fflush(stdout) != 0 || ferror(stdout))
        return complain(EXIT_USAGE, "standard output", strerror(errno));
    return code;
}
