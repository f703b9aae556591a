/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The layer's EPT trees: mapping, splitting, replacing and removing pages of all sizes, compared with a flat array of
 * 4 KiB pages; the pool running dry; and no table freed before a flush.
 */
#include "unit.h"
#include "fake_layer.h"
#include "cloudvisor/pool.h"
#include "ept-guard/ept.h"

static struct ept tree;
static uint64_t tables_elsewhere;

/* A new tree in a new pool of `pages`. */
static void new_tree(size_t pages)
{
    fake_layer_start(UINT64_C(1) << 30, pages);
    tables_elsewhere = ept_table_count();
    assert_true(ept_create(&tree));
}

static uint64_t table_count(void)
{
    return ept_table_count() - tables_elsewhere;
}

static int start(void **state)
{
    (void)state;
    new_tree(256);
    fake_forbid(hpa(0)); /* an absent entry must not be followed */
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ept_clear(&tree);
    ept_reap();
    return 0;
}

static void expect(uint64_t address, uint64_t leaf, unsigned level)
{
    unsigned found = 0;

    assert_int_equal(ept_find(&tree, address, &found), leaf);
    if (leaf != 0)
        assert_int_equal(found, level);
}

static void an_empty_tree_maps_nothing(void **state)
{
    (void)state;
    expect(0, 0, 0);
    expect(UINT64_C(0xffffffffffff), 0, 0);
    assert_int_equal(table_count(), 1);
}

static void maps_each_size(void **state)
{
    const uint64_t address = UINT64_C(0x123456789000);

    (void)state;
    assert_true(ept_map(&tree, address, LEVEL_4K, 0x5000 | EPT_RWX));
    expect(address, 0x5007, LEVEL_4K);
    expect(address + 4096, 0, 0);
    expect(address - 4096, 0, 0);
    assert_true(ept_map(&tree, 0x40000000, LEVEL_2M, 0x600000 | EPT_READ | EPT_TYPE(TYPE_WB)));
    expect(0x401fffff, 0x600000 | EPT_READ | EPT_TYPE(TYPE_WB) | EPT_LARGE, LEVEL_2M);
    expect(0x40200000, 0, 0);
    assert_true(ept_map(&tree, 0x80000000, LEVEL_1G, 0x40000000 | EPT_RWX));
    expect(0xbfffffff, 0x40000000 | EPT_RWX | EPT_LARGE, LEVEL_1G);
    expect(0xc0000000, 0, 0);
}

/* Splitting keeps address, permissions and type of all other parts. */
static void splits_1g(void **state)
{
    const uint64_t bits = EPT_READ | EPT_EXECUTE | EPT_TYPE(TYPE_WT) | EPT_IGNORE_PAT;

    (void)state;
    assert_true(ept_map(&tree, 0, LEVEL_1G, 0x40000000 | bits));
    assert_true(ept_map(&tree, 0x12345000, LEVEL_4K, 0x7000 | EPT_RWX));
    expect(0x12345000, 0x7007, LEVEL_4K);
    expect(0x12344000, 0x52344000 | bits, LEVEL_4K);
    expect(0x12346000, 0x52346000 | bits, LEVEL_4K);
    expect(0x12200000, 0x52200000 | bits, LEVEL_4K);
    expect(0x12400000, 0x52400000 | bits | EPT_LARGE, LEVEL_2M);
    expect(0x12000000, 0x52000000 | bits | EPT_LARGE, LEVEL_2M);
    expect(0x3fffffff, 0x7fe00000 | bits | EPT_LARGE, LEVEL_2M);
    expect(0, 0x40000000 | bits | EPT_LARGE, LEVEL_2M);
}

static void replaces_tables_by_large_pages(void **state)
{
    (void)state;
    assert_true(ept_map(&tree, 0x1000, LEVEL_4K, 0x1007));
    assert_true(ept_map(&tree, 0x200000, LEVEL_4K, 0x2007));
    assert_int_equal(table_count(), 5);
    assert_false(ept_has_released());
    assert_true(ept_map(&tree, 0, LEVEL_1G, EPT_RWX));
    expect(0x1000, EPT_RWX | EPT_LARGE, LEVEL_1G);
    assert_true(ept_has_released());
    assert_int_equal(table_count(), 5);
    assert_int_equal(fake_pool_used(), 5);
    ept_reap();
    assert_false(ept_has_released());
    assert_int_equal(table_count(), 2);
    assert_int_equal(fake_pool_used(), 2);
}

/* Until the reap, a CPU that still walks a released table must find nothing there. */
static void released_tables_map_nothing(void **state)
{
    uint64_t l4, l3, l2;

    (void)state;
    assert_true(ept_map(&tree, 0, LEVEL_4K, 0x1007));
    assert_true(ept_map(&tree, 0x1000, LEVEL_4K, 0x1007));
    l4 = phys_read64(tree.root) & EPT_ADDRESS;
    l3 = phys_read64(hpa(l4)) & EPT_ADDRESS;
    l2 = phys_read64(hpa(l3)) & EPT_ADDRESS;
    ept_clear(&tree);
    for (uint64_t i = 0; i < 4096; i += 8) {
        assert_int_equal(phys_read64(hpa(l4 + i)) & EPT_RWX, 0);
        assert_int_equal(phys_read64(hpa(l3 + i)) & EPT_RWX, 0);
        assert_int_equal(phys_read64(hpa(l2 + i)) & EPT_RWX, 0);
    }
    expect(0, 0, 0);
}

static void unmaps_one_page(void **state)
{
    (void)state;
    assert_true(ept_map(&tree, 0, LEVEL_2M, EPT_RWX));
    assert_true(ept_unmap(&tree, 0x5fff, LEVEL_4K));
    expect(0x5000, 0, 0);
    expect(0x4000, 0x4007, LEVEL_4K);
    expect(0x6000, 0x6007, LEVEL_4K);
    assert_true(ept_unmap(&tree, 0x5000, LEVEL_4K));
    assert_true(ept_unmap(&tree, UINT64_C(0x7f0000000000), LEVEL_4K));
    assert_int_equal(table_count(), 4);
}

static void clearing_leaves_the_root(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 20; i++)
        assert_true(ept_map(&tree, i << 39, LEVEL_4K, 0x1007));
    assert_int_equal(table_count(), 61);
    ept_clear(&tree);
    ept_reap();
    assert_int_equal(table_count(), 1);
    assert_int_equal(fake_pool_used(), 1);
    for (uint64_t i = 0; i < 4096; i += 8)
        assert_int_equal(phys_read64(hpa(tree.root.raw + i)), 0);
}

/* With every number of free pages up to what is needed: a failed call changes no mapping, and a later one works. */
static void an_empty_pool_changes_nothing(void **state)
{
    uint64_t tables;

    (void)state;
    fake_layer_start(UINT64_C(1) << 30, 0);
    tables = ept_table_count();
    assert_false(ept_create(&tree));
    assert_int_equal(ept_table_count(), tables);
    for (size_t pages = 1; pages < 6; pages++) {
        new_tree(pages);
        bool large = ept_map(&tree, 0, LEVEL_1G, EPT_RWX);
        bool small = ept_map(&tree, 0x1000, LEVEL_4K, 0x9007);

        assert_int_equal(large, pages >= 2);
        assert_int_equal(small, pages >= 4);
        if (large) {
            unsigned level;

            assert_int_equal(ept_find(&tree, 0x12345000, &level) & EPT_RWX, EPT_RWX);
            assert_int_equal(ept_find(&tree, 0x1000, &level) & EPT_ADDRESS & ~(ept_page_bytes(level) - 1),
                             small ? 0x9000 : 0);
        }
        assert_int_equal(ept_unmap(&tree, 0x1000, LEVEL_4K), pages == 1 || pages >= 4);
        ept_clear(&tree);
        ept_reap();
    }
}

/* Random operations in 2 GiB, and the same ones on an array with one leaf per 4 KiB page. */
enum { MODEL_PAGES = 2 * 512 * 512 };
static uint64_t model[MODEL_PAGES];

static void compare_with_model(void)
{
    for (uint64_t page = 0; page < MODEL_PAGES; page++) {
        unsigned level = LEVEL_4K;
        uint64_t leaf = ept_find(&tree, page << 12, &level);
        uint64_t mine = leaf;

        if (leaf != 0 && level > LEVEL_4K)
            mine = (leaf & ~EPT_LARGE) + ((page << 12) & (ept_page_bytes(level) - 1));
        if (mine != model[page])
            fail_msg("page %#llx is %#llx instead of %#llx", (unsigned long long)page, (unsigned long long)mine,
                     (unsigned long long)model[page]);
    }
}

static void agrees_with_a_flat_model(void **state)
{
    (void)state;
    srand(2);
    new_tree(FAKE_POOL_MAX);
    memset(model, 0, sizeof(model));
    for (int i = 0; i < 3000; i++) {
        unsigned level = rand() % 50 == 0 ? LEVEL_1G : rand() % 4 == 0 ? LEVEL_2M : LEVEL_4K;
        uint64_t page = (uint64_t)rand() % MODEL_PAGES & ~((ept_page_bytes(level) >> 12) - 1);
        uint64_t leaf = ((uint64_t)rand() << 30 & EPT_ADDRESS & ~(ept_page_bytes(level) - 1)) | EPT_TYPE(TYPE_WB) |
                        (rand() % 2 ? EPT_READ : EPT_RWX);

        if (rand() % 3 == 0) {
            assert_true(ept_unmap(&tree, page << 12, LEVEL_4K));
            model[page] = 0;
        } else {
            assert_true(ept_map(&tree, page << 12, level, leaf));
            for (uint64_t j = 0; j < ept_page_bytes(level) >> 12; j++)
                model[page + j] = leaf + (j << 12);
        }
        if (rand() % 8 == 0)
            ept_reap();
        if (i % 500 == 0)
            compare_with_model();
    }
    compare_with_model();
    assert_int_equal(fake_pool_used(), table_count());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_tree_maps_nothing, start, stop),
        cmocka_unit_test_setup_teardown(maps_each_size, start, stop),
        cmocka_unit_test_setup_teardown(splits_1g, start, stop),
        cmocka_unit_test_setup_teardown(replaces_tables_by_large_pages, start, stop),
        cmocka_unit_test_setup_teardown(released_tables_map_nothing, start, stop),
        cmocka_unit_test_setup_teardown(unmaps_one_page, start, stop),
        cmocka_unit_test_setup_teardown(clearing_leaves_the_root, start, stop),
        cmocka_unit_test_setup_teardown(an_empty_pool_changes_nothing, start, stop),
        cmocka_unit_test_setup_teardown(agrees_with_a_flat_model, start, stop),
    };

    return cmocka_run_group_tests_name("ept", tests, NULL, NULL);
}
