/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The emulated TPM's registers: what each reads, and what each write does, in every state and from every locality;
 * then long random sequences against what must always hold, and the filter of PCR banks with damaged responses.
 */
#include "tests/tpm/pcr_banks.h"
#include "tests/tpm/tis.h"
#include "unit.h"

/* ---- A backend that answers each command with its own bytes after a header. ---- */

static struct {
    unsigned int count;
    uint8_t locality;
    size_t size;
    size_t answer_size; /* 0: as the command; other: this */
    uint8_t command[TIS_BUFFER_SIZE];
} backend;

static void fake_set_locality(void *context, uint8_t locality)
{
    assert_ptr_equal(context, &backend);
    assert_true(locality < TIS_SOFTWARE_LOCALITY_COUNT);
    backend.locality = locality;
}

static size_t fake_execute(void *context, const uint8_t *command, size_t size, uint8_t *response)
{
    assert_ptr_equal(context, &backend);
    assert_in_range(size, 10, TIS_BUFFER_SIZE);
    memcpy(backend.command, command, size);
    memcpy(response, command, size);
    backend.size = size;
    backend.count++;
    return backend.answer_size ? backend.answer_size : size;
}

static void power_on(struct tis *tis)
{
    static const struct tis_backend functions = { fake_set_locality, fake_execute, &backend };

    memset(&backend, 0, sizeof(backend));
    backend.locality = TIS_NO_LOCALITY;
    tis_reset(tis, &functions);
}

static uint32_t at(unsigned int locality, uint32_t reg)
{
    return locality * TIS_LOCALITY_SIZE + reg;
}

static uint32_t read32(struct tis *tis, uint32_t offset)
{
    uint32_t value = 0;

    for (uint32_t i = 0; i < 4; i++)
        value |= (uint32_t)tis_read(tis, offset + i) << (8 * i);
    return value;
}

static const uint8_t command[12] = { 0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0 };

static void write_command(struct tis *tis, unsigned int locality, size_t size)
{
    for (size_t i = 0; i < size; i++)
        tis_write(tis, at(locality, TIS_DATA_FIFO), command[i]);
}

/* ---- Every state. Locality 1 is the active one in all but the first. ---- */

#define L 1u

enum situation { NOBODY, IDLE, READY, PARTIAL, COMPLETE, UNREAD, HALF_READ, ALL_READ, SITUATION_COUNT };

struct expectation {
    const char *name;
    enum tis_state state;
    uint8_t access; /* of the active locality */
    uint32_t status;
    uint8_t fifo; /* the next byte */
};

#define STS(bits, burst) (TIS_STS_FAMILY_2_0 | TIS_STS_VALID | (bits) | (uint32_t)(burst) << 8)

static const struct expectation situations[SITUATION_COUNT] = {
    [NOBODY] = { "nobody", TIS_IDLE, 0x81, 0xffffffff, 0xff },
    [IDLE] = { "idle", TIS_IDLE, 0xa1, STS(0, 0), 0xff },
    [READY] = { "ready", TIS_READY, 0xa1, STS(TIS_STS_COMMAND_READY, 4096), 0xff },
    [PARTIAL] = { "partial", TIS_RECEPTION, 0xa1, STS(TIS_STS_EXPECT, 4085), 0xff },
    [COMPLETE] = { "complete", TIS_RECEPTION, 0xa1, STS(0, 4084), 0xff },
    [UNREAD] = { "unread", TIS_COMPLETION, 0xa1, STS(TIS_STS_DATA_AVAILABLE, 12), 0x80 },
    [HALF_READ] = { "half-read", TIS_COMPLETION, 0xa1, STS(TIS_STS_DATA_AVAILABLE, 7), 12 },
    [ALL_READ] = { "all-read", TIS_COMPLETION, 0xa1, STS(0, 0), 0xff },
};

static void bring_about(struct tis *tis, enum situation situation)
{
    power_on(tis);
    if (situation >= IDLE)
        tis_write(tis, at(L, TIS_ACCESS), TIS_ACCESS_REQUEST_USE);
    if (situation >= READY)
        tis_write(tis, at(L, TIS_STS), TIS_STS_COMMAND_READY);
    if (situation >= PARTIAL)
        write_command(tis, L, sizeof(command) - 1);
    if (situation >= COMPLETE)
        tis_write(tis, at(L, TIS_DATA_FIFO), command[sizeof(command) - 1]);
    if (situation >= UNREAD)
        tis_write(tis, at(L, TIS_STS), TIS_STS_GO);
    for (int i = 0; i < (situation == HALF_READ ? 5 : situation == ALL_READ ? 12 : 0); i++)
        tis_read(tis, at(L, TIS_DATA_FIFO));
    assert_int_equal(tis->state, situations[situation].state);
}

/* Which situation this is. The registers tell all but two: a response that was read to its end looks like Idle. */
static enum situation recognise(struct tis *tis)
{
    uint8_t access = tis_read(tis, at(L, TIS_ACCESS));
    uint32_t status = read32(tis, at(L, TIS_STS));

    for (enum situation s = NOBODY; s < SITUATION_COUNT; s++) {
        const struct expectation *e = &situations[s];

        if ((e->access & TIS_ACCESS_ACTIVE) == (access & TIS_ACCESS_ACTIVE) && e->status == status &&
            e->state == tis->state)
            return s;
    }
    return SITUATION_COUNT;
}

/* ---- Reads ---- */

enum view { CONSTANT, ACCESS, STATUS, FIFO };

static const struct {
    const char *name;
    uint32_t reg, value;
    enum view view;
} registers[] = {
    { "ACCESS", TIS_ACCESS, 0, ACCESS },
    { "INT_ENABLE", TIS_INT_ENABLE, 0, CONSTANT },
    { "INT_VECTOR", TIS_INT_VECTOR, 0, CONSTANT },
    { "INT_STATUS", TIS_INT_STATUS, 0, CONSTANT },
    { "INTF_CAPABILITY", TIS_INTF_CAPABILITY, 0x30000615, CONSTANT },
    { "STS", TIS_STS, 0, STATUS },
    { "HASH_END", 0x20, 0, CONSTANT },
    { "DATA_FIFO", TIS_DATA_FIFO, 0, FIFO },
    { "HASH_START", 0x28, 0, CONSTANT },
    { "INTERFACE_ID", TIS_INTERFACE_ID, 0x3900, CONSTANT },
    { "XDATA_FIFO", TIS_XDATA_FIFO, 0, FIFO },
    { "reserved", 0x400, 0, CONSTANT },
    { "DID_VID", TIS_DID_VID, 0x11014, CONSTANT },
    { "RID", TIS_RID, 1, CONSTANT },
    { "the last", 0xffc, 0, CONSTANT },
};

static void test_read(void **state)
{
    enum situation s = (enum situation)(uintptr_t)*state;
    struct tis tis;

    for (unsigned int locality = 0; locality < TIS_LOCALITY_COUNT; locality++) {
        for (size_t i = 0; i < COUNT_OF(registers); i++) {
            uint32_t offset = at(locality, registers[i].reg), value = registers[i].value;
            bool mine = locality == L;

            bring_about(&tis, s);
            if (locality >= TIS_SOFTWARE_LOCALITY_COUNT) {
                assert_int_equal(read32(&tis, offset), 0xffffffff);
            } else if (registers[i].view == FIFO) {
                assert_int_equal(tis_read(&tis, offset + 3), mine ? situations[s].fifo : 0xff);
                /* A byte that was there is gone, and only then. */
                assert_int_equal(tis.position, (s == HALF_READ  ? 5
                                                : s == ALL_READ ? 12
                                                                : 0) +
                                                   (mine && (s == UNREAD || s == HALF_READ)));
                continue;
            } else {
                if (registers[i].view == ACCESS)
                    value = mine ? situations[s].access : 0x81;
                else if (registers[i].view == STATUS)
                    value = mine ? situations[s].status : 0xffffffff;
                assert_int_equal(read32(&tis, offset), value);
            }
            assert_int_equal(recognise(&tis), s);
        }
    }
    assert_int_equal(tis_read(&tis, TIS_SIZE), 0xff);
    assert_int_equal(tis_read(&tis, UINT32_MAX), 0xff);
}

/* ---- Writes of the active locality: from each situation to which ---- */

#define STAY                                                                                                           \
    {                                                                                                                  \
        NOBODY, IDLE, READY, PARTIAL, COMPLETE, UNREAD, HALF_READ, ALL_READ                                            \
    }
#define OTHER SITUATION_COUNT /* a reception of one byte */

static const struct {
    const char *name;
    uint32_t reg;
    uint8_t value;
    enum situation to[SITUATION_COUNT];
} writes[] = {
    { "commandReady", TIS_STS, 0x40, { NOBODY, READY, READY, READY, READY, READY, READY, READY } },
    { "tpmGo", TIS_STS, 0x20, { NOBODY, IDLE, READY, PARTIAL, UNREAD, UNREAD, HALF_READ, ALL_READ } },
    { "responseRetry", TIS_STS, 0x02, { NOBODY, IDLE, READY, PARTIAL, COMPLETE, UNREAD, UNREAD, UNREAD } },
    { "a byte", TIS_DATA_FIFO, 0, { NOBODY, IDLE, OTHER, COMPLETE, COMPLETE, UNREAD, HALF_READ, ALL_READ } },
    { "a byte, third", TIS_DATA_FIFO + 3, 0, { NOBODY, IDLE, OTHER, COMPLETE, COMPLETE, UNREAD, HALF_READ, ALL_READ } },
    { "an extended byte", TIS_XDATA_FIFO, 0, { NOBODY, IDLE, OTHER, COMPLETE, COMPLETE, UNREAD, HALF_READ, ALL_READ } },
    { "relinquish", TIS_ACCESS, 0x20, { NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, NOBODY } },
    { "request", TIS_ACCESS, 0x02, { IDLE, IDLE, READY, PARTIAL, COMPLETE, UNREAD, HALF_READ, ALL_READ } },
    { "seize", TIS_ACCESS, 0x08, { IDLE, IDLE, READY, PARTIAL, COMPLETE, UNREAD, HALF_READ, ALL_READ } },
    { "clear beenSeized", TIS_ACCESS, 0x10, STAY },
    { "nothing to ACCESS", TIS_ACCESS, 0, STAY },
    { "two bits of ACCESS", TIS_ACCESS, 0x22, STAY },
    { "read-only bits of ACCESS", TIS_ACCESS, 0x80, STAY },
    { "pendingRequest", TIS_ACCESS, 0x04, STAY },
    { "establishment", TIS_ACCESS, 0x01, STAY },
    { "byte 1 of ACCESS", TIS_ACCESS + 1, 0x02, STAY },
    { "nothing to STS", TIS_STS, 0, STAY },
    { "ready and go", TIS_STS, 0x60, STAY },
    { "read-only bits of STS", TIS_STS, 0x10, STAY },
    { "burstCount", TIS_STS + 1, 0x40, STAY },
    { "commandCancel", TIS_STS + 3, 0x01, STAY },
    { "INT_ENABLE", TIS_INT_ENABLE, 0xff, STAY },
    { "INT_ENABLE, global", TIS_INT_ENABLE + 3, 0x80, STAY },
    { "INT_VECTOR", TIS_INT_VECTOR, 0xff, STAY },
    { "INT_STATUS", TIS_INT_STATUS, 0xff, STAY },
    { "INTF_CAPABILITY", TIS_INTF_CAPABILITY, 0xff, STAY },
    { "HASH_END", 0x20, 0xff, STAY },
    { "HASH_START", 0x28, 0xff, STAY },
    { "INTERFACE_ID", TIS_INTERFACE_ID, 0xff, STAY },
    { "DID_VID", TIS_DID_VID, 0xff, STAY },
    { "RID", TIS_RID, 0xff, STAY },
    { "the last", 0xfff, 0xff, STAY },
};

static void test_write(void **state)
{
    enum situation s = (enum situation)(uintptr_t)*state;
    struct tis tis;

    for (size_t i = 0; i < COUNT_OF(writes); i++) {
        enum situation to = writes[i].to[s];

        bring_about(&tis, s);
        tis_write(&tis, at(L, writes[i].reg), writes[i].value);
        if (recognise(&tis) != to)
            fail_msg("%s in %s", writes[i].name, situations[s].name);
        if (to == OTHER)
            assert_int_equal(read32(&tis, at(L, TIS_STS)), STS(TIS_STS_EXPECT, 4095));
        assert_int_equal(read32(&tis, at(L, TIS_INTF_CAPABILITY)), 0x30000615);
        assert_int_equal(read32(&tis, at(L, TIS_INT_ENABLE)), 0);
        assert_int_equal(backend.count, (s >= UNREAD) + (s == COMPLETE && to == UNREAD));
    }
}

/* The same writes from localities that are not active: none but those of ACCESS may have an effect. */
static void test_write_of_others(void **state)
{
    enum situation s = (enum situation)(uintptr_t)*state;
    struct tis tis, before;

    for (unsigned int locality = 0; locality < TIS_LOCALITY_COUNT; locality++) {
        for (size_t i = 0; i < COUNT_OF(writes); i++) {
            if (locality == L || (writes[i].reg == TIS_ACCESS && locality < TIS_SOFTWARE_LOCALITY_COUNT))
                continue;
            bring_about(&tis, s);
            before = tis;
            tis_write(&tis, at(locality, writes[i].reg), writes[i].value);
            assert_memory_equal(&tis, &before, sizeof(tis));
        }
    }
}

/* ---- Localities: another one writes to ACCESS while L is active, in every situation but the first ---- */

static const struct {
    const char *name;
    unsigned int locality;
    uint8_t value;
    uint8_t own, active; /* ACCESS of the writer and of L afterwards */
    bool aborts;
} takeovers[] = {
    { "a lower one requests", 0, 0x02, 0x83, 0xa5, false }, { "a higher one requests", 3, 0x02, 0x83, 0xa5, false },
    { "a lower one seizes", 0, 0x08, 0x81, 0xa1, false },   { "a higher one seizes", 2, 0x08, 0xa1, 0x91, true },
    { "another one lets go", 0, 0x20, 0x81, 0xa1, false },  { "the chipset's requests", 4, 0x02, 0xff, 0xa1, false },
    { "the chipset's seizes", 4, 0x08, 0xff, 0xa1, false },
};

static void test_takeover(void **state)
{
    enum situation s = (enum situation)(uintptr_t)*state;
    struct tis tis;

    for (size_t i = 0; i < COUNT_OF(takeovers) && s != NOBODY; i++) {
        bring_about(&tis, s);
        tis_write(&tis, at(takeovers[i].locality, TIS_ACCESS), takeovers[i].value);
        assert_int_equal(tis_read(&tis, at(takeovers[i].locality, TIS_ACCESS)), takeovers[i].own);
        assert_int_equal(tis_read(&tis, at(L, TIS_ACCESS)), takeovers[i].active);
        assert_int_equal(recognise(&tis), takeovers[i].aborts ? NOBODY : s);
        if (takeovers[i].aborts)
            assert_int_equal(read32(&tis, at(takeovers[i].locality, TIS_STS)), STS(0, 0));
    }
}

static void test_queue(void **state)
{
    struct tis tis;

    (void)state;
    bring_about(&tis, COMPLETE);
    tis_write(&tis, at(0, TIS_ACCESS), TIS_ACCESS_REQUEST_USE);
    tis_write(&tis, at(2, TIS_ACCESS), TIS_ACCESS_REQUEST_USE);
    tis_write(&tis, at(3, TIS_ACCESS), TIS_ACCESS_REQUEST_USE);
    tis_write(&tis, at(3, TIS_ACCESS), TIS_ACCESS_ACTIVE); /* takes its request back */
    tis_write(&tis, at(L, TIS_ACCESS), TIS_ACCESS_ACTIVE);
    assert_int_equal(tis.active, 2);
    assert_int_equal(read32(&tis, at(2, TIS_STS)), STS(0, 0)); /* L's command is gone */
    assert_int_equal(tis_read(&tis, at(2, TIS_ACCESS)), 0xa5);
    tis_write(&tis, at(3, TIS_ACCESS), TIS_ACCESS_SEIZE);
    assert_int_equal(tis_read(&tis, at(2, TIS_ACCESS)), 0x95);
    tis_write(&tis, at(2, TIS_ACCESS), TIS_ACCESS_BEEN_SEIZED);
    assert_int_equal(tis_read(&tis, at(2, TIS_ACCESS)), 0x85);
    tis_write(&tis, at(3, TIS_ACCESS), TIS_ACCESS_ACTIVE);
    assert_int_equal(tis.active, 0);
    tis_write(&tis, at(0, TIS_ACCESS), TIS_ACCESS_ACTIVE);
    assert_int_equal(tis.active, TIS_NO_LOCALITY);
}

/* The backend is told the locality before its first command, and at each change. */
static void test_backend_locality(void **state)
{
    struct tis tis;

    (void)state;
    power_on(&tis);
    for (unsigned int locality = 0; locality < TIS_SOFTWARE_LOCALITY_COUNT; locality++) {
        tis_write(&tis, at(locality, TIS_ACCESS), TIS_ACCESS_REQUEST_USE);
        tis_write(&tis, at(locality, TIS_STS), TIS_STS_COMMAND_READY);
        write_command(&tis, locality, sizeof(command));
        tis_write(&tis, at(locality, TIS_STS), TIS_STS_GO);
        assert_int_equal(backend.locality, locality);
        assert_int_equal(backend.count, locality + 1);
        assert_int_equal(backend.size, sizeof(command));
        assert_memory_equal(backend.command, command, sizeof(command));
        for (size_t i = 0; i < sizeof(command); i++)
            assert_int_equal(tis_read(&tis, at(locality, TIS_DATA_FIFO)), command[i]);
        tis_write(&tis, at(locality, TIS_ACCESS), TIS_ACCESS_ACTIVE);
    }
}

/* ---- Sizes ---- */

static const struct {
    const char *name;
    uint32_t size;
    size_t answer; /* of the backend; 0: echo */
    bool executed;
    uint8_t code[2]; /* the end of the response's code when it is not the backend's */
} sizes[] = {
    { "0", 0, 0, false, { 0x01, 0x42 } },
    { "9", 9, 0, false, { 0x01, 0x42 } },
    { "10", 10, 0, true, { 0, 0 } },
    { "4096", 4096, 0, true, { 0, 0 } },
    { "4097", 4097, 0, false, { 0x01, 0x42 } },
    { "2^32 - 1", UINT32_MAX, 0, false, { 0x01, 0x42 } },
    { "response 9", 10, 9, true, { 0x01, 0x01 } },
    { "response 4097", 10, 4097, true, { 0x01, 0x01 } },
};

static void test_size(void **state)
{
    size_t i = (size_t)(uintptr_t)*state;
    uint8_t header[10] = { 0x80,
                           1,
                           (uint8_t)(sizes[i].size >> 24),
                           (uint8_t)(sizes[i].size >> 16),
                           (uint8_t)(sizes[i].size >> 8),
                           (uint8_t)sizes[i].size };
    struct tis tis;

    bring_about(&tis, READY);
    backend.answer_size = sizes[i].answer;
    for (size_t n = 0; n < 5000; n++)
        tis_write(&tis, at(L, TIS_DATA_FIFO), n < sizeof(header) ? header[n] : 0);
    tis_write(&tis, at(L, TIS_STS), TIS_STS_GO);
    assert_int_equal(backend.count, sizes[i].executed);
    assert_int_equal(tis.state, TIS_COMPLETION);
    if (sizes[i].executed && !sizes[i].answer) {
        assert_int_equal(tis.count, sizes[i].size);
        return;
    }
    assert_int_equal(tis.count, 10);
    assert_int_equal(tis.buffer[5], 10);
    assert_memory_equal(tis.buffer + 8, sizes[i].code, 2);
}

/* ---- What always holds ---- */

static void test_random(void **state)
{
    static const uint32_t favourites[] = { TIS_ACCESS, TIS_STS, TIS_DATA_FIFO, TIS_DATA_FIFO, TIS_XDATA_FIFO };
    uint64_t seed = 1 + (uintptr_t)*state;
    struct tis tis;

    power_on(&tis);
    for (int i = 0; i < 500000; i++) {
        uint32_t offset, draw;

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        draw = (uint32_t)(seed >> 32);
        offset = draw % 8 ? at(draw >> 8 & 3, favourites[(draw >> 4) % COUNT_OF(favourites)]) : draw >> 8;
        if (draw & 0x80000)
            tis_write(&tis, offset, draw & 0x100000 ? (uint8_t)(1u << (draw >> 28 & 7)) : (uint8_t)(draw >> 24));
        else
            tis_read(&tis, offset);
        if (draw % 512 == 7 && tis.active != TIS_NO_LOCALITY) {
            tis_write(&tis, at(tis.active, TIS_STS), TIS_STS_COMMAND_READY);
            write_command(&tis, tis.active, sizeof(command));
            tis_write(&tis, at(tis.active, TIS_STS), TIS_STS_GO);
        }
        assert_true(tis.state <= TIS_COMPLETION && tis.count <= TIS_BUFFER_SIZE && tis.position <= tis.count);
        assert_true(tis.active < TIS_SOFTWARE_LOCALITY_COUNT || tis.active == TIS_NO_LOCALITY);
        assert_true(tis.state == TIS_IDLE || tis.active != TIS_NO_LOCALITY);
        assert_true(tis.requested < 16 && tis.seized < 16);
        assert_true(tis.requested == 0 || tis.active != TIS_NO_LOCALITY);
        assert_true(tis.active == TIS_NO_LOCALITY || !(tis.requested >> tis.active & 1));
    }
    assert_true(backend.count > 100);
}

/* ---- The filter of PCR banks ---- */

static const uint8_t bank_question[22] = { 0x80, 1, 0, 0, 0, 22, 0, 0, 1, 0x7a, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1 };
static const uint8_t bank_answer[37] = {
    0x80, 1, 0, 0, 0, 37, 0, 0,  0, 0,    0,    0,    0, 0,  5, 0, 0, 0, 3, /* three banks */
    0,    4, 3, 0, 0, 0,  0, 11, 3, 0xff, 0xff, 0xff, 0, 12, 3, 0, 0, 0,    /* SHA-1, SHA-256, SHA-384 */
};
static const uint8_t bank_filtered[25] = {
    0x80, 1, 0, 0, 0, 25, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 11, 3, 0xff, 0xff, 0xff,
};

static void test_banks(void **state)
{
    uint8_t answer[sizeof(bank_answer)];

    (void)state;
    memcpy(answer, bank_answer, sizeof(answer));
    assert_int_equal(pcr_banks_hide_unallocated(bank_question, sizeof(bank_question), answer, sizeof(answer)), 25);
    assert_memory_equal(answer, bank_filtered, sizeof(bank_filtered));
    assert_int_equal(pcr_banks_hide_unallocated(bank_question, sizeof(bank_question), answer, 25), 25);
}

/* Each byte damaged, and each shorter size with its size field adjusted: never out of bounds (in exact allocations). */
static void test_banks_damaged(void **state)
{
    (void)state;
    for (size_t size = 0; size <= sizeof(bank_answer); size++) {
        for (size_t damaged = 0; damaged <= size; damaged++) {
            uint8_t *answer = malloc(size ? size : 1);
            size_t result;

            memcpy(answer, bank_answer, size);
            if (size > 5)
                answer[5] = (uint8_t)size;
            if (damaged < size)
                answer[damaged] ^= 0xff;
            result = pcr_banks_hide_unallocated(bank_question, sizeof(bank_question), answer, size);
            assert_true(result <= size);
            if (size < sizeof(bank_answer)) {
                assert_int_equal(result, size);
            }
            free(answer);
        }
    }
}

/* A list with bytes behind it, or whose size field tells another size, is not touched. */
static void test_banks_inconsistent(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = { { 18, 2 }, { 18, 0 }, { 18, 4 }, { 15, 0x80 }, { 5, 36 }, { 5, 38 }, { 2, 1 } };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        uint8_t answer[sizeof(bank_answer)], before[sizeof(bank_answer)];

        memcpy(answer, bank_answer, sizeof(answer));
        answer[changes[i].at] = changes[i].value;
        memcpy(before, answer, sizeof(answer));
        assert_int_equal(pcr_banks_hide_unallocated(bank_question, sizeof(bank_question), answer, sizeof(answer)), 37);
        assert_memory_equal(answer, before, sizeof(answer));
    }
}

static void test_banks_other_commands(void **state)
{
    (void)state;
    for (size_t damaged = 0; damaged < 14; damaged++) {
        uint8_t question[sizeof(bank_question)], answer[sizeof(bank_answer)];

        memcpy(question, bank_question, sizeof(question));
        memcpy(answer, bank_answer, sizeof(answer));
        if (damaged >= 2 && damaged < 6)
            continue; /* the size, which was checked before */
        question[damaged] ^= 0xff;
        assert_int_equal(pcr_banks_hide_unallocated(question, sizeof(question), answer, sizeof(answer)), 37);
        assert_memory_equal(answer, bank_answer, sizeof(answer));
    }
    for (size_t size = 0; size < 14; size++) {
        uint8_t answer[sizeof(bank_answer)];

        memcpy(answer, bank_answer, sizeof(answer));
        assert_int_equal(pcr_banks_hide_unallocated(bank_question, size, answer, sizeof(answer)), 37);
    }
}

int main(void)
{
    struct group g = { 0 };

    for (uintptr_t s = 0; s < SITUATION_COUNT; s++) {
        group_add(&g, test_read, (void *)s, "read every register: %s", situations[s].name);
        group_add(&g, test_write, (void *)s, "write every register: %s", situations[s].name);
        group_add(&g, test_write_of_others, (void *)s, "write as another locality: %s", situations[s].name);
        group_add(&g, test_takeover, (void *)s, "another locality wants it: %s", situations[s].name);
    }
    group_add(&g, test_queue, NULL, "localities wait for each other");
    group_add(&g, test_backend_locality, NULL, "the backend knows the locality");
    for (uintptr_t i = 0; i < COUNT_OF(sizes); i++)
        group_add(&g, test_size, (void *)i, "command size %s", sizes[i].name);
    for (uintptr_t i = 0; i < 4; i++)
        group_add(&g, test_random, (void *)i, "random accesses, seed %d", (int)i);
    group_add(&g, test_banks, NULL, "empty banks are hidden");
    group_add(&g, test_banks_damaged, NULL, "damaged lists of banks");
    group_add(&g, test_banks_inconsistent, NULL, "inconsistent lists of banks");
    group_add(&g, test_banks_other_commands, NULL, "other commands");
    return group_run(&g, "tis");
}
