/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libFuzzer target: the loader's configuration parser takes any bytes, writes within its structures, and either
 * gives values of its table or a fault that can be described.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cloudvisor/boot_info.h"
#include "cloudvisor/loader/conf.h"

static void require(int condition)
{
    if (!condition)
        abort();
}

static void check_conf(const struct conf *conf)
{
    require(memchr(conf->next, '\0', sizeof(conf->next)) != NULL && conf->next[0] == '\\');
    require(strchr(conf->next, '/') == NULL);
    require(memchr(conf->args, '\0', sizeof(conf->args)) != NULL);
    require(conf->verbosity <= 2 && conf->shadowing <= 1 && conf->run_undemoted <= 1);
    require(conf->init_mode == BOOT_INIT_EXIT || conf->init_mode == BOOT_INIT_TRAP);
    require(conf->log_port == BOOT_LOG_NONE || conf->log_port == BOOT_LOG_COM1 || conf->log_port == BOOT_LOG_COM2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf conf;
    struct conf_fault fault;
    char message[200];

    if (conf_parse((const char *)data, size, &conf, &fault)) {
        require(fault.error == CONF_OK);
        check_conf(&conf);
        return 0;
    }
    require(fault.error > CONF_OK && fault.error < CONF_ERROR_COUNT);
    require(memchr(fault.word, '\0', sizeof(fault.word)) != NULL);
    require(conf_describe(&fault, message, sizeof(message)) < sizeof(message) - 1);
    return 0;
}
