/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libFuzzer target: a hostile host with its VM. The input is a list of what they do: writes to EPT12, accesses by
 * the VM and by the host, INVEPT, watches, MTRR changes. At the end (and after each INVEPT) no tree may map a frame
 * that is not the host's, let a watched one be written, or allow what EPT12 does not.
 */
#include "fuzz.h"
#include "ept_walk.h"
#include "fake_layer.h"
#include "processors.h"
#include "ept-guard/frames.h"
#include "ept-guard/host_ept.h"
#include "ept-guard/ept02.c" /* NOLINT: each input starts without trees, which are the file's own */

#define RAM_BYTES (UINT64_C(64) << 20)
#define ROOT12    UINT64_C(0x100000) /* EPT12 tables lie in the 16 pages from here */
#define APIC      UINT64_C(0xfee00000)
enum { PHYSICAL_BITS = 40, POOL_PAGES = 96, STEPS_MAX = 200 };

static struct ept02 *tree;

static void start(bool flags)
{
    struct mtrrs m = { .cap = 0x508, .default_type = 0xc06, .address_mask = ((UINT64_C(1) << PHYSICAL_BITS) - 4096) };
    struct vmx_caps hw = processor_broadwell(), offer;
    struct ept12_format f;

    ept_reap();
    memset(trees, 0, sizeof(trees));
    fake_layer_start(RAM_BYTES, POOL_PAGES);
    vmx_caps_offer(&hw, &offer);
    f = ept12_format(&offer, PHYSICAL_BITS);
    ept02_init(&f);
    require(host_ept_init(&m, PHYSICAL_BITS, true, true));
    tree = ept02_get(ROOT12 | EPTP_WB_WALK_4 | (flags ? EPTP_ACCESSED_DIRTY : 0));
    require(tree != NULL);
    for (uint64_t i = 0; i < 3; i++)
        phys_write64(hpa(ROOT12 + i * 4096), (ROOT12 + (i + 1) * 4096) | EPT_RWX);
}

static void check_frames(uint64_t address, uint64_t leaf, unsigned level, void *context)
{
    uint64_t page = leaf & EPT_ADDRESS & ~(ept_page_bytes(level) - 1);
    bool writable = (leaf & EPT_WRITE) != 0;

    if (context != NULL && address < RAM_BYTES && frame_state(hpa(address)) == FRAME_LAYER) { /* all-ones instead */
        require(level == LEVEL_4K && !writable && phys_read64(hpa(page)) == UINT64_MAX);
        return;
    }
    require(!writable || APIC - page >= ept_page_bytes(level));
    for (uint64_t pa = page; pa < page + ept_page_bytes(level) && pa < RAM_BYTES; pa += 4096) {
        enum frame_state s = frame_state(hpa(pa));

        require(s != FRAME_LAYER && s != FRAME_VM);
        require(!writable || s != FRAME_WATCHED);
    }
}

/* Leaves of EPT02 against EPT12 as it is now, without touching its flags. */
static void check_allowed(uint64_t address, uint64_t leaf, unsigned level, void *context)
{
    struct ept12_leaf now;

    (void)level;
    (void)context;
    require(ept12_walk(&format, tree->eptp12 & ~EPTP_ACCESSED_DIRTY, l2gpa(address), leaf & EPT_RWX, &now) == EPT12_OK);
    require((now.entry & EPT_TYPE_MASK) == (leaf & EPT_TYPE_MASK));
}

static hpa_t any_frame(struct input *in)
{
    static const uint64_t places[] = { ROOT12, FAKE_POOL_BASE, 0x3000000, RAM_BYTES, APIC, 0xa0000, 0, 0x80000000 };
    uint64_t choice = take(in, 1);

    return hpa(places[choice & 7] + (choice >> 3) * 4096);
}

static void step(struct input *in)
{
    uint64_t what = take(in, 1), where = take(in, 2), permissions;
    hpa_t frame;

    switch (what & 15) {
    case 0:
    case 1:
    case 2: phys_write64(hpa(ROOT12 + (where & 0x1fff) * 8), take(in, 8)); break;
    case 3: phys_write64(hpa(ROOT12 + (where & 0x1fff) * 8), any_frame(in).raw | take(in, 1)); break;
    case 4: ept02_sync(tree), ept_visit(tree->tree.root, LEVEL_ROOT, 0, check_allowed, NULL); break;
    case 5:
        frame = any_frame(in);
        if (host_ept_watch(frame))
            ept02_revoke(frame, EPT_WRITE);
        break;
    case 6: host_ept_violation(hpa(FAKE_POOL_BASE + (where % POOL_PAGES) * 4096), what >> 7); break;
    case 7: host_ept_remove(any_frame(in), LEVEL_4K); break;
    case 8:
        if (mtrr_write_valid(host_ept_mtrrs(), 0x200 + (where & 15), take(in, 8)))
            *mtrr_register(host_ept_mtrrs(), 0x200 + (where & 15)) = (where & 0xff00) << 12;
        host_ept_rebuild();
        break;
    case 9:
    case 10: host_ept_violation(hpa(any_frame(in).raw + (where & 0xfff)), what >> 7); break;
    default:
        ept02_fill(tree, l2gpa((where & 0xff) << 12 | (where & 0x700) << 13 | (where & 0x3800) << 19),
                   1u << (what >> 5) % 3, &permissions);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, size };

    start(size & 1);
    for (int i = 0; i < STEPS_MAX && in.size != 0; i++)
        step(&in);
    ept_visit(hpa(host_ept_pointer() & EPT_ADDRESS), LEVEL_ROOT, 0, check_frames, tree);
    ept_visit(tree->tree.root, LEVEL_ROOT, 0, check_frames, NULL);
    return 0;
}
