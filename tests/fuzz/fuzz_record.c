/* A record file. The first byte: bit 0 makes the checksums of its frames right, as a program that writes nonsense would,
 * bit 1 puts the magic in front. Every game that comes out is checked as a reader checks it, and what is
 * accepted goes into a message and back unchanged. */
#include "tests/fuzz/fuzz.h"

#include "storage/policy.h"
#include "storage/record_file.h"
#include "storage/record_message.h"

#include <string.h>
#include <zlib.h>

static const char magic[] = "qzdgame1";
enum { MAGIC_BYTES = 8, FRAME_BYTES = 8, LONGEST_INPUT = 1 << 16 };

static void mend_checksums(uint8_t *bytes, size_t size)
{
    size_t at = MAGIC_BYTES;

    while (at + FRAME_BYTES <= size) {
        uint32_t length = 0;
        memcpy(&length, bytes + at, sizeof(length));
        if (length > size - at - FRAME_BYTES) {
            length = (uint32_t)(size - at - FRAME_BYTES);
            memcpy(bytes + at, &length, sizeof(length));
        }
        uLong crc = crc32(crc32(0, NULL, 0), bytes + at, 4);
        uint32_t sum = (uint32_t)crc32(crc, bytes + at + FRAME_BYTES, (uInt)length);
        memcpy(bytes + at + 4, &sum, sizeof(sum));
        at += FRAME_BYTES + (size_t)length;
    }
}

static void check_position(const Qzd__Position *message)
{
    struct error err = {.text = ""};
    struct record_position position;
    struct record_position again;
    struct policy_entry entries[POLICY_MAX_ENTRIES];
    Qzd__Position back;

    if (record_position_from_message(message, &position, &err) < 0) {
        FUZZ_CHECK(err.text[0] != '\0');
        return;
    }
    FUZZ_CHECK(policy_decode(position.policy, position.policy_bytes, entries, POLICY_MAX_ENTRIES) >=
               0);
    record_position_to_message(message->uid, &position, &back);
    FUZZ_CHECK(record_position_from_message(&back, &again, &err) == 0);
    FUZZ_CHECK(record_position_equal(&position, &again));
}

static void check_game(const Qzd__Game *game)
{
    struct error err = {.text = ""};
    struct record_start start;
    struct record_end end;

    if (record_start_from_message(game->start, &start, &err) == 0) {
        FUZZ_CHECK(record_uid_valid(start.uid));
    }
    for (size_t i = 0; i < game->n_positions; i++) {
        struct record_search search;
        if (game->positions[i]->search != NULL) {
            (void)record_search_from_message(game->positions[i]->search, &search, &err);
        }
        check_position(game->positions[i]);
    }
    if (record_end_from_message(game->end, &end, &err) == 0) {
        FUZZ_CHECK(end.plies <= RECORD_MAX_PLIES);
    }
}

static size_t read_all(const char *path, bool *ret_whole)
{
    struct error err = {.text = ""};
    struct record_file *file = NULL;
    Qzd__Game *game = NULL;
    size_t n = 0;
    int r = record_file_read(path, &file, &err);

    while (r >= 0 && (r = record_file_next(file, &game, &err)) == 1) {
        check_game(game);
        qzd__game__free_unpacked(game, NULL);
        n++;
    }
    *ret_whole = r == 0;
    record_file_close(file);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[MAGIC_BYTES + LONGEST_INPUT];
    struct error err = {.text = ""};
    struct record_file *file = NULL;
    bool whole = false;

    if (size == 0 || size > LONGEST_INPUT) {
        return 0;
    }
    size_t used = (data[0] & 2) != 0 ? MAGIC_BYTES : 0;
    memcpy(bytes, magic, used);
    memcpy(bytes + used, data + 1, size - 1);
    used += size - 1;
    if ((data[0] & 1) != 0) {
        mend_checksums(bytes, used);
    }
    const char *path = fuzz_file("games.rec", bytes, used);
    size_t n = read_all(path, &whole);
    /* Who may append to it finds one game more behind those that were there. */
    if (record_file_append_to(path, &file, &err) == 0) {
        Qzd__GameStart start = QZD__GAME_START__INIT;
        Qzd__GameEnd end = QZD__GAME_END__INIT;
        Qzd__Game game = QZD__GAME__INIT;
        start.uid = start.kind = start.game = start.host = start.opening = (char[]){"x"};
        end.uid = end.reason = (char[]){"x"};
        game.start = &start;
        game.end = &end;
        FUZZ_CHECK(record_file_append(file, &game, &err) == 0);
        record_file_close(file);
        FUZZ_CHECK(read_all(path, &whole) == n + 1 && whole);
    }
    return 0;
}
