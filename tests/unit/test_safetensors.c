/* Net files: round trip, and everything that must be refused, with what the message must say. */
#include "trainer/net/safetensors.h"

#include "tests/unit/run_suite.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Linked with --wrap=fsync,--wrap=rename. Set to n, the n-th call from now fails. */
static int fail_sync_in;
static int fail_rename_in;
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_fsync(int fd)
{
    if (fail_sync_in > 0 && --fail_sync_in == 0) {
        errno = EIO;
        return -1;
    }
    return __real_fsync(fd);
}
int __wrap_rename(const char *from, const char *to)
{
    if (fail_rename_in > 0 && --fail_rename_in == 0) {
        errno = ENOSPC;
        return -1;
    }
    return __real_rename(from, to);
}

static struct net *tiny_net(void)
{
    struct net_arch arch = {.game = "tictactoe",
                            .n_planes = 2,
                            .height = 3,
                            .width = 3,
                            .policy_planes = 1,
                            .blocks = 1,
                            .filters = 2,
                            .se_channels = 1,
                            .value_filters = 1,
                            .value_hidden = 2,
                            .value = NET_VALUE_WDL};
    struct net *net = net_create(&arch);
    ck_assert_ptr_nonnull(net);
    net_init(net, 1);
    return net;
}

/* ---- a scratch directory for each test ---- */

static char directory[64];

static void setup(void)
{
    strcpy(directory, "/tmp/qzd-net-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static int n_files(void)
{
    int n = 0;
    DIR *dir = opendir(directory);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        n += entry->d_name[0] != '.';
    }
    closedir(dir);
    return n;
}

static void teardown(void)
{
    char path[512];
    DIR *dir = opendir(directory);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
            unlink(path);
        }
    }
    closedir(dir);
    rmdir(directory);
}

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

/* ---- a file in parts, to damage it ---- */

struct parts {
    json_t *header;
    uint8_t *data;
    size_t data_size;
};

static struct parts parts_of(const struct net *net)
{
    struct parts parts;
    struct error err;
    uint8_t *bytes = NULL;
    size_t size = 0;
    uint64_t length;
    ck_assert_int_eq(net_encode(net, &bytes, &size, &err), 0);
    memcpy(&length, bytes, 8);
    parts.header = json_loadb((char *)bytes + 8, length, 0, NULL);
    ck_assert_ptr_nonnull(parts.header);
    parts.data_size = size - 8 - length;
    parts.data = malloc(parts.data_size + 64);
    ck_assert_ptr_nonnull(parts.data);
    memset(parts.data, 0, parts.data_size + 64);
    memcpy(parts.data, bytes + 8 + length, parts.data_size);
    free(bytes);
    return parts;
}

static void parts_finish(struct parts *parts)
{
    json_decref(parts->header);
    free(parts->data);
}

static int decode_text(const char *text, const uint8_t *data, size_t data_size, struct error *err)
{
    uint64_t length = strlen(text);
    size_t size = 8 + length + data_size;
    uint8_t *bytes = malloc(size);
    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, text, length); /* NOLINT(bugprone-not-null-terminated-result) */
    if (data_size > 0) {
        memcpy(bytes + 8 + length, data, data_size);
    }
    struct net *net = NULL;
    int r = net_decode(bytes, size, "x.safetensors", &net, err);
    ck_assert((r == 0) == (net != NULL));
    net_destroy(net);
    free(bytes);
    return r;
}

static int decode_parts(const struct parts *parts, struct error *err)
{
    char *text = json_dumps(parts->header, JSON_COMPACT);
    ck_assert_ptr_nonnull(text);
    int r = decode_text(text, parts->data, parts->data_size, err);
    free(text);
    return r;
}

static void assert_refused(int r, int code, const struct error *err, const char *says)
{
    ck_assert_msg(r == code, "code %d, not %d: %s", r, code, r < 0 ? err->text : "accepted");
    ck_assert_msg(strncmp(err->text, "x.safetensors: ", 15) == 0, "no name in: %s", err->text);
    ck_assert_msg(strstr(err->text, says) != NULL, "\"%s\" is not in: %s", says, err->text);
}

static json_t *tensor_entry(const struct parts *parts, const char *name)
{
    json_t *entry = json_object_get(parts->header, name);
    ck_assert_ptr_nonnull(entry);
    return entry;
}

/* ---- what must work ---- */

START_TEST(file_round_trip_keeps_every_bit)
{
    struct error err;
    char written[RECORD_SHA256_BYTES];
    char read[RECORD_SHA256_BYTES];
    struct net *net = tiny_net();
    struct net *back = NULL;
    net->params[0] = -0.0F;
    net->params[1] = 1e-41F; /* denormal */
    ck_assert_int_eq(net_save(net, path_of("a"), written, &err), 0);
    ck_assert_int_eq(net_load(path_of("a"), &back, read, &err), 0);
    ck_assert_str_eq(written, read);
    ck_assert(net_arch_equal(&net->arch, &back->arch));
    ck_assert_mem_eq(net->params, back->params, net->n_params * sizeof(float));
    ck_assert_int_eq(n_files(), 1);
    net_destroy(back);
    net_destroy(net);
}
END_TEST

START_TEST(bytes_depend_on_the_net_only_and_follow_the_format)
{
    struct error err;
    struct net *net = tiny_net();
    struct net *copy = net_copy(net);
    uint8_t *a = NULL;
    uint8_t *b = NULL;
    size_t a_size = 0;
    size_t b_size = 0;
    uint64_t length;
    ck_assert_int_eq(net_encode(net, &a, &a_size, &err), 0);
    ck_assert_int_eq(net_encode(copy, &b, &b_size, &err), 0);
    ck_assert_uint_eq(a_size, b_size);
    ck_assert_mem_eq(a, b, a_size);
    memcpy(&length, a, 8);
    ck_assert_uint_eq(length % 8, 0);
    ck_assert_int_eq(a[8], '{');
    ck_assert_mem_eq(a + 8 + length, net->params, net->n_params * sizeof(float));
    copy->params[3] += 1.0F;
    free(b);
    ck_assert_int_eq(net_encode(copy, &b, &b_size, &err), 0);
    ck_assert_mem_ne(a, b, a_size);
    free(a);
    free(b);
    net_destroy(copy);
    net_destroy(net);
}
END_TEST

START_TEST(hash_is_the_sha256_of_the_file)
{
    struct error err;
    char sha256[RECORD_SHA256_BYTES];
    uint8_t digest[crypto_hash_sha256_BYTES];
    char hex[RECORD_SHA256_BYTES];
    struct net *net = tiny_net();
    uint8_t *bytes = NULL;
    size_t size = 0;
    ck_assert_int_eq(net_encode(net, &bytes, &size, &err), 0);
    crypto_hash_sha256(digest, bytes, size);
    sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    ck_assert_int_eq(net_save(net, path_of("a"), sha256, &err), 0);
    ck_assert_str_eq(sha256, hex);
    ck_assert_int_eq(net_save(net, path_of("a"), NULL, &err), 0); /* over itself, no hash wanted */
    free(bytes);
    net_destroy(net);
}
END_TEST

START_TEST(save_by_hash_keeps_an_equal_file_and_mends_a_damaged_one)
{
    struct error err;
    struct stat first;
    struct stat second;
    char sha256[RECORD_SHA256_BYTES];
    char name[96];
    struct net *net = tiny_net();
    struct net *back = NULL;
    ck_assert_int_eq(net_save_by_hash(net, directory, sha256, &err), 0);
    snprintf(name, sizeof name, "%s.safetensors", sha256);
    ck_assert_int_eq(stat(path_of(name), &first), 0);
    ck_assert_int_eq(net_save_by_hash(net, directory, sha256, &err), 0);
    ck_assert_int_eq(stat(path_of(name), &second), 0);
    ck_assert_uint_eq(first.st_ino, second.st_ino);
    ck_assert_int_eq(truncate(path_of(name), 100), 0);
    ck_assert_int_eq(net_save_by_hash(net, directory, sha256, &err), 0);
    ck_assert_int_eq(net_load(path_of(name), &back, NULL, &err), 0);
    ck_assert_int_eq(n_files(), 1);
    net_destroy(back);
    net_destroy(net);
}
END_TEST

START_TEST(tensors_may_stand_in_another_order)
{
    struct error err;
    struct net *net = tiny_net();
    struct parts parts = parts_of(net);
    /* Swap the data of input.bn.gamma and input.bn.beta, two floats each, and their offsets. */
    json_t *gamma = tensor_entry(&parts, "input.bn.gamma");
    json_t *beta = tensor_entry(&parts, "input.bn.beta");
    json_t *offsets = json_incref(json_object_get(gamma, "data_offsets"));
    json_object_set(gamma, "data_offsets", json_object_get(beta, "data_offsets"));
    json_object_set_new(beta, "data_offsets", offsets);
    ck_assert_int_eq(decode_parts(&parts, &err), 0);
    parts_finish(&parts);
    net_destroy(net);
}
END_TEST

/* ---- what must be refused ---- */

START_TEST(every_truncation_is_refused)
{
    struct error err;
    struct net *net = tiny_net();
    uint8_t *bytes = NULL;
    size_t size = 0;
    ck_assert_int_eq(net_encode(net, &bytes, &size, &err), 0);
    for (size_t length = 0; length < size; length++) {
        struct net *got = NULL;
        uint8_t *cut = malloc(length > 0 ? length : 1); /* so that ASan sees a read behind it */
        ck_assert_ptr_nonnull(cut);
        memcpy(cut, bytes, length);
        err.text[0] = '\0';
        int r = net_decode(cut, length, "x.safetensors", &got, &err);
        ck_assert_msg(r == ERROR_CORRUPT && strstr(err.text, "truncated") != NULL,
                      "cut to %zu of %zu bytes: %d %s", length, size, r, err.text);
        ck_assert_ptr_null(got);
        free(cut);
    }
    free(bytes);
    net_destroy(net);
}
END_TEST

START_TEST(trailing_bytes_are_refused)
{
    struct error err;
    struct net *net = tiny_net();
    struct parts parts = parts_of(net);
    parts.data_size += 1;
    assert_refused(decode_parts(&parts, &err), ERROR_CORRUPT, &err, "1 bytes too many at the end");
    parts_finish(&parts);
    net_destroy(net);
}
END_TEST

static const struct {
    float value;
    const char *tensor, *says;
} bad_values[] = {
    {NAN, "value.fc1.weight", "tensor value.fc1.weight holds NaN at index 1"},
    {INFINITY, "input.conv.weight", "tensor input.conv.weight holds infinite at index 1"},
    {-INFINITY, "input.bn.mean", "tensor input.bn.mean holds infinite at index 1"},
    {-0.5F, "policy.bn.var", "tensor policy.bn.var holds a negative variance at index 1"},
};

START_TEST(numbers_that_poison_a_net_are_refused_when_read_and_when_written)
{
    struct error err;
    uint8_t *bytes = NULL;
    size_t size = 0;
    struct net *net = tiny_net();
    struct parts parts = parts_of(net);
    const struct net_tensor *tensor = net_find(net, bad_values[_i].tensor);
    memcpy(parts.data + (tensor->offset + 1) * sizeof(float), &bad_values[_i].value, sizeof(float));
    assert_refused(decode_parts(&parts, &err), ERROR_INVALID, &err, bad_values[_i].says);
    net_tensor_data(net, tensor)[1] = bad_values[_i].value;
    ck_assert_int_eq(net_encode(net, &bytes, &size, &err), ERROR_INVALID);
    ck_assert_int_eq(net_save(net, path_of("a"), NULL, &err), ERROR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, bad_values[_i].says));
    ck_assert_int_eq(net_save_by_hash(net, directory, NULL, &err), ERROR_INVALID);
    ck_assert_int_eq(n_files(), 0);
    parts_finish(&parts);
    net_destroy(net);
}
END_TEST

static void set_offsets(const struct parts *parts, const char *name, json_int_t by_begin,
                        json_int_t by_end)
{
    json_t *entry = tensor_entry(parts, name);
    json_t *old = json_object_get(entry, "data_offsets");
    json_int_t begin = json_integer_value(json_array_get(old, 0)) + by_begin;
    json_int_t end = json_integer_value(json_array_get(old, 1)) + by_end;
    json_object_set_new(entry, "data_offsets", json_pack("[I, I]", begin, end));
}

START_TEST(damaged_offsets_are_refused)
{
    struct error err;
    struct net *net = tiny_net();
    struct parts parts = parts_of(net);
    json_int_t far = (json_int_t)parts.data_size;

    set_offsets(&parts, "input.bn.beta", -8, -8); /* onto gamma */
    assert_refused(decode_parts(&parts, &err), ERROR_CORRUPT, &err, "overlaps the one before");
    set_offsets(&parts, "input.bn.beta", far, far);
    assert_refused(decode_parts(&parts, &err), ERROR_CORRUPT, &err, "is outside the");
    set_offsets(&parts, "input.bn.beta", -2 * far, -2 * far);
    assert_refused(decode_parts(&parts, &err), ERROR_CORRUPT, &err, "is outside the");
    set_offsets(&parts, "input.bn.beta", far + 8, far + 4);
    assert_refused(decode_parts(&parts, &err), ERROR_CORRUPT, &err,
                   "tensor input.bn.beta has 4 bytes, its shape needs 8");
    set_offsets(&parts, "input.bn.beta", 8, 0); /* end before begin */
    assert_refused(decode_parts(&parts, &err), ERROR_CORRUPT, &err, "is outside the");
    parts_finish(&parts);
    net_destroy(net);
}
END_TEST

START_TEST(gap_between_tensors_is_refused)
{
    struct error err;
    struct net *net = tiny_net();
    struct parts parts = parts_of(net);
    set_offsets(&parts, "value.fc2.bias", 4, 4); /* the last one */
    parts.data_size += 4;
    assert_refused(decode_parts(&parts, &err), ERROR_CORRUPT, &err, "leaves a gap after byte");
    parts_finish(&parts);
    net_destroy(net);
}
END_TEST

START_TEST(wrong_tensors_are_refused_by_name)
{
    struct error err;
    struct net *net = tiny_net();
    struct parts parts = parts_of(net);
    json_t *entry = json_deep_copy(tensor_entry(&parts, "policy.bn.var"));

    json_object_set_new(parts.header, "extra.weight", json_deep_copy(entry));
    assert_refused(decode_parts(&parts, &err), ERROR_INVALID, &err, "unknown tensor extra.weight");
    json_object_del(parts.header,
                    "policy.bn.var"); /* one missing, one unknown: as many as expected */
    assert_refused(decode_parts(&parts, &err), ERROR_INVALID, &err,
                   "tensor policy.bn.var is missing");
    json_object_del(parts.header, "extra.weight");

    json_t *other = json_deep_copy(entry);
    json_object_set_new(other, "dtype", json_string("F16"));
    json_object_set_new(parts.header, "policy.bn.var", other);
    assert_refused(decode_parts(&parts, &err), ERROR_INVALID, &err,
                   "tensor policy.bn.var has dtype F16, only F32 is read");
    other = json_deep_copy(entry);
    json_object_set_new(other, "shape", json_pack("[i, i]", 2, 1));
    json_object_set_new(parts.header, "policy.bn.var", other);
    assert_refused(decode_parts(&parts, &err), ERROR_INVALID, &err,
                   "tensor policy.bn.var has another shape than its architecture's [2]");
    other = json_deep_copy(entry);
    json_object_set_new(other, "shape", json_pack("[f]", 2.0));
    json_object_set_new(parts.header, "policy.bn.var", other);
    assert_refused(decode_parts(&parts, &err), ERROR_INVALID, &err, "another shape");
    other = json_deep_copy(entry);
    json_object_set_new(other, "data_offsets", json_pack("[s, i]", "0", 8));
    json_object_set_new(parts.header, "policy.bn.var", other);
    assert_refused(decode_parts(&parts, &err), ERROR_CORRUPT, &err, "no data_offsets");
    other = json_deep_copy(entry);
    json_object_del(other, "data_offsets");
    json_object_set_new(parts.header, "policy.bn.var", other);
    assert_refused(decode_parts(&parts, &err), ERROR_CORRUPT, &err, "no data_offsets");
    json_object_set_new(parts.header, "policy.bn.var", json_string("F32"));
    assert_refused(decode_parts(&parts, &err), ERROR_INVALID, &err, "missing");
    json_object_set_new(parts.header, "policy.bn.var", entry);
    ck_assert_int_eq(decode_parts(&parts, &err), 0);
    parts_finish(&parts);
    net_destroy(net);
}
END_TEST

START_TEST(wrong_metadata_is_refused)
{
    struct error err;
    struct net *net = tiny_net();
    struct parts parts = parts_of(net);
    json_t *metadata = json_object_get(parts.header, "__metadata__");
    char *arch = net_arch_json(&net->arch);

    json_object_set_new(metadata, "format", json_string("pt"));
    assert_refused(decode_parts(&parts, &err), ERROR_INVALID, &err, "not a net of ours");
    json_object_set_new(metadata, "format", json_string("qzd"));
    json_object_set_new(metadata, "version", json_string("2"));
    assert_refused(decode_parts(&parts, &err), ERROR_VERSION, &err, "of version 2");
    json_object_set_new(metadata, "version", json_integer(1));
    assert_refused(decode_parts(&parts, &err), ERROR_VERSION, &err, "of version (none)");
    json_object_set_new(metadata, "version", json_string("1"));
    json_object_del(metadata, "arch");
    assert_refused(decode_parts(&parts, &err), ERROR_INVALID, &err, "no architecture");
    json_object_set_new(metadata, "arch", json_string("{\"blocks\":1}"));
    assert_refused(decode_parts(&parts, &err), ERROR_INVALID, &err, "keys where");
    /* Gigabytes by a few letters: refused before memory is asked for. */
    struct net_arch huge = net->arch;
    huge.blocks = 64;
    huge.filters = 1024;
    char *huge_json = net_arch_json(&huge);
    json_object_set_new(metadata, "arch", json_string(huge_json));
    assert_refused(decode_parts(&parts, &err), ERROR_CORRUPT, &err, "the architecture needs");
    /* An architecture that is not the tensors'. */
    struct net_arch other = net->arch;
    other.se_channels = 0;
    char *other_json = net_arch_json(&other);
    json_object_set_new(metadata, "arch", json_string(other_json));
    assert_refused(decode_parts(&parts, &err), ERROR_INVALID, &err, "unknown tensor block0.se.");
    json_object_set_new(metadata, "arch", json_string(arch));
    json_object_set_new(metadata, "note", json_string("more is allowed here"));
    ck_assert_int_eq(decode_parts(&parts, &err), 0);
    json_object_del(parts.header, "__metadata__");
    assert_refused(decode_parts(&parts, &err), ERROR_INVALID, &err, "not a net of ours");
    free(arch);
    free(huge_json);
    free(other_json);
    parts_finish(&parts);
    net_destroy(net);
}
END_TEST

START_TEST(headers_that_are_none_are_refused)
{
    struct error err;
    struct net *net = NULL;
    assert_refused(decode_text("", NULL, 0, &err), ERROR_CORRUPT, &err, "header, byte");
    assert_refused(decode_text("[]", NULL, 0, &err), ERROR_CORRUPT, &err, "not a JSON object");
    assert_refused(decode_text("{\"a\":1,\"a\":2}", NULL, 0, &err), ERROR_CORRUPT, &err,
                   "duplicate");
    assert_refused(decode_text("{\"a\":\"\xff\"}", NULL, 0, &err), ERROR_CORRUPT, &err,
                   "unable to decode byte");
    assert_refused(decode_text("{} x", NULL, 0, &err), ERROR_CORRUPT, &err, "header, byte");
    const uint8_t long_header[16] = {0, 0, 0, 0, 0, 0, 0, 0x80, '{', '}'};
    assert_refused(net_decode(long_header, sizeof long_header, "x.safetensors", &net, &err),
                   ERROR_CORRUPT, &err, "not a net file");
    char deep[5001]; /* a parser's stack */
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_refused(decode_text(deep, NULL, 0, &err), ERROR_CORRUPT, &err, "header, byte");
}
END_TEST

/* Any change of header bytes is refused or harmless; under ASan a wrong read fails the test. */
START_TEST(random_damage_of_the_header_never_crashes)
{
    static const char letters[] = "0123456789{}[]\",:-eF \xff";
    struct error err;
    struct net *net = tiny_net();
    uint8_t *bytes = NULL;
    size_t size = 0;
    uint64_t length;
    uint32_t random = 12345;
    int refused = 0;
    ck_assert_int_eq(net_encode(net, &bytes, &size, &err), 0);
    memcpy(&length, bytes, 8);
    uint8_t *damaged = malloc(size);
    ck_assert_ptr_nonnull(damaged);
    for (int i = 0; i < 3000; i++) {
        struct net *got = NULL;
        memcpy(damaged, bytes, size);
        for (int k = 0; k <= i % 3; k++) {
            random = random * 1664525U + 1013904223U;
            damaged[(random >> 8) % (8 + length)] = (uint8_t)letters[random % sizeof letters];
        }
        err.text[0] = '\0';
        int r = net_decode(damaged, size, "x.safetensors", &got, &err);
        ck_assert_msg((r == 0) == (got != NULL) && (r == 0 || err.text[0] != '\0'), "round %d", i);
        refused += r < 0;
        net_destroy(got);
    }
    ck_assert_int_gt(refused, 2500);
    free(damaged);
    free(bytes);
    net_destroy(net);
}
END_TEST

/* ---- the disk ---- */

START_TEST(what_is_no_net_file_is_refused_with_its_path)
{
    struct error err;
    struct net *net = NULL;
    ck_assert_int_eq(net_load(path_of("nothing"), &net, NULL, &err), ERROR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "/nothing: cannot open"));
    ck_assert_int_eq(net_load(directory, &net, NULL, &err), ERROR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "not a regular file"));
    ck_assert_int_eq(mkfifo(path_of("pipe"), 0600), 0);
    ck_assert_int_eq(net_load(path_of("pipe"), &net, NULL, &err), ERROR_INVALID);
    FILE *file = fopen(path_of("empty"), "w");
    fclose(file);
    ck_assert_int_eq(net_load(path_of("empty"), &net, NULL, &err), ERROR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "/empty: 0 bytes are too few"));
    ck_assert_ptr_null(net);
}
END_TEST

START_TEST(failing_disk_leaves_the_old_file_and_no_other)
{
    struct error err;
    struct net *old = tiny_net();
    struct net *net = tiny_net();
    struct net *back = NULL;
    net_init(net, 2);
    ck_assert_int_eq(net_save(old, path_of("a"), NULL, &err), 0);
    fail_sync_in = 1;
    ck_assert_int_eq(net_save(net, path_of("a"), NULL, &err), ERROR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "cannot sync"));
    fail_rename_in = 1;
    ck_assert_int_eq(net_save(net, path_of("a"), NULL, &err), ERROR_FULL);
    ck_assert_ptr_nonnull(strstr(err.text, "rename"));
    ck_assert_int_eq(n_files(), 1);
    ck_assert_int_eq(net_load(path_of("a"), &back, NULL, &err), 0);
    ck_assert_mem_eq(back->params, old->params, old->n_params * sizeof(float));
    fail_sync_in = 2; /* the directory's */
    ck_assert_int_eq(net_save(net, path_of("a"), NULL, &err), ERROR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "directory"));
    ck_assert_int_eq(fail_sync_in, 0);
    ck_assert_int_eq(net_save(net, "/nowhere/at/all", NULL, &err), ERROR_NOT_FOUND);
    net_destroy(back);
    net_destroy(old);
    net_destroy(net);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("safetensors");
    TCase *tests = tcase_create("safetensors");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, file_round_trip_keeps_every_bit);
    tcase_add_test(tests, bytes_depend_on_the_net_only_and_follow_the_format);
    tcase_add_test(tests, hash_is_the_sha256_of_the_file);
    tcase_add_test(tests, save_by_hash_keeps_an_equal_file_and_mends_a_damaged_one);
    tcase_add_test(tests, tensors_may_stand_in_another_order);
    tcase_add_test(tests, every_truncation_is_refused);
    tcase_add_test(tests, trailing_bytes_are_refused);
    tcase_add_loop_test(tests, numbers_that_poison_a_net_are_refused_when_read_and_when_written, 0,
                        sizeof bad_values / sizeof bad_values[0]);
    tcase_add_test(tests, damaged_offsets_are_refused);
    tcase_add_test(tests, gap_between_tensors_is_refused);
    tcase_add_test(tests, wrong_tensors_are_refused_by_name);
    tcase_add_test(tests, wrong_metadata_is_refused);
    tcase_add_test(tests, headers_that_are_none_are_refused);
    tcase_add_test(tests, random_damage_of_the_header_never_crashes);
    tcase_add_test(tests, what_is_no_net_file_is_refused_with_its_path);
    tcase_add_test(tests, failing_disk_leaves_the_old_file_and_no_other);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
