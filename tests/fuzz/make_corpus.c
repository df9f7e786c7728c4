/* Writes the binary part of the corpora: make_corpus FOLDER (tests/fuzz/corpus). Run it again when a message gains a
 * field; what is there is overwritten with the same names. The texts there are written by hand. */
#include "tests/fuzz/fuzz.h"

#include "daemon/train_job.h"
#include "daemon/wire.h"
#include "selfplay/settings.h"
#include "storage/policy.h"
#include "storage/record_message.h"
#include "trainer/net/net.h"
#include "trainer/net/safetensors.h"

#include <limits.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

enum { MAX_BYTES = 1 << 16 };

static const char *folder;
static const char uid[] = "00000000000000000000000000000001";
static const char other_uid[] = "00000000000000000000000000000002";
static char net_sha256[RECORD_SHA256_BYTES];

static uint8_t bytes[MAX_BYTES];
static size_t used;

static void put(const void *from, size_t size)
{
    FUZZ_CHECK(size <= MAX_BYTES - used);
    memcpy(bytes + used, from, size);
    used += size;
}

static void begin(uint8_t first)
{
    used = 0;
    put(&first, 1);
}

static void save(const char *target, const char *name)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, target);
    (void)mkdir(path, 0755);
    (void)snprintf(path, sizeof(path), "%s/%s/%s", folder, target, name);
    FILE *file = fopen(path, "we");
    FUZZ_CHECK(file != NULL && fwrite(bytes, 1, used, file) == used && fclose(file) == 0);
}

static void put_frame(const ProtobufCMessage *message)
{
    uint8_t *frame = NULL;
    size_t size = 0;

    FUZZ_CHECK(wire_encode(message, &frame, &size, NULL) == 0);
    put(frame, size);
    free(frame);
}

/* ---- records ---- */
static struct record_position make_position(uint32_t ply)
{
    static const struct policy_entry entries[] = {{2, 9}, {3, 780}, {4, 10}};
    struct record_position p = {.ply = ply,
                                .action = 3,
                                .best_action = 3,
                                .q = 0.25F,
                                .d = 0.5F,
                                .best_q = 0.25F,
                                .best_d = 0.5F,
                                .greedy_q = 0.125F,
                                .greedy_d = 0.5F,
                                .played_q = NAN,
                                .played_d = NAN,
                                .v = -0.5F,
                                .v_d = 0.25F,
                                .m = NAN,
                                .nodes = 800,
                                .kld = 0.5F,
                                .kind = POSITION_FULL,
                                .proven = PROVEN_NONE};

    p.policy_bytes = (uint16_t)policy_encode(entries, 3, p.policy);
    return p;
}

static const struct record_search search = {
    .net_sha256 = net_sha256, .build = "0.1.0", .kernel = "plain", .settings = "{}"};

static void make_start(const char *of, struct record_start *ret)
{
    *ret = (struct record_start){.kind = GAME_SELFPLAY,
                                 .game = "connect4",
                                 .host = "host",
                                 .seed = 7,
                                 .opening = "",
                                 .started_at = 1700000000000};
    memcpy(ret->uid, of, RECORD_UID_BYTES);
}

static const struct record_end end_of_two = {.first_player_outcome = 1,
                                             .reason = "resign",
                                             .finished_at = 1700000001000,
                                             .plies = 2,
                                             .would_resign_ply = 1,
                                             .would_resign_side = 1};

static void say_hello(void)
{
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__Hello hello = QZD__HELLO__INIT;

    hello.version = WIRE_VERSION;
    hello.build = hello.kernel = (char *)"x";
    message.what_case = QZD__FROM_CHILD__WHAT_HELLO;
    message.hello = &hello;
    put_frame(&message.base);
}

static void say_start(const char *of)
{
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__GameStart record;
    struct record_start start;

    make_start(of, &start);
    record_start_to_message(&start, &record);
    message.what_case = QZD__FROM_CHILD__WHAT_START;
    message.start = &record;
    put_frame(&message.base);
}

static void say_position(const char *of, uint32_t ply, bool with_search)
{
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__Position record;
    Qzd__Search circumstances;
    struct record_position position = make_position(ply);

    record_position_to_message(of, &position, &record);
    record_search_to_message(&search, &circumstances);
    record.search = with_search ? &circumstances : NULL;
    message.what_case = QZD__FROM_CHILD__WHAT_POSITION;
    message.position = &record;
    put_frame(&message.base);
}

static void say_end(const char *of)
{
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__GameEnd record;

    record_end_to_message(of, &end_of_two, &record);
    message.what_case = QZD__FROM_CHILD__WHAT_END;
    message.end = &record;
    put_frame(&message.base);
}

static void say_others(void)
{
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__Usage usage = QZD__USAGE__INIT;
    Qzd__Event event = QZD__EVENT__INIT;
    Qzd__Refused refused = QZD__REFUSED__INIT;
    Qzd__Failure failure = QZD__FAILURE__INIT;

    usage.net_sha256 = net_sha256;
    usage.evaluations = 100;
    usage.positions = 3;
    usage.busy_ms = 5;
    message.what_case = QZD__FROM_CHILD__WHAT_USAGE;
    message.usage = &usage;
    put_frame(&message.base);
    event.severity = (char *)"warning";
    event.what = event.detail = (char *)"x";
    message.what_case = QZD__FROM_CHILD__WHAT_EVENT;
    message.event = &event;
    put_frame(&message.base);
    refused.uid = (char *)uid;
    refused.why = (char *)"x";
    message.what_case = QZD__FROM_CHILD__WHAT_REFUSED;
    message.refused = &refused;
    put_frame(&message.base);
    failure.code = ERROR_IO;
    failure.text = (char *)"x";
    message.what_case = QZD__FROM_CHILD__WHAT_FAILURE;
    message.failure = &failure;
    put_frame(&message.base);
}

static void say_training(void)
{
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__TrainProgress progress = QZD__TRAIN_PROGRESS__INIT;
    Qzd__TrainResult wire = QZD__TRAIN_RESULT__INIT;
    Qzd__CoreTime core_time = QZD__CORE_TIME__INIT;
    struct train_result result = {.steps = 2, .samples = 128, .held_out_policy_loss = NAN};

    memset(result.net_sha256, '1', RECORD_SHA256_BYTES - 1);
    progress.step = 1;
    progress.steps = 2;
    progress.samples = 64;
    progress.policy_loss = 1.5;
    message.what_case = QZD__FROM_CHILD__WHAT_TRAIN_PROGRESS;
    message.train_progress = &progress;
    put_frame(&message.base);
    core_time.ms = 12;
    message.what_case = QZD__FROM_CHILD__WHAT_CORE_TIME;
    message.core_time = &core_time;
    put_frame(&message.base);
    wire.result = train_result_json(&result);
    FUZZ_CHECK(wire.result != NULL);
    message.what_case = QZD__FROM_CHILD__WHAT_TRAIN_RESULT;
    message.train_result = &wire;
    put_frame(&message.base);
    free(wire.result);
}

static void say_suite(void)
{
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__SuiteResult result = QZD__SUITE_RESULT__INIT;
    Qzd__SuiteResult__Metric metric = QZD__SUITE_RESULT__METRIC__INIT;
    Qzd__SuiteResult__Metric *list[] = {&metric};

    metric.name = (char *)"mistakes";
    metric.value = 0.25;
    metric.n = 1000;
    result.suite = (char *)"connect4";
    result.n_metrics = 1;
    result.metrics = list;
    result.seconds = 0.5;
    message.what_case = QZD__FROM_CHILD__WHAT_SUITE_RESULT;
    message.suite_result = &result;
    put_frame(&message.base);
}

static void say_match(void)
{
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__MatchPair pair = QZD__MATCH_PAIR__INIT;
    Qzd__MatchResult result = QZD__MATCH_RESULT__INIT;
    Qzd__Game games[2] = {QZD__GAME__INIT, QZD__GAME__INIT};
    Qzd__Game *list[2] = {&games[0], &games[1]};
    Qzd__GameStart starts[2];
    Qzd__GameEnd ends[2];
    Qzd__Position positions[2][2];
    Qzd__Position *moves[2][2] = {{&positions[0][0], &positions[0][1]},
                                  {&positions[1][0], &positions[1][1]}};
    Qzd__Search circumstances;
    struct record_start start;
    struct record_position position[2] = {make_position(0), make_position(1)};

    record_search_to_message(&search, &circumstances);
    for (int i = 0; i < 2; i++) {
        make_start(i == 0 ? uid : other_uid, &start);
        start.kind = GAME_MATCH;
        record_start_to_message(&start, &starts[i]);
        starts[i].uid = (char *)(i == 0 ? uid : other_uid);
        record_end_to_message(starts[i].uid, &end_of_two, &ends[i]);
        for (int ply = 0; ply < 2; ply++) {
            record_position_to_message(starts[i].uid, &position[ply], &positions[i][ply]);
            positions[i][ply].search = &circumstances;
        }
        games[i].start = &starts[i];
        games[i].end = &ends[i];
        games[i].n_positions = 2;
        games[i].positions = moves[i];
    }
    pair.match_id = 1;
    pair.n_half_points = pair.n_fingerprints = pair.n_games = 2;
    pair.half_points = (uint32_t[]){2, 0};
    pair.fingerprints = (uint64_t[]){5, 6};
    pair.games = list;
    message.what_case = QZD__FROM_CHILD__WHAT_MATCH_PAIR;
    message.match_pair = &pair;
    put_frame(&message.base);
    result.match_id = 1;
    result.verdict = (char *)"counts";
    result.elo = 12;
    result.elo_error = 30;
    result.pairs = 1;
    message.what_case = QZD__FROM_CHILD__WHAT_MATCH_RESULT;
    message.match_result = &result;
    put_frame(&message.base);
}

static void wire(void)
{
    begin(0);
    say_hello();
    say_start(uid);
    say_position(uid, 0, true);
    say_position(uid, 1, false);
    say_end(uid);
    save("wire", "game");
    begin(252);
    say_start(uid);
    say_position(uid, 0, true);
    say_position(uid, 0, true);
    say_position(other_uid, 0, true);
    say_end(uid);
    say_end(other_uid);
    save("wire", "game-out-of-order");
    begin(0);
    say_others();
    save("wire", "others");
    begin(1);
    say_hello();
    say_training();
    save("wire", "training");
    begin(2);
    say_hello();
    say_suite();
    save("wire", "suite");
    begin(255);
    say_match();
    save("wire", "match");
    begin(3);
    say_match();
    say_others();
    say_suite();
    save("wire", "match-and-others");
}

/* ---- commands ---- */
static void configure(char *settings)
{
    Qzd__ToChild message = QZD__TO_CHILD__INIT;
    Qzd__Configure configure = QZD__CONFIGURE__INIT;

    configure.settings = settings;
    configure.games = 2;
    configure.cache_entries = 16;
    configure.game = (char *)"connect4";
    configure.host = (char *)"host";
    message.what_case = QZD__TO_CHILD__WHAT_CONFIGURE;
    message.configure = &configure;
    put_frame(&message.base);
}

static void commands(const char *sha256)
{
    Qzd__ToChild message = QZD__TO_CHILD__INIT;
    Qzd__SetNet set_net = QZD__SET_NET__INIT;
    Qzd__NewGame game = QZD__NEW_GAME__INIT;
    Qzd__Suspend suspend = QZD__SUSPEND__INIT;
    Qzd__Stop stop = QZD__STOP__INIT;
    Qzd__SuiteJob job = QZD__SUITE_JOB__INIT;
    struct selfplay_settings settings = selfplay_settings_default;

    settings.search.nodes = 4;
    char *json = selfplay_settings_json(&settings);
    FUZZ_CHECK(json != NULL);
    begin(0);
    configure(json);
    set_net.file = (char *)"net.safetensors";
    set_net.sha256 = (char *)sha256;
    message.what_case = QZD__TO_CHILD__WHAT_SET_NET;
    message.set_net = &set_net;
    put_frame(&message.base);
    game.uid = (char *)uid;
    game.seed = 5;
    game.opening = (char *)"44";
    message.what_case = QZD__TO_CHILD__WHAT_NEW_GAME;
    message.new_game = &game;
    put_frame(&message.base);
    game.uid = (char *)other_uid;
    game.n_actions = game.n_q = 2;
    game.actions = (uint32_t[]){3, 2};
    game.q = (float[]){0.5F, NAN};
    put_frame(&message.base);
    save("commands", "play");
    suspend.suspended = false;
    message.what_case = QZD__TO_CHILD__WHAT_SUSPEND;
    message.suspend = &suspend;
    put_frame(&message.base);
    configure(json);
    message.what_case = QZD__TO_CHILD__WHAT_STOP;
    message.stop = &stop;
    put_frame(&message.base);
    save("commands", "play-and-stop");
    begin(1);
    job.net_file = (char *)"net.safetensors";
    job.net_sha256 = (char *)sha256;
    job.suite_file = (char *)"suite.mask";
    job.nodes = 4;
    job.settings = json;
    job.game = (char *)"connect4";
    message.what_case = QZD__TO_CHILD__WHAT_SUITE_JOB;
    message.suite_job = &job;
    put_frame(&message.base);
    job.suite_file = (char *)"suite.csv";
    job.nodes = 0;
    put_frame(&message.base);
    save("commands", "suites");
    free(json);
}

/* ---- files ---- */
static void put_game(bool abandoned)
{
    Qzd__Game game = QZD__GAME__INIT;
    Qzd__GameStart start_message;
    Qzd__GameEnd end_message;
    Qzd__Position messages[2];
    Qzd__Position *list[2] = {&messages[0], &messages[1]};
    Qzd__Search circumstances;
    struct record_start start;
    struct record_position positions[2];
    uint8_t packed[4096];
    uint8_t head[8];

    make_start(abandoned ? other_uid : uid, &start);
    record_start_to_message(&start, &start_message);
    record_end_to_message(start.uid, &end_of_two, &end_message);
    record_search_to_message(&search, &circumstances);
    for (uint32_t i = 0; i < 2; i++) {
        positions[i] = make_position(i);
        record_position_to_message(start.uid, &positions[i], &messages[i]);
        messages[i].search = i == 0 ? &circumstances : NULL;
    }
    game.start = &start_message;
    game.end = &end_message;
    game.n_positions = abandoned ? 0 : 2;
    game.positions = list;
    uint32_t size = (uint32_t)qzd__game__get_packed_size(&game);
    FUZZ_CHECK(size <= sizeof(packed));
    qzd__game__pack(&game, packed);
    memcpy(head, &size, 4);
    uint32_t crc = (uint32_t)crc32(crc32(crc32(0, NULL, 0), head, 4), packed, size);
    memcpy(head + 4, &crc, 4);
    put(head, sizeof(head));
    put(packed, size);
}

static void records(void)
{
    begin(0);
    put("qzdgame1", 8);
    put_game(false);
    put_game(true);
    save("record", "two-games");
    begin(3);
    put_game(false);
    save("record", "mended");
    begin(2);
    save("record", "empty");
}

static void net(const char *game, uint32_t se_channels, enum net_value_head value, const char *name)
{
    struct net_arch arch = {.blocks = 1,
                            .filters = 2,
                            .se_channels = se_channels,
                            .value_filters = 1,
                            .value_hidden = 2,
                            .value = value};
    struct error err = {.text = ""};
    uint8_t *encoded = NULL;
    size_t size = 0;

    (void)snprintf(arch.game, sizeof(arch.game), "%s", game);
    FUZZ_CHECK(net_arch_for_game(&arch, game_find(game), &err) == 0);
    struct net *made = net_create(&arch);
    FUZZ_CHECK(made != NULL);
    net_init(made, 1);
    FUZZ_CHECK(net_encode(made, &encoded, &size, &err) == 0);
    used = 0;
    put(encoded, size);
    save("safetensors", name);
    if (strcmp(name, "connect4") == 0) { /* the one that fuzz_commands puts into its folder */
        const char *path = fuzz_file("net.safetensors", NULL, 0);
        FUZZ_CHECK(net_save(made, path, net_sha256, &err) == 0);
    }
    free(encoded);
    net_destroy(made);
}

static void checkpoints(void)
{
    begin(0);
    save("checkpoint", "good");
    begin(2);
    put((const uint8_t[]){8, 0, 9, 20, 0, 1}, 6);
    save("checkpoint", "changed");
    begin(1);
    put("qzdckpt", 8);
    save("checkpoint", "short");
}

static void json(void)
{
    char *text = selfplay_settings_json(&selfplay_settings_default);
    FUZZ_CHECK(text != NULL);
    begin(0);
    put(text, strlen(text));
    save("json", "settings");
    free(text);
    struct net_arch arch = {.blocks = 1, .filters = 2, .value_filters = 1, .value_hidden = 2};
    struct error err = {.text = ""};
    (void)snprintf(arch.game, sizeof(arch.game), "connect4");
    FUZZ_CHECK(net_arch_for_game(&arch, game_find("connect4"), &err) == 0);
    text = net_arch_json(&arch);
    FUZZ_CHECK(text != NULL);
    begin(1);
    put(text, strlen(text));
    save("json", "arch");
    free(text);
    struct train_job job = {
        .line = "main", .parent_file = "nets/x", .params = train_params_default};
    text = train_job_json(&job);
    FUZZ_CHECK(text != NULL);
    begin(2);
    put(text, strlen(text));
    save("json", "job");
    free(text);
    struct train_result result = {.held_out_value_loss = NAN};
    text = train_result_json(&result);
    FUZZ_CHECK(text != NULL);
    begin(3);
    put(text, strlen(text));
    save("json", "result");
    free(text);
}

int main(int argc, char *argv[])
{
    char sha256[RECORD_SHA256_BYTES];

    if (argc != 2) {
        (void)fprintf(stderr, "usage: make_corpus FOLDER\n");
        return 2;
    }
    folder = argv[1];
    net("connect4", 0, NET_VALUE_WDL, "connect4");
    memcpy(sha256, net_sha256, sizeof(sha256));
    net("tictactoe", 1, NET_VALUE_SCALAR, "tictactoe");
    memset(net_sha256, '0', RECORD_SHA256_BYTES - 1); /* the net of fuzz_wire's store */
    wire();
    commands(sha256);
    records();
    checkpoints();
    json();
    return 0;
}
