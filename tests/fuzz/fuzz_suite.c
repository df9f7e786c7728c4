/* A suite file. The first byte chooses mask or values and the game, the rest is the file. */
#include "tests/fuzz/fuzz.h"

#include "selfplay/suite.h"

#include <string.h>

static void check_suite(const struct suite *suite)
{
    const struct game *game = suite->game;

    for (uint32_t i = 0; i < suite->n; i++) {
        const struct suite_position *p = &suite->positions[i];
        uint16_t legal[GAME_MAX_LEGAL];
        uint32_t n = game->legal(p->state, legal);
        uint32_t kept = 0;
        FUZZ_CHECK(n > 0 && p->value >= -1 && p->value <= 1);
        for (uint32_t k = 0; k < n; k++) {
            kept += p->keeps[legal[k]] ? 1 : 0;
        }
        FUZZ_CHECK(suite->kind == SUITE_VALUES || (kept > 0 && p->decisive == (kept < n)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {.text = ""};
    struct suite *suite = NULL;

    if (size == 0) {
        return 0;
    }
    const char *path =
        fuzz_file((data[0] & 1) != 0 ? "suite.csv" : "suite.mask", data + 1, size - 1);
    const struct game *game = game_find((data[0] & 2) != 0 ? "tictactoe" : "connect4");
    if (suite_load(path, game, &suite, &err) < 0) {
        FUZZ_CHECK(strstr(err.text, "suite.") != NULL && suite == NULL);
        return 0;
    }
    check_suite(suite);
    suite_destroy(suite);
    return 0;
}
