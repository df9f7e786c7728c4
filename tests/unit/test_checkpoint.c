/* Checkpoints: all of it comes back, and nothing that is not whole does. */
#include "mcts/random.h"
#include "tests/unit/run_suite.h"
#include "trainer/checkpoint.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/qzd-checkpoint-XXXXXX";
static char path[64];

static void set_up(void)
{
    snprintf(folder, sizeof(folder), "/tmp/qzd-checkpoint-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/main.ckpt", folder);
}

static void tear_down(void)
{
    char command[96];
    snprintf(command, sizeof(command), "%s.new", path);
    unlink(command);
    unlink(path);
    rmdir(folder);
}

static struct net *small_net(uint32_t filters)
{
    struct net_arch arch = {.game = "connect4",
                            .n_planes = 3,
                            .height = 6,
                            .width = 7,
                            .policy_planes = 1,
                            .blocks = 1,
                            .filters = filters,
                            .value_filters = 2,
                            .value_hidden = 3,
                            .value = NET_VALUE_WDL};
    struct net *net = net_create(&arch);
    ck_assert_ptr_nonnull(net);
    net_init(net, 1);
    return net;
}

static void begin(struct checkpoint *checkpoint, uint32_t filters)
{
    struct net *net = small_net(filters);
    ck_assert_int_eq(checkpoint_init(checkpoint, net), 0);
    net_destroy(net);
}

static void fill(struct checkpoint *checkpoint)
{
    float *const vectors[] = {checkpoint->net->params, checkpoint->average->params,
                              checkpoint->optimizer.first, checkpoint->optimizer.second};
    for (uint32_t k = 0; k < 4; k++) {
        for (size_t i = 0; i < checkpoint->net->n_params; i++) {
            vectors[k][i] = (float)random_uniform(7, k, RANDOM_TEST, i);
        }
    }
    snprintf(checkpoint->head.job, sizeof(checkpoint->head.job), "a job");
    checkpoint->head.step = 12;
    checkpoint->head.tail.policy = 3.5;
    checkpoint->head.result.steps = 99;
    checkpoint->optimizer.step = 345;
}

START_TEST(everything_comes_back)
{
    struct checkpoint a;
    struct checkpoint b;
    struct checkpoint_head head;
    struct error err;
    begin(&a, 4);
    begin(&b, 4);
    fill(&a);
    ck_assert_msg(checkpoint_save(&a, path, &err) == 0, "%s", err.text);
    ck_assert_msg(checkpoint_load(path, &b, &err) == 0, "%s", err.text);
    const size_t bytes = a.net->n_params * sizeof(float);
    ck_assert_mem_eq(a.net->params, b.net->params, bytes);
    ck_assert_mem_eq(a.average->params, b.average->params, bytes);
    ck_assert_mem_eq(a.optimizer.first, b.optimizer.first, bytes);
    ck_assert_mem_eq(a.optimizer.second, b.optimizer.second, bytes);
    ck_assert_int_eq(b.optimizer.step, 345);
    ck_assert_int_eq(b.head.step, 12);
    ck_assert_double_eq(b.head.tail.policy, 3.5);
    ck_assert_int_eq(checkpoint_peek(path, &head, &err), 0);
    ck_assert_str_eq(head.job, "a job");
    ck_assert_int_eq(head.result.steps, 99);
    checkpoint_finish(&a);
    checkpoint_finish(&b);
}
END_TEST

static size_t slurp(uint8_t **ret)
{
    struct stat stat_of;
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fstat(fileno(file), &stat_of), 0);
    const size_t size = (size_t)stat_of.st_size;
    *ret = malloc(size);
    ck_assert_uint_eq(fread(*ret, 1, size, file), size);
    fclose(file);
    return size;
}

static void spew(const uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

START_TEST(cut_or_changed_anywhere_it_is_refused_and_nothing_changes)
{
    struct checkpoint a;
    struct checkpoint b;
    struct error err;
    uint8_t *bytes = NULL;
    begin(&a, 2);
    begin(&b, 2);
    fill(&a);
    ck_assert_int_eq(checkpoint_save(&a, path, &err), 0);
    const size_t size = slurp(&bytes);
    const float first = b.net->params[0];
    for (size_t at = 0; at < size; at += at < 400 ? 7 : 211) {
        spew(bytes, at);
        ck_assert_msg(checkpoint_load(path, &b, &err) < 0, "cut at %zu", at);
        bytes[at] ^= 0x10;
        spew(bytes, size);
        bytes[at] ^= 0x10;
        ck_assert_msg(checkpoint_load(path, &b, &err) < 0, "changed at %zu", at);
        ck_assert_ptr_nonnull(strstr(err.text, path));
    }
    ck_assert_float_eq(b.net->params[0], first);
    ck_assert_int_eq(b.head.step, 0);
    spew(bytes, size);
    ck_assert_int_eq(checkpoint_load(path, &b, &err), 0);
    free(bytes);
    checkpoint_finish(&a);
    checkpoint_finish(&b);
}
END_TEST

START_TEST(one_of_another_architecture_is_refused)
{
    struct checkpoint a;
    struct checkpoint b;
    struct error err;
    begin(&a, 4);
    begin(&b, 5);
    ck_assert_int_eq(checkpoint_load(path, &b, &err), ERROR_NOT_FOUND);
    ck_assert_int_eq(checkpoint_save(&a, path, &err), 0);
    ck_assert_int_eq(checkpoint_load(path, &b, &err), ERROR_VERSION);
    ck_assert_int_eq(checkpoint_load(path, &a, &err), 0);
    checkpoint_finish(&a);
    checkpoint_finish(&b);
}
END_TEST

START_TEST(a_save_that_fails_leaves_the_old_one)
{
    struct checkpoint a;
    struct checkpoint_head head;
    struct error err;
    char blocked[96];
    begin(&a, 4);
    a.head.step = 1;
    ck_assert_int_eq(checkpoint_save(&a, path, &err), 0);
    a.head.step = 2;
    snprintf(blocked, sizeof(blocked), "%s.new", path);
    ck_assert_int_eq(mkdir(blocked, 0700), 0); /* so that the new file cannot be opened */
    ck_assert_int_lt(checkpoint_save(&a, path, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.text, blocked));
    rmdir(blocked);
    ck_assert_int_eq(checkpoint_peek(path, &head, &err), 0);
    ck_assert_int_eq(head.step, 1);
    checkpoint_finish(&a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("checkpoint");
    TCase *tc = tcase_create("checkpoint");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, everything_comes_back);
    tcase_add_test(tc, cut_or_changed_anywhere_it_is_refused_and_nothing_changes);
    tcase_add_test(tc, one_of_another_architecture_is_refused);
    tcase_add_test(tc, a_save_that_fails_leaves_the_old_one);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
