/* SPDX-License-Identifier: GPL-2.0-only */
/* The loader's configuration parser: what it takes, and each way in which a file can be wrong. */
#include "unit.h"
#include "cloudvisor/boot_info.h"
#include "cloudvisor/loader/conf.h"

struct bad_file {
    const char *text;
    enum conf_error error;
    uint32_t line;
    const char *word;     /* quoted in the message, "" if none */
    const char *sentence; /* part of the message */
};

static const struct bad_file bad_files[] = {
    { "", CONF_NEXT_MISSING, 0, "", "add a line next = " },
    { "# only a comment\n", CONF_NEXT_MISSING, 0, "", "no next stage" },
    { "next = \\a\nnext = \\b\n", CONF_KEY_TWICE, 2, "next", "set before" },
    { "next = \\a\n\nverbose = info\n", CONF_UNKNOWN_KEY, 3, "verbose", "known are next, args" },
    { "next = \\a\nNEXT = \\a\n", CONF_UNKNOWN_KEY, 2, "NEXT", "unknown key" },
    { "next\n", CONF_NO_EQUALS_SIGN, 1, "next", "write key = value" },
    { "= x\n", CONF_UNKNOWN_KEY, 1, "", "unknown key" },
    { "next =\n", CONF_BAD_VALUE, 1, "", "absolute path" },
    { "next = \\\n", CONF_BAD_VALUE, 1, "\\", "absolute path" },
    { "next = grub.efi\n", CONF_BAD_VALUE, 1, "grub.efi", "absolute path" },
    { "verbosity = loud\n", CONF_BAD_VALUE, 1, "loud", "use error, info or debug" },
    { "verbosity = inf\n", CONF_BAD_VALUE, 1, "inf", "error, info or debug" },
    { "verbosity = info # no\n", CONF_BAD_VALUE, 1, "info # no", "error, info or debug" },
    { "unsuitable = ignore\n", CONF_BAD_VALUE, 1, "ignore", "stop or continue" },
    { "init =\n", CONF_BAD_VALUE, 1, "", "exit or trap" },
    { "log = com3\n", CONF_BAD_VALUE, 1, "com3", "none, com1 or com2" },
    { "shadowing = 1\n", CONF_BAD_VALUE, 1, "1", "on or off" },
    { "next = \\a\n# caf\xc3\xa9\n", CONF_BAD_CHARACTER, 2, "# caf??", "printable ASCII" },
    { "next = \\a\rargs = b\n", CONF_BAD_CHARACTER, 1, "next = \\a?args = b", "printable ASCII" },
    { "a_word_of_more_than_the_message_holds = 1\n", CONF_UNKNOWN_KEY, 1, "a_word_of_more_than_the", "unknown key" },
};

static bool parse(const char *text, struct conf *conf, struct conf_fault *fault)
{
    /* A copy of the exact size, so that AddressSanitizer sees a read past the end. */
    size_t size = strlen(text);
    char *copy = malloc(size ? size : 1);
    bool good;

    memcpy(copy, text, size);
    good = conf_parse(copy, size, conf, fault);
    free(copy);
    return good;
}

static void test_bad_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_files) / sizeof(bad_files[0]); i++) {
        const struct bad_file *bad = &bad_files[i];
        struct conf conf;
        struct conf_fault fault;
        char message[200];

        assert_false(parse(bad->text, &conf, &fault));
        assert_int_equal(fault.error, bad->error);
        assert_int_equal(fault.line, bad->line);
        assert_string_equal(fault.word, bad->word);
        assert_true(conf_describe(&fault, message, sizeof(message)) < sizeof(message) - 1);
        assert_non_null(strstr(message, bad->sentence));
        assert_true(bad->line == 0 || strncmp(message, "line ", 5) == 0);
    }
}

static void test_defaults(void **state)
{
    struct conf conf;
    struct conf_fault fault;

    (void)state;
    assert_true(parse("next=\\x.efi", &conf, &fault));
    assert_int_equal(fault.error, CONF_OK);
    assert_string_equal(conf.next, "\\x.efi");
    assert_string_equal(conf.args, "");
    assert_int_equal(conf.verbosity, 1);
    assert_int_equal(conf.init_mode, BOOT_INIT_EXIT);
    assert_int_equal(conf.log_port, BOOT_LOG_NONE);
    assert_int_equal(conf.shadowing, 1);
    assert_int_equal(conf.run_undemoted, 0);
}

static void test_every_key(void **state)
{
    struct conf conf;
    struct conf_fault fault;

    (void)state;
    assert_true(parse("\xef\xbb\xbf# all of them\r\n\r\n\tnext = /EFI/debian/grubx64.efi \r\nargs = a=b #c  d\r\n"
                      "verbosity=debug\r\nunsuitable\t=\tcontinue\r\ninit = trap\r\nlog = com2\r\nshadowing = off",
                      &conf, &fault));
    assert_string_equal(conf.next, "\\EFI\\debian\\grubx64.efi");
    assert_string_equal(conf.args, "a=b #c  d");
    assert_int_equal(conf.verbosity, 2);
    assert_int_equal(conf.run_undemoted, 1);
    assert_int_equal(conf.init_mode, BOOT_INIT_TRAP);
    assert_int_equal(conf.log_port, BOOT_LOG_COM2);
    assert_int_equal(conf.shadowing, 0);
}

/* `key` = `length` characters; true if the parser takes it. */
static bool takes_length(const char *key, size_t length, struct conf_fault *fault)
{
    static char text[CONF_FILE_MAX];
    struct conf conf;
    size_t at = (size_t)snprintf(text, sizeof(text), "%s = \\", key);

    memset(text + at, 'x', length - 1);
    text[at + length - 1] = '\0';
    strcat(text, strcmp(key, "next") == 0 ? "" : "\nnext = \\a");
    return parse(text, &conf, fault);
}

static void test_value_lengths(void **state)
{
    struct conf_fault fault;

    (void)state;
    assert_false(takes_length("next", CONF_PATH_MAX + 1, &fault));
    assert_int_equal(fault.error, CONF_VALUE_TOO_LONG);
    assert_false(takes_length("args", CONF_ARGS_MAX + 1, &fault));
    assert_int_equal(fault.error, CONF_VALUE_TOO_LONG);
    assert_int_equal(fault.line, 1);
    assert_true(takes_length("next", CONF_PATH_MAX, &fault));
    assert_true(takes_length("args", CONF_ARGS_MAX, &fault));
}

static void test_file_lengths(void **state)
{
    static char text[CONF_FILE_MAX + 2];
    struct conf conf;
    struct conf_fault fault;

    (void)state;
    memset(text, '\n', sizeof(text));
    memcpy(text, "next=\\a", 7);
    assert_false(conf_parse(text, CONF_FILE_MAX + 1, &conf, &fault));
    assert_int_equal(fault.error, CONF_FILE_TOO_LONG);
    assert_true(conf_parse(text, CONF_FILE_MAX, &conf, &fault));
}

static void test_zero_byte(void **state)
{
    struct conf conf;
    struct conf_fault fault;

    (void)state;
    assert_false(conf_parse("next=\\a\0b\n", 10, &conf, &fault));
    assert_int_equal(fault.error, CONF_BAD_CHARACTER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_files),    cmocka_unit_test(test_zero_byte), cmocka_unit_test(test_value_lengths),
        cmocka_unit_test(test_file_lengths), cmocka_unit_test(test_defaults),  cmocka_unit_test(test_every_key),
    };

    return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
