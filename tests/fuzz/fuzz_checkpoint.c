/* A training's checkpoint. The first byte: bit 0: the input is the file; else it is changes, each an offset (2 bytes) and
 * a byte to write there, to a good one, so that what is behind the checks is reached whatever the layout; bit 1
 * makes the SHA-256 at its end right, as a program that writes nonsense would. */
#include "tests/fuzz/fuzz.h"

#include "trainer/checkpoint.h"
#include "trainer/train_files.h"

#include <sodium.h>
#include <string.h>

enum { MAX_BYTES = 1 << 16 };

static struct net *small_net(void)
{
    struct net_arch arch = {.blocks = 1, .filters = 1, .value_filters = 1, .value_hidden = 1};
    struct error err;

    (void)snprintf(arch.game, sizeof(arch.game), "tictactoe");
    FUZZ_CHECK(net_arch_for_game(&arch, game_find("tictactoe"), &err) == 0);
    struct net *net = net_create(&arch);
    FUZZ_CHECK(net != NULL);
    net_init(net, 1);
    return net;
}

/* The bytes of a good checkpoint, made once. */
static size_t good_bytes(const struct net *net, const uint8_t **ret)
{
    static uint8_t bytes[MAX_BYTES];
    static size_t size;

    if (size == 0) {
        struct checkpoint checkpoint;
        struct error err = {.text = ""};
        FUZZ_CHECK(checkpoint_init(&checkpoint, net) == 0);
        memset(checkpoint.head.job, 'a', sizeof(checkpoint.head.job) - 1);
        memset(checkpoint.head.result.net_sha256, 'b', RECORD_SHA256_BYTES - 1);
        checkpoint.head.finished = true;
        const char *path = fuzz_file("good.ckpt", NULL, 0);
        FUZZ_CHECK(checkpoint_save(&checkpoint, path, &err) == 0);
        FILE *file = fopen(path, "re");
        FUZZ_CHECK(file != NULL);
        size = fread(bytes, 1, sizeof(bytes), file);
        FUZZ_CHECK(size > 0 && size < sizeof(bytes));
        (void)fclose(file);
        checkpoint_finish(&checkpoint);
    }
    *ret = bytes;
    return size;
}

static void change(uint8_t *bytes, size_t size, const uint8_t *changes, size_t n)
{
    for (size_t i = 0; i + 3 <= n; i += 3) {
        bytes[((size_t)changes[i] | (size_t)changes[i + 1] << 8) % size] = changes[i + 2];
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct net *net;
    static uint8_t bytes[MAX_BYTES];
    struct checkpoint_head head;
    struct checkpoint checkpoint;
    struct error err = {.text = ""};
    const uint8_t *good = NULL;

    if (size == 0 || size > MAX_BYTES) {
        return 0;
    }
    if (net == NULL) {
        net = small_net();
    }
    size_t used = size - 1;
    if ((data[0] & 1) != 0) {
        memcpy(bytes, data + 1, used);
    } else {
        used = good_bytes(net, &good);
        memcpy(bytes, good, used);
        change(bytes, used, data + 1, size - 1);
    }
    if ((data[0] & 2) != 0 && used >= crypto_hash_sha256_BYTES) {
        size_t hashed = used - crypto_hash_sha256_BYTES;
        crypto_hash_sha256(bytes + hashed, bytes, hashed);
    }
    const char *path = fuzz_file("main.ckpt", bytes, used);
    if (checkpoint_peek(path, &head, &err) == 0) {
        FUZZ_CHECK(strlen(head.job) < sizeof(head.job));
        FUZZ_CHECK(strlen(head.result.net_sha256) < RECORD_SHA256_BYTES);
        FUZZ_CHECK(head.step >= 0 && head.optimizer_step >= 0 && head.average_step >= 0);
    } else {
        FUZZ_CHECK(err.text[0] != '\0');
    }
    FUZZ_CHECK(checkpoint_init(&checkpoint, net) == 0);
    if (checkpoint_load(path, &checkpoint, &err) < 0) { /* untouched then */
        FUZZ_CHECK(memcmp(checkpoint.net->params, net->params, net->n_params * sizeof(float)) == 0);
        FUZZ_CHECK(checkpoint.head.step == 0 && checkpoint.head.job[0] == '\0');
    }
    checkpoint_finish(&checkpoint);
    return 0;
}
