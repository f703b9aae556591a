/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The frame database: every event in every state against a matrix written down a second time, neighbours untouched,
 * and the large-page bookkeeping against counting frame by frame.
 */
#include "unit.h"
#include "ept-guard/frames.h"

#define RAM_BYTES (UINT64_C(1) << 30)
#define FRAMES    (RAM_BYTES >> 12)
#define TABLE     (FRAMES + 1000) /* a few device frames behind the RAM, and an odd size */

static const char *const states[] = { "DEVICE", "HOST", "WATCHED", "LAYER", "VM", "BOUND" };
static const char *const events[] = { "HOST_READ", "HOST_WRITE", "WATCH",    "LAYER_TAKE",
                                      "VM_CLAIM",  "VM_BIND",    "VM_RETURN" };
_Static_assert(COUNT_OF(states) == FRAME_STATE_COUNT && COUNT_OF(events) == FRAME_EVENT_COUNT, "none is left out");

/* Rows: state, columns: event, contents: the next state, or '-' where the event is refused. */
static const char *const matrix[] = {
    /*           read write watch take claim bind return */
    [FRAME_DEVICE] = "DD-L---", [FRAME_HOST] = "HHWLVB-", [FRAME_WATCHED] = "WHW----",
    [FRAME_LAYER] = "-------",  [FRAME_VM] = "------H",   [FRAME_BOUND] = "------H",
};

static void *table;

static int start(void **state)
{
    (void)state;
    table = calloc(1, frames_table_bytes(TABLE));
    frames_init(table, TABLE);
    frames_add_ram(0, RAM_BYTES);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    free(table);
    return 0;
}

/* A frame in the middle of a 2 MiB page, brought into `wanted`. */
static hpa_t frame_in(enum frame_state wanted)
{
    hpa_t frame = hpa(wanted == FRAME_DEVICE ? RAM_BYTES + 0x6000 : 0x12345000);

    switch (wanted) {
    case FRAME_WATCHED: assert_true(frame_event(frame, FRAME_WATCH)); break;
    case FRAME_LAYER: assert_true(frame_event(frame, FRAME_LAYER_TAKE)); break;
    case FRAME_VM: assert_true(frame_event(frame, FRAME_VM_CLAIM)); break;
    case FRAME_BOUND: assert_true(frame_event(frame, FRAME_VM_BIND)); break;
    default: break;
    }
    assert_int_equal(frame_state(frame), wanted);
    return frame;
}

static enum frame_state state_named(char letter)
{
    for (int i = 0; i < FRAME_STATE_COUNT; i++)
        if (states[i][0] == letter)
            return (enum frame_state)i;
    fail();
    return FRAME_DEVICE;
}

static void event_in_state(void **state)
{
    unsigned from = (unsigned)(uintptr_t)*state / FRAME_EVENT_COUNT;
    unsigned event = (unsigned)(uintptr_t)*state % FRAME_EVENT_COUNT;
    char next = matrix[from][event];
    hpa_t frame = frame_in((enum frame_state)from);
    enum frame_state below = frame_state(hpa(frame.raw - 4096)), above = frame_state(hpa(frame.raw + 4096));
    enum frame_state after = next == '-' ? (enum frame_state)from : state_named(next);
    bool open = after == FRAME_HOST || after == FRAME_DEVICE;

    assert_int_equal(frame_event(hpa(frame.raw + 0xabc), (enum frame_event)event), next != '-');
    assert_int_equal(frame_state(frame), after);
    assert_int_equal(frame_state(hpa(frame.raw - 4096)), below);
    assert_int_equal(frame_state(hpa(frame.raw + 4096)), above);
    assert_int_equal(frames_unrestricted(frame, 4096), open);
    assert_int_equal(frames_unrestricted(hpa(frame.raw & ~UINT64_C(0x1fffff)), 0x200000), open);
    assert_int_equal(frames_unrestricted(hpa(frame.raw & ~UINT64_C(0x3fffffff)), 0x40000000), open);
    assert_true(frames_unrestricted(hpa(0x400000), 0x200000));
}

static void rules_are_unique(void **state)
{
    static const uint8_t pairs[] = {
#define FRAME_RULE(from, event, next) FRAME_##from *FRAME_EVENT_COUNT + FRAME_##event,
#include "ept-guard/frames.def"
#undef FRAME_RULE
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(pairs[i], pairs[j]);
}

/* Nothing ever takes a frame from the layer, and what a VM has leaves only by VM_RETURN. */
static void layer_and_vm_frames_are_never_opened(void **state)
{
    (void)state;
    for (int event = 0; event < FRAME_EVENT_COUNT; event++) {
        assert_int_equal(matrix[FRAME_LAYER][event], '-');
        if (event != FRAME_VM_RETURN)
            assert_int_equal(matrix[FRAME_VM][event], '-');
        if (event != FRAME_VM_RETURN)
            assert_int_equal(matrix[FRAME_BOUND][event], '-');
    }
}

static void beyond_the_table_all_is_device(void **state)
{
    static const uint64_t far[] = { TABLE << 12, (TABLE + 1) << 12, UINT64_C(1) << 40, UINT64_MAX & ~UINT64_C(0xfff) };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(far); i++) {
        assert_int_equal(frame_state(hpa(far[i])), FRAME_DEVICE);
        assert_true(frame_event(hpa(far[i]), FRAME_HOST_READ));
        assert_true(frame_event(hpa(far[i]), FRAME_HOST_WRITE));
        for (int event = FRAME_WATCH; event < FRAME_EVENT_COUNT; event++)
            assert_false(frame_event(hpa(far[i]), (enum frame_event)event));
        assert_int_equal(frame_state(hpa(far[i])), FRAME_DEVICE);
        assert_true(frames_unrestricted(hpa(far[i]), 4096));
    }
    assert_true(frames_unrestricted(hpa(UINT64_C(1) << 40), 0x40000000));
}

static void ram_is_added_where_it_is(void **state)
{
    (void)state;
    memset(table, 0, frames_table_bytes(TABLE));
    frames_init(table, TABLE);
    frames_add_ram(0x3000, 0x2000);
    assert_int_equal(frame_state(hpa(0x2fff)), FRAME_DEVICE);
    assert_int_equal(frame_state(hpa(0x3000)), FRAME_HOST);
    assert_int_equal(frame_state(hpa(0x4fff)), FRAME_HOST);
    assert_int_equal(frame_state(hpa(0x5000)), FRAME_DEVICE);
    frames_add_ram((TABLE - 1) << 12, UINT64_MAX); /* more than there is, and wrapping */
    assert_int_equal(frame_state(hpa((TABLE - 1) << 12)), FRAME_HOST);
    assert_int_equal(frame_state(hpa(TABLE << 12)), FRAME_DEVICE);
    assert_int_equal(frame_state(hpa(0)), FRAME_DEVICE);
}

/* What frames_unrestricted says of large pages, by looking at each frame. */
static bool all_open(uint64_t base, uint64_t bytes)
{
    for (uint64_t pa = base; pa < base + bytes; pa += 4096) {
        enum frame_state s = frame_state(hpa(pa));

        if (s != FRAME_HOST && s != FRAME_DEVICE)
            return false;
    }
    return true;
}

static void large_pages_follow_their_frames(void **state)
{
    (void)state;
    srand(1);
    for (int round = 0; round < 400; round++) {
        for (int i = 0; i < 60; i++) {
            uint64_t frame = (uint64_t)rand() % 2048 + FRAMES - 1024; /* around the end of RAM and of the table */
            enum frame_event event = (enum frame_event)(rand() % FRAME_EVENT_COUNT);

            if (event != FRAME_LAYER_TAKE || rand() % 64 == 0)
                frame_event(hpa(frame << 12), event);
        }
        for (uint64_t base = (FRAMES - 1024) << 12; base < (FRAMES + 1024) << 12; base += 0x200000)
            assert_int_equal(frames_unrestricted(hpa(base), 0x200000), all_open(base, 0x200000));
    }
    assert_false(frames_unrestricted(hpa(0), 0x40000000));
}

/* The largest numbers that callers have: 256 VMs, 40 bits of guest frame number. */
static void owners_are_kept_apart_from_state_and_note(void **state)
{
    static const struct {
        unsigned vm;
        uint64_t gfn;
    } owners[] = { { 0, 0 }, { 0xff, 0 }, { 0, 0xffffffffff }, { 0x5a, 0xa5a5a5a5a5 }, { 15, 1 } };
    hpa_t frame = frame_in(FRAME_VM), next = hpa(frame.raw + 4096);
    uint64_t gfn;

    (void)state;
    frame_set_owner(next, 7, 77);
    for (size_t i = 0; i < COUNT_OF(owners); i++) {
        frame_set_owner(hpa(frame.raw + 0xfff), owners[i].vm, owners[i].gfn);
        assert_int_equal(frame_owner(hpa(frame.raw + 1), &gfn), owners[i].vm);
        assert_int_equal(gfn, owners[i].gfn);
        assert_int_equal(frame_state(frame), FRAME_VM);
        assert_false(frames_take_mapped(frame));
        frames_note_mapped(frame, 4096);
        assert_int_equal(frame_owner(frame, &gfn), owners[i].vm);
        assert_int_equal(gfn, owners[i].gfn);
        assert_true(frames_take_mapped(frame));
    }
    assert_int_equal(frame_owner(next, &gfn), 7);
    assert_int_equal(gfn, 77);
}

static void a_note_is_taken_once(void **state)
{
    hpa_t frame = hpa(0x12345000);

    (void)state;
    assert_false(frames_take_mapped(frame));
    frames_note_mapped(frame, 4096);
    frames_note_mapped(frame, 4096);
    assert_false(frames_take_mapped(hpa(frame.raw - 4096)));
    assert_false(frames_take_mapped(hpa(frame.raw + 4096)));
    assert_int_equal(frame_state(frame), FRAME_HOST);
    assert_true(frames_take_mapped(hpa(frame.raw + 0xabc)));
    assert_false(frames_take_mapped(frame));
}

/* A note outlives every change of state: it is about EPT02s, not about owners. */
static void notes_survive_events(void **state)
{
    hpa_t frame = hpa(0x12345000);

    (void)state;
    frames_note_mapped(frame, 4096);
    assert_true(frame_event(frame, FRAME_WATCH));
    assert_true(frame_event(frame, FRAME_HOST_WRITE));
    assert_true(frame_event(frame, FRAME_VM_CLAIM));
    assert_true(frame_event(frame, FRAME_VM_RETURN));
    assert_true(frame_event(frame, FRAME_VM_BIND));
    assert_true(frames_take_mapped(frame));
}

/* The caller removes the whole large page, so that one frame's taking speaks for all 2 MiB; not for others. */
static void notes_of_large_pages(void **state)
{
    (void)state;
    frames_note_mapped(hpa(0x40000000 - 0x200000), 0x200000);
    frames_note_mapped(hpa(0), 0x40000000);
    for (uint64_t pa = 0; pa < RAM_BYTES; pa += 0x200000) {
        assert_true(frames_take_mapped(hpa(pa + 0x1ff000)));
        assert_false(frames_take_mapped(hpa(pa)));
    }
    frames_note_mapped(hpa(0x200000), 0x200000);
    frames_note_mapped(hpa(0x203000), 4096);
    assert_false(frames_take_mapped(hpa(0x1ff000)));
    assert_false(frames_take_mapped(hpa(0x400000)));
    assert_true(frames_take_mapped(hpa(0x205000)));
    assert_true(frames_take_mapped(hpa(0x203000))); /* by a small page of its own, too */
    assert_false(frames_take_mapped(hpa(0x203000)));
}

static void notes_beyond_the_table_are_dropped(void **state)
{
    (void)state;
    frames_note_mapped(hpa(TABLE << 12), 4096);
    frames_note_mapped(hpa(UINT64_C(1) << 40), 4096);
    frames_note_mapped(hpa(UINT64_C(1) << 40), 0x40000000);
    frames_note_mapped(hpa(RAM_BYTES), 0x40000000); /* begins in it */
    assert_true(frames_take_mapped(hpa(RAM_BYTES)));
    assert_true(frames_take_mapped(hpa((TABLE - 1) << 12)));
    assert_false(frames_take_mapped(hpa(RAM_BYTES - 4096)));
}

int main(void)
{
    struct group g = { 0 };

    for (uintptr_t i = 0; i < FRAME_STATE_COUNT * FRAME_EVENT_COUNT; i++) {
        group_add(&g, event_in_state, (const void *)i, "%s in state %s", events[i % FRAME_EVENT_COUNT],
                  states[i / FRAME_EVENT_COUNT]);
    }
    group_add(&g, rules_are_unique, NULL, "rules are unique");
    group_add(&g, layer_and_vm_frames_are_never_opened, NULL, "layer and VM frames are never opened");
    group_add(&g, beyond_the_table_all_is_device, NULL, "beyond the table all is device");
    group_add(&g, ram_is_added_where_it_is, NULL, "RAM is added where it is");
    group_add(&g, large_pages_follow_their_frames, NULL, "large pages follow their frames");
    group_add(&g, owners_are_kept_apart_from_state_and_note, NULL, "owners are kept apart from state and note");
    group_add(&g, a_note_is_taken_once, NULL, "a note is taken once");
    group_add(&g, notes_survive_events, NULL, "notes survive events");
    group_add(&g, notes_of_large_pages, NULL, "notes of large pages");
    group_add(&g, notes_beyond_the_table_are_dropped, NULL, "notes beyond the table are dropped");
    for (size_t i = 0; i < g.count; i++) {
        g.tests[i].setup_func = start;
        g.tests[i].teardown_func = stop;
    }
    return group_run(&g, "frames");
}
