/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parser of cloudvisor.conf. The file's author is not trusted: every length is bounded and every byte checked
 * before it is used. Pure: no firmware, no allocation. Invariant: `conf` holds only values from the key table.
 */
#include "cloudvisor/loader/conf.h"
#include "cloudvisor/boot_info.h"
#include "cloudvisor/loader/text.h"

struct span {
    const char *start;
    size_t length;
};

struct choice {
    const char *word;
    uint32_t value;
};

enum value_kind { VALUE_CHOICE, VALUE_PATH, VALUE_TEXT };
enum { CHOICE_MAX = 3 };

struct conf_key {
    const char *name;
    const char *expected;
    enum value_kind kind;
    size_t offset; /* in struct conf */
    size_t max;    /* bytes of text without terminator */
    struct choice choices[CHOICE_MAX];
};

static const struct conf_key keys[] = {
    { "next",
      "an absolute path such as \\EFI\\debian\\grubx64.efi",
      VALUE_PATH,
      offsetof(struct conf, next),
      CONF_PATH_MAX,
      { { 0 } } },
    { "args", "text", VALUE_TEXT, offsetof(struct conf, args), CONF_ARGS_MAX, { { 0 } } },
    { "verbosity",
      "error, info or debug",
      VALUE_CHOICE,
      offsetof(struct conf, verbosity),
      0,
      { { "error", 0 }, { "info", 1 }, { "debug", 2 } } },
    { "unsuitable",
      "stop or continue",
      VALUE_CHOICE,
      offsetof(struct conf, run_undemoted),
      0,
      { { "stop", 0 }, { "continue", 1 } } },
    { "init",
      "exit or trap",
      VALUE_CHOICE,
      offsetof(struct conf, init_mode),
      0,
      { { "exit", BOOT_INIT_EXIT }, { "trap", BOOT_INIT_TRAP } } },
    { "log",
      "none, com1 or com2",
      VALUE_CHOICE,
      offsetof(struct conf, log_port),
      0,
      { { "none", BOOT_LOG_NONE }, { "com1", BOOT_LOG_COM1 }, { "com2", BOOT_LOG_COM2 } } },
    { "shadowing", "on or off", VALUE_CHOICE, offsetof(struct conf, shadowing), 0, { { "on", 1 }, { "off", 0 } } },
};

enum { KEY_COUNT = sizeof(keys) / sizeof(keys[0]) };

static bool is_blank(char letter)
{
    return letter == ' ' || letter == '\t';
}

static bool is_allowed(char letter)
{
    return (letter >= ' ' && letter <= '~') || letter == '\t';
}

static struct span trim(struct span text)
{
    while (text.length && is_blank(text.start[0])) {
        text.start++;
        text.length--;
    }
    while (text.length && is_blank(text.start[text.length - 1]))
        text.length--;
    return text;
}

/* Records the fault, with a printable copy of `word`. Always false, to be returned. */
static bool fail(struct conf_fault *fault, enum conf_error error, struct span word, const char *expected)
{
    size_t length = word.length < CONF_WORD_MAX ? word.length : CONF_WORD_MAX;

    fault->error = error;
    fault->expected = expected;
    for (size_t i = 0; i < length; i++)
        fault->word[i] = is_allowed(word.start[i]) ? word.start[i] : '?';
    fault->word[length] = '\0';
    return false;
}

static bool store_text(const struct conf_key *key, struct span value, struct conf *conf, struct conf_fault *fault)
{
    char *target = (char *)conf + key->offset;

    if (value.length > key->max)
        return fail(fault, CONF_VALUE_TOO_LONG, value, key->expected);
    for (size_t i = 0; i < value.length; i++)
        target[i] = key->kind == VALUE_PATH && value.start[i] == '/' ? '\\' : value.start[i];
    target[value.length] = '\0';
    if (key->kind == VALUE_PATH && (target[0] != '\\' || value.length < 2))
        return fail(fault, CONF_BAD_VALUE, value, key->expected);
    return true;
}

static bool store_choice(const struct conf_key *key, struct span value, struct conf *conf, struct conf_fault *fault)
{
    for (unsigned i = 0; i < CHOICE_MAX && key->choices[i].word; i++) {
        if (text_equals(value.start, value.length, key->choices[i].word)) {
            *(uint32_t *)(void *)((char *)conf + key->offset) = key->choices[i].value;
            return true;
        }
    }
    return fail(fault, CONF_BAD_VALUE, value, key->expected);
}

static bool parse_setting(struct span name, struct span value, uint32_t *seen, struct conf *conf,
                          struct conf_fault *fault)
{
    for (unsigned i = 0; i < KEY_COUNT; i++) {
        if (!text_equals(name.start, name.length, keys[i].name))
            continue;
        if (*seen & UINT32_C(1) << i)
            return fail(fault, CONF_KEY_TWICE, name, NULL);
        *seen |= UINT32_C(1) << i;
        if (keys[i].kind == VALUE_CHOICE)
            return store_choice(&keys[i], value, conf, fault);
        return store_text(&keys[i], value, conf, fault);
    }
    return fail(fault, CONF_UNKNOWN_KEY, name, NULL);
}

static bool parse_line(struct span line, uint32_t *seen, struct conf *conf, struct conf_fault *fault)
{
    size_t equals = 0;

    for (size_t i = 0; i < line.length; i++) {
        if (!is_allowed(line.start[i]))
            return fail(fault, CONF_BAD_CHARACTER, line, NULL);
    }
    line = trim(line);
    if (line.length == 0 || line.start[0] == '#')
        return true;
    while (equals < line.length && line.start[equals] != '=')
        equals++;
    if (equals == line.length)
        return fail(fault, CONF_NO_EQUALS_SIGN, line, NULL);
    return parse_setting(trim((struct span){ line.start, equals }),
                         trim((struct span){ line.start + equals + 1, line.length - equals - 1 }), seen, conf, fault);
}

/* Takes the next line without its ending off `rest`. */
static struct span next_line(struct span *rest)
{
    struct span line = { rest->start, 0 };
    size_t taken;

    while (line.length < rest->length && rest->start[line.length] != '\n')
        line.length++;
    taken = line.length < rest->length ? line.length + 1 : line.length;
    rest->start += taken;
    rest->length -= taken;
    if (line.length && line.start[line.length - 1] == '\r')
        line.length--;
    return line;
}

/* Editors on other systems put a UTF-8 byte order mark in front. */
static struct span skip_byte_order_mark(struct span text)
{
    if (text.length >= 3 && text_equals(text.start, 3, "\xef\xbb\xbf"))
        return (struct span){ text.start + 3, text.length - 3 };
    return text;
}

bool conf_parse(const char *text, size_t size, struct conf *conf, struct conf_fault *fault)
{
    struct span rest = { text, size };
    uint32_t seen = 0;

    *conf = (struct conf){ .verbosity = 1, .shadowing = 1 };
    *fault = (struct conf_fault){ .error = CONF_OK };
    if (size > CONF_FILE_MAX)
        return fail(fault, CONF_FILE_TOO_LONG, (struct span){ text, 0 }, NULL);
    rest = skip_byte_order_mark(rest);
    while (rest.length) {
        fault->line++;
        if (!parse_line(next_line(&rest), &seen, conf, fault))
            return false;
    }
    fault->line = 0;
    if (conf->next[0] == '\0')
        return fail(fault, CONF_NEXT_MISSING, rest, keys[0].expected);
    return true;
}

static size_t describe_line(const struct conf_fault *fault, char *buffer, size_t size)
{
    switch (fault->error) {
    case CONF_BAD_CHARACTER:
        return text_format(buffer, size, "line %u: a character that is not printable ASCII; remove it", fault->line);
    case CONF_NO_EQUALS_SIGN:
        return text_format(buffer, size, "line %u: '%s' has no '='; write key = value, or # before a comment",
                           fault->line, fault->word);
    case CONF_UNKNOWN_KEY:
        return text_format(
            buffer, size,
            "line %u: unknown key '%s'; known are next, args, verbosity, unsuitable, init, log, shadowing", fault->line,
            fault->word);
    case CONF_KEY_TWICE:
        return text_format(buffer, size, "line %u: '%s' was set before; remove one of the two", fault->line,
                           fault->word);
    case CONF_BAD_VALUE:
        return text_format(buffer, size, "line %u: value '%s' is not possible; use %s", fault->line, fault->word,
                           fault->expected);
    default:
        return text_format(buffer, size,
                           "line %u: the value is too long; at most %u characters for a path, %u for args", fault->line,
                           CONF_PATH_MAX, CONF_ARGS_MAX);
    }
}

size_t conf_describe(const struct conf_fault *fault, char *buffer, size_t size)
{
    if (fault->error == CONF_FILE_TOO_LONG)
        return text_format(buffer, size, "the file is longer than %u bytes; shorten it", CONF_FILE_MAX);
    if (fault->error == CONF_NEXT_MISSING)
        return text_format(buffer, size, "no next stage is named; add a line next = %s", fault->expected);
    return describe_line(fault, buffer, size);
}
