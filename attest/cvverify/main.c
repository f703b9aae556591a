/* SPDX-License-Identifier: GPL-2.0-only */
/* cvverify: judges a CloudVisor machine's evidence, offline. Opens no sockets; links no code that does. */
#include <stdio.h>
#include <string.h>
#include "attest/cvverify/commands.h"
#include "attest/cvverify/version.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
    { "challenge", command_challenge }, { "verify", command_verify },       { "release", command_release },
    { "explain", command_explain },     { "reference", command_reference }, { "policy", command_policy },
};

void print_usage(void)
{
    puts("cvverify: judges a CloudVisor machine's evidence, offline.\n"
         "\n"
         "cvverify challenge --state FILE [--nonce-out FILE] [--ek FILE --ak FILE --credential FILE]\n"
         "    makes a nonce, and a credential for a machine's AK and EK; keeps the state\n"
         "cvverify verify --evidence FILE --policy FILE (--state FILE | --nonce HEX) [--ek-root FILE]...\n"
         "         [--ear FILE --ear-key FILE]\n"
         "    judges evidence; --ear writes a signed result\n"
         "cvverify release --evidence FILE --policy FILE (--state FILE | --nonce HEX) [--ek-root FILE]...\n"
         "         --secret FILE --out FILE [--launch DIGEST] [--keep-key]\n"
         "    verifies, then seals a secret for one VM on one boot\n"
         "cvverify explain (--log FILE | --evidence FILE) [--policy FILE]\n"
         "    tells what a log says, event by event; vouches for nothing\n"
         "cvverify reference --loader FILE --config FILE --log FILE [--next FILE] [--layer FILE] [--out FILE]\n"
         "         [--layer-version V] [--launch DIGEST]... [--ek-name NAME]... [--ak-name NAME]... [--any-machine]\n"
         "         [--iommu-optional] [--open 'PCR...'] [--unquoted 'PCR...'] [--name TEXT]\n"
         "    writes a policy from the files that shall boot and a log that is known to be good\n"
         "cvverify policy check FILE\n"
         "cvverify policy diff OLD NEW\n"
         "cvverify --help | --version\n"
         "\n"
         "Every command takes --json and --help. Exit code 0: accepted, or done; cvverify(1) lists the others.");
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            return true;
    }
    return false;
}

static int run(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 2, argv + 2);
    }
    fprintf(stderr, "cvverify: no command '%s'; see cvverify --help\n", argv[1]);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    int code;

    if (argc < 2) {
        fputs("cvverify: a command is missing; see cvverify --help\n", stderr);
        return EXIT_USAGE;
    }
    if (wants_help(argc, argv)) {
        print_usage();
        code = EXIT_OK;
    } else if (strcmp(argv[1], "--version") == 0) {
        puts("cvverify " CVVERIFY_VERSION);
        code = EXIT_OK;
    } else {
        code = run(argc, argv);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("cvverify: standard output can't be written\n", stderr);
        return code ? code : EXIT_TROUBLE;
    }
    return code;
}
