/* Whole trainings in a state directory of their own: stopped, killed, diverged, and read back. */
#include "mcts/random.h"
#include "storage/policy.h"
#include "storage/store.h"
#include "tests/unit/run_suite.h"
#include "trainer/net/evaluator.h"
#include "trainer/net/net.h"
#include "trainer/train.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SEED = 40, MAX_SEEN = 4096, LEARNT = 200 };

static char folder[64];

static int remove_one(const char *path, const struct stat *unused, int kind, struct FTW *walk)
{
    (void)unused;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void set_up(void)
{
    snprintf(folder, sizeof(folder), "/tmp/qzd-train-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void tear_down(void)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *in_folder(const char *directory, const char *name)
{
    static char paths[4][256];
    static int next;
    next = (next + 1) % 4;
    snprintf(paths[next], sizeof(paths[next]), "%s/%s/%s", folder, directory, name);
    return paths[next];
}

/* The move that a position's record wants: any legal one, by its canonical image, so that it depends on
 * the side of the board and on nothing that could be guessed. */
static uint16_t wanted_move(const struct game *game, const void *state)
{
    union game_state image;
    uint16_t legal[GAME_MAX_LEGAL];
    const bool flip = !game->is_canonical(state);

    memcpy(&image, state, game->state_bytes);
    if (flip) {
        game->mirror(state, &image);
    }
    const struct game_key key = game->key(&image);
    const uint32_t n = game->legal(&image, legal);
    const uint16_t move = legal[random_u64(key.lo, 0, RANDOM_TEST, key.hi) % n];
    return flip ? game->mirror_action(move) : move;
}

struct seen {
    struct game_key keys[MAX_SEEN];
    uint32_t n;
};

/* Whether the position, or its mirror image, is new; symmetric ones never are. */
static bool is_new(struct seen *seen, const struct game *game, const void *state)
{
    union game_state image;
    game->mirror(state, &image);
    const struct game_key a = game->key(state);
    const struct game_key b = game->key(&image);
    if (a.lo == b.lo && a.hi == b.hi) {
        return false;
    }
    for (uint32_t i = 0; i < seen->n; i++) {
        const struct game_key *k = &seen->keys[i];
        if ((k->lo == a.lo && k->hi == a.hi) || (k->lo == b.lo && k->hi == b.hi)) {
            return false;
        }
    }
    ck_assert_uint_lt(seen->n, MAX_SEEN);
    seen->keys[seen->n++] = a;
    return true;
}

static void put_position(struct store *store, const char *uid, const struct game *game,
                         const void *state, uint32_t ply, bool taught, uint16_t action)
{
    struct error err;
    static struct record_position position;
    const struct policy_entry entry = {wanted_move(game, state), 799};

    position = (struct record_position){.ply = ply,
                                        .action = action,
                                        .best_action = entry.action,
                                        .d = 0.2F,
                                        .nodes = 800,
                                        .proven = PROVEN_NONE};
    position.kind = taught ? POSITION_IMPORT : POSITION_FORCED;
    position.q = (float)random_uniform(SEED, ply, RANDOM_TEST, 5) - 0.5F;
    float *const unknown[] = {&position.best_q,   &position.best_d,   &position.greedy_q,
                              &position.greedy_d, &position.played_q, &position.played_d,
                              &position.v,        &position.v_d,      &position.m,
                              &position.kld};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        *unknown[i] = NAN;
    }
    position.policy_bytes = (uint16_t)policy_encode(&entry, 1, position.policy);
    int r = store_put_position(store, uid, NULL, &position, &err);
    ck_assert_msg(r == STORE_ADDED, "%s", err.text);
}

/* Random games into state_dir/qzd.db until `taught` positions stand there to learn from, each of them
 * once and none symmetric. Returns how many games. */
static int64_t make_store(const char *directory, uint32_t taught, uint32_t held_out)
{
    const struct game *game = game_find("connect4");
    struct store *store = NULL;
    struct error err;
    struct seen *seen = calloc(1, sizeof(*seen));
    int64_t games = 0;

    mkdir(in_folder(directory, ""), 0700);
    int r = store_open(in_folder(directory, "qzd.db"), STORE_CREATE, &store, &err);
    ck_assert_msg(r == 0 && game != NULL && seen != NULL, "%s", err.text);
    while (seen->n < taught) {
        struct record_start start = {
            .kind = GAME_IMPORT, .game = "connect4", .host = "here", .opening = ""};
        struct record_end end = {
            .reason = "rules", .would_resign_ply = -1, .would_resign_side = -1};
        union game_state state;
        const char *why = NULL;
        int value = 0;
        snprintf(start.uid, sizeof(start.uid), "%032llx", (unsigned long long)games);
        r = store_put_start(store, &start, held_out, &err);
        ck_assert_msg(r == STORE_ADDED, "%s", err.text);
        game->init(&state, "", &why);
        while (!game->over(&state, &value)) {
            uint16_t legal[GAME_MAX_LEGAL];
            uint32_t n = game->legal(&state, legal);
            uint64_t draw = random_u64(SEED, end.plies, RANDOM_MOVE, (uint64_t)games);
            bool teaches = seen->n < taught && is_new(seen, game, &state);
            put_position(store, start.uid, game, &state, end.plies, teaches, legal[draw % n]);
            game->play(&state, legal[draw % n]);
            end.plies++;
        }
        end.first_player_outcome = (int8_t)(game->side_to_move(&state) == 0 ? value : -value);
        r = store_put_end(store, start.uid, &end, &err);
        ck_assert_msg(r == STORE_ADDED, "%s", err.text);
        games++;
    }
    ck_assert_msg(store_commit(store, &err) == 0, "%s", err.text);
    store_close(store);
    free(seen);
    return games;
}

static void make_net(const char *directory, uint32_t blocks, uint32_t filters,
                     enum net_value_head value)
{
    struct net_arch arch = {.blocks = blocks,
                            .filters = filters,
                            .se_channels = 4,
                            .value_filters = 4,
                            .value_hidden = 16,
                            .value = value};
    struct error err;
    ck_assert_int_eq(net_arch_for_game(&arch, game_find("connect4"), &err), 0);
    struct net *net = net_create(&arch);
    ck_assert_ptr_nonnull(net);
    net_init(net, SEED);
    ck_assert_msg(net_save(net, in_folder(directory, "parent.safetensors"), NULL, &err) == 0, "%s",
                  err.text);
    net_destroy(net);
}

static struct train_job job_for(const char *state_dir, int64_t games)
{
    struct train_job job = {.state_dir = state_dir,
                            .line = "main",
                            .parent_file = "parent.safetensors",
                            .generation = 1,
                            .first_seq = 1,
                            .last_seq = games,
                            .new_positions = 80,
                            .seed = SEED,
                            .targets = {.q_ratio = 0.5F},
                            .teacher_temperature = 1.0F,
                            .params = train_params_default};
    job.params.batch = 16;
    job.params.samples_per_position = 4.0;
    job.params.report_every = 1;
    job.params.checkpoint_seconds = 1000;
    job.params.refresh_positions = 64;
    return job;
}

/* Tells a training to stop, or kills this process, once so many reports have come. */
struct stopper {
    int64_t reports, stop_at, kill_at;
    char warning[640];
};
static void count_report(const struct train_progress *progress, void *context)
{
    struct stopper *stopper = context;
    stopper->reports++;
    ck_assert(isfinite(progress->policy_loss) && isfinite(progress->value_loss));
    if (stopper->reports == stopper->kill_at) {
        raise(SIGKILL);
    }
}
static bool stop_then(void *context)
{
    struct stopper *stopper = context;
    return stopper->stop_at > 0 && stopper->reports >= stopper->stop_at;
}

static void keep_warning(const char *text, void *context)
{
    struct stopper *stopper = context;
    snprintf(stopper->warning, sizeof(stopper->warning), "%s", text);
}

static int run(const struct train_job *job, struct stopper *stopper, struct train_result *ret,
               struct error *err)
{
    const struct train_callbacks callbacks = {.progress = count_report,
                                              .warn = keep_warning,
                                              .should_stop = stop_then,
                                              .context = stopper};
    snprintf(err->text, sizeof(err->text), "no error");
    return train_run(job, &callbacks, ret, err);
}

static int run_straight(const struct train_job *job, struct train_result *ret, struct error *err)
{
    struct stopper never = {0};
    return run(job, &never, ret, err);
}

static void assert_equal_results(const struct train_result *a, const struct train_result *b)
{
    ck_assert_str_eq(a->net_sha256, b->net_sha256);
    ck_assert_int_eq(a->steps, b->steps);
    ck_assert_double_eq(a->policy_loss, b->policy_loss);
    ck_assert_double_eq(a->policy_entropy, b->policy_entropy);
    ck_assert_double_eq(a->value_loss, b->value_loss);
    ck_assert_double_eq(a->grad_norm, b->grad_norm);
    ck_assert_double_eq(a->held_out_policy_loss, b->held_out_policy_loss);
    ck_assert_double_eq(a->held_out_value_loss, b->held_out_value_loss);
}

/* The second training of a line, from the net of the first. */
static struct train_job next_job(const struct train_job *job, const struct train_result *result)
{
    static char file[128];
    struct train_job next = *job;
    snprintf(file, sizeof(file), "nets/%s.safetensors", result->net_sha256);
    next.parent_file = file;
    next.generation++;
    next.samples_before += result->samples;
    return next;
}

START_TEST(stopped_at_any_step_and_resumed_equals_never_stopped)
{
    struct train_result straight[2];
    struct train_result result;
    struct error err;
    int64_t games = make_store("a", 150, 4);
    make_store("b", 150, 4);
    make_net("a", 1, 8, NET_VALUE_WDL);
    make_net("b", 1, 8, NET_VALUE_WDL);
    struct train_job job = job_for(in_folder("a", "."), games);
    ck_assert_msg(run_straight(&job, &straight[0], &err) == 0, "%s", err.text);
    ck_assert_int_eq(straight[0].start, TRAIN_AFRESH);
    ck_assert_int_eq(straight[0].steps, 20);
    ck_assert_int_eq(straight[0].samples, 320);
    ck_assert_int_eq(straight[0].positions, 150);
    ck_assert_int_gt(straight[0].held_out_positions, 0);
    ck_assert(isfinite(straight[0].held_out_policy_loss));
    struct train_job second = next_job(&job, &straight[0]);
    ck_assert_msg(run_straight(&second, &straight[1], &err) == 0, "%s", err.text);
    ck_assert_int_eq(straight[1].start, TRAIN_CONTINUED);

    struct train_job other = job;
    other.state_dir = in_folder("b", ".");
    for (int training = 0; training < 2; training++) {
        /* stopped twice: early or late, and once more */
        for (int stop = 0; stop < 2; stop++) {
            struct stopper stopper = {
                .stop_at = 1 + (int64_t)(random_u64(SEED, (uint32_t)stop, RANDOM_TEST,
                                                    (uint64_t)training) %
                                         8)};
            ck_assert_int_eq(run(&other, &stopper, &result, &err), ERROR_CANCELLED);
            ck_assert_int_eq(stopper.reports, stopper.stop_at);
        }
        ck_assert_msg(run_straight(&other, &result, &err) == 0, "%s", err.text);
        ck_assert_int_eq(result.start, TRAIN_RESUMED);
        assert_equal_results(&result, &straight[training]);
        other = next_job(&other, &result);
    }
}
END_TEST

START_TEST(killed_at_any_step_and_resumed_equals_never_killed)
{
    struct train_result straight;
    struct train_result result;
    struct error err;
    int64_t games = make_store("a", 150, 0);
    make_net("a", 1, 8, NET_VALUE_SCALAR);
    make_store("b", 150, 0);
    make_net("b", 1, 8, NET_VALUE_SCALAR);
    struct train_job job = job_for(in_folder("a", "."), games);
    job.params.optimizer = OPTIMIZER_SGD;
    job.params.learning_rate.rate[0] = 0.02;
    ck_assert_msg(run_straight(&job, &straight, &err) == 0, "%s", err.text);
    ck_assert_int_eq(straight.held_out_positions, 0);
    ck_assert(isnan(straight.held_out_policy_loss));

    job.state_dir = in_folder("b", ".");
    job.params.checkpoint_seconds = 0; /* at each step; it does not decide the outcome */
    for (uint64_t kill = 0; kill < 3; kill++) {
        fflush(NULL);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            struct stopper stopper = {
                .kill_at = 2 + (int64_t)(random_u64(SEED, 9, RANDOM_TEST, kill) % 5)};
            run(&job, &stopper, &result, &err);
            _exit(0); /* not reached: it should have been killed */
        }
        int status = 0;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    ck_assert_msg(run_straight(&job, &result, &err) == 0, "%s", err.text);
    ck_assert_int_eq(result.start, TRAIN_RESUMED);
    ck_assert_str_eq(result.net_sha256, straight.net_sha256);
    /* its daemon died before it heard: the same job again */
    struct stopper counter = {0};
    ck_assert_msg(run(&job, &counter, &result, &err) == 0, "%s", err.text);
    ck_assert_int_eq(counter.reports, 0);
    ck_assert_str_eq(result.net_sha256, straight.net_sha256);
}
END_TEST

static uint64_t hash_of_file(const char *path)
{
    uint64_t hash = 1469598103934665603U;
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    for (int c = fgetc(file); c != EOF; c = fgetc(file)) {
        hash = (hash ^ (uint64_t)c) * 1099511628211U;
    }
    fclose(file);
    return hash;
}

static int files_in(const char *path)
{
    int n = 0;
    DIR *directory = opendir(path);
    ck_assert_ptr_nonnull(directory);
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        n += entry->d_name[0] != '.';
    }
    closedir(directory);
    return n;
}

START_TEST(diverged_training_leaves_no_net_and_the_checkpoint_as_it_was)
{
    struct train_result result;
    struct error err;
    int64_t games = make_store("a", 100, 0);
    make_net("a", 1, 8, NET_VALUE_WDL);
    struct train_job job = job_for(in_folder("a", "."), games);
    ck_assert_msg(run_straight(&job, &result, &err) == 0, "%s", err.text);
    const char *checkpoint = in_folder("a", "checkpoints/main.ckpt");
    const uint64_t before = hash_of_file(checkpoint);
    struct train_job next = next_job(&job, &result);

    struct train_job wild = next;
    wild.params.learning_rate.rate[0] = 1e4;
    wild.params.warmup_samples = 0;
    wild.params.checkpoint_seconds = 0;
    ck_assert_int_eq(run_straight(&wild, &result, &err), ERROR_DIVERGED);
    ck_assert_ptr_nonnull(strstr(err.text, "generation 2, step"));
    ck_assert_int_eq(files_in(in_folder("a", "nets")), 1);
    ck_assert_int_eq(files_in(in_folder("a", "checkpoints")), 1);
    ck_assert_uint_eq(hash_of_file(checkpoint), before);
    /* and the line goes on from there */
    ck_assert_msg(run_straight(&next, &result, &err) == 0, "%s", err.text);
    ck_assert_int_eq(result.start, TRAIN_CONTINUED);
    ck_assert_int_eq(files_in(in_folder("a", "nets")), 2);
}
END_TEST

START_TEST(only_a_checkpoint_of_the_job_s_own_parent_is_gone_on_from)
{
    struct train_result first;
    struct train_result result;
    struct error err;
    int64_t games = make_store("a", 60, 0);
    make_net("a", 1, 4, NET_VALUE_WDL);
    const struct train_job job = job_for(in_folder("a", "."), games);
    ck_assert_msg(run_straight(&job, &first, &err) == 0, "%s", err.text);
    struct train_job again = job; /* from the first parent once more, but another job */
    again.seed++;
    ck_assert_msg(run_straight(&again, &result, &err) == 0, "%s", err.text);
    ck_assert_int_eq(result.start, TRAIN_AFRESH);
    /* the line's checkpoint is now of that net; the one before it has been kept */
    const struct train_job next = next_job(&job, &first);
    ck_assert_msg(run_straight(&next, &result, &err) == 0, "%s", err.text);
    ck_assert_int_eq(result.start, TRAIN_CONTINUED);
    /* a stopped job's checkpoint is nothing to a job with other settings */
    struct train_job other = next_job(&next, &result);
    struct stopper stopper = {.stop_at = 3};
    ck_assert_int_eq(run(&other, &stopper, &result, &err), ERROR_CANCELLED);
    other.targets.q_ratio = 1.0F;
    ck_assert_msg(run_straight(&other, &result, &err) == 0, "%s", err.text);
    ck_assert_int_eq(result.start, TRAIN_CONTINUED);
}
END_TEST

static void damage_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, "damage", 6, 1000), 6);
    close(fd);
}

START_TEST(damaged_checkpoint_is_warned_of_and_done_without)
{
    struct train_result first;
    struct train_result result;
    struct error err;
    int64_t games = make_store("a", 60, 0);
    make_net("a", 1, 4, NET_VALUE_WDL);
    const struct train_job job = job_for(in_folder("a", "."), games);
    ck_assert_msg(run_straight(&job, &first, &err) == 0, "%s", err.text);
    const struct train_job next = next_job(&job, &first);
    struct stopper stopper = {.stop_at = 3};
    ck_assert_int_eq(run(&next, &stopper, &result, &err), ERROR_CANCELLED);
    ck_assert_str_eq(stopper.warning, "");
    damage_file(in_folder("a", "checkpoints/main.running.ckpt"));
    struct stopper never = {0};
    ck_assert_msg(run(&next, &never, &result, &err) == 0, "%s", err.text);
    ck_assert_int_eq(result.start, TRAIN_CONTINUED);
    ck_assert_msg(strstr(never.warning,
                         "main.running.ckpt: damaged: its checksum is wrong; the "
                         "training begins from what the one before has left") != NULL,
                  "%s", never.warning);
    /* The line's own too: the training begins with the weights alone. */
    damage_file(in_folder("a", "checkpoints/main.ckpt"));
    const struct train_job third = next_job(&next, &result);
    struct stopper again = {0};
    ck_assert_msg(run(&third, &again, &result, &err) == 0, "%s", err.text);
    ck_assert_int_eq(result.start, TRAIN_AFRESH);
    ck_assert_msg(strstr(again.warning, "main.ckpt: damaged") != NULL, "%s", again.warning);
}
END_TEST

START_TEST(jobs_that_cannot_be_done_are_refused_by_name)
{
    struct train_result result;
    struct error err;
    int64_t games = make_store("a", 60, 0);
    make_net("a", 1, 4, NET_VALUE_WDL);
    const struct train_job good = job_for(in_folder("a", "."), games);
    struct train_job job = good;
    job.first_seq = games + 1;
    job.last_seq = games + 5;
    ck_assert_int_eq(run_straight(&job, &result, &err), ERROR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "no position"));
    job = good;
    job.parent_file = "nothing.safetensors";
    ck_assert_int_eq(run_straight(&job, &result, &err), ERROR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "nothing.safetensors"));
    job = good;
    job.params.batch = 0;
    ck_assert_int_eq(run_straight(&job, &result, &err), ERROR_INVALID);
    job = good;
    job.params.threads = 0;
    ck_assert_int_eq(run_straight(&job, &result, &err), ERROR_INVALID);
    job = good;
    job.new_positions = 0;
    ck_assert_int_eq(run_straight(&job, &result, &err), ERROR_INVALID);
    job = good;
    job.line = "../main";
    ck_assert_int_eq(run_straight(&job, &result, &err), ERROR_INVALID);
    job = good;
    job.teacher_file = "nobody.safetensors";
    job.teacher_policy = 0.5F;
    ck_assert_int_eq(run_straight(&job, &result, &err), ERROR_NOT_FOUND);
    job.teacher_policy = 0.0F; /* of no weight, it is not even read */
    ck_assert_msg(run_straight(&job, &result, &err) == 0, "%s", err.text);
}
END_TEST

START_TEST(two_threads_learn_the_same_up_to_rounding)
{
    struct train_result one;
    struct train_result two;
    struct error err;
    int64_t games = make_store("a", 100, 3);
    make_net("a", 1, 8, NET_VALUE_WDL);
    struct train_job job = job_for(in_folder("a", "."), games);
    ck_assert_msg(run_straight(&job, &one, &err) == 0, "%s", err.text);
    job.params.threads = 2;
    job.line = "side";
    ck_assert_msg(run_straight(&job, &two, &err) == 0, "%s", err.text);
    ck_assert_double_eq_tol(one.policy_loss, two.policy_loss, 0.02);
    ck_assert_double_eq_tol(one.value_loss, two.value_loss, 0.02);
}
END_TEST

struct quiz {
    struct evaluator *evaluator;
    const struct game *game;
    uint32_t right, asked;
};

static int ask_about_game(struct store_game *record, void *context)
{
    struct quiz *quiz = context;
    union game_state state;
    const char *why = NULL;

    ck_assert(quiz->game->init(&state, record->opening, &why));
    for (uint32_t ply = 0; ply < record->n_positions; ply++) {
        const struct record_position *position = &record->positions[ply];
        if (position->kind == POSITION_IMPORT) {
            uint16_t legal[GAME_MAX_LEGAL];
            struct evaluation evaluation;
            const struct evaluator_request request = {&state, quiz->game->legal(&state, legal),
                                                      legal};
            struct policy_entry entry;
            uint32_t best = 0;
            evaluator_run(quiz->evaluator, &request, 1, &evaluation);
            for (uint32_t i = 1; i < evaluation.n_priors; i++) {
                best = evaluation.priors[i] > evaluation.priors[best] ? i : best;
            }
            ck_assert_int_eq(policy_decode(position->policy, position->policy_bytes, &entry, 1), 1);
            quiz->right += legal[best] == entry.action;
            quiz->asked++;
        }
        quiz->game->play(&state, position->action);
    }
    return 0;
}

/* Mistake 2, end to end: through store, replay, mirror, average, refreshed batch norm, file, folding and
 * the canonical image that the evaluator sees. Any of them wrong, and the moves are not learnt. */
START_TEST(two_hundred_asymmetric_records_are_learnt_and_played)
{
    struct train_result result;
    struct error err;
    struct net *net = NULL;
    struct store *store = NULL;
    struct quiz quiz = {.game = game_find("connect4")};
    int64_t games = make_store("a", LEARNT, 0);
    make_net("a", 2, 16, NET_VALUE_WDL);
    struct train_job job = job_for(in_folder("a", "."), games);
    job.params.batch = 50;
    job.new_positions = LEARNT;
    job.params.samples_per_position = 50.0;
    job.params.learning_rate.rate[0] = 5e-3;
    job.params.value_weight = 0.1;
    job.params.report_every = 1000;
    job.params.refresh_positions = LEARNT;
    ck_assert(job.params.mirror);
    ck_assert_msg(run_straight(&job, &result, &err) == 0, "%s", err.text);
    ck_assert_double_lt(result.policy_loss, 0.3);
    ck_assert_double_eq_tol(result.policy_entropy, 0.0, 1e-9);

    char name[128];
    snprintf(name, sizeof(name), "nets/%s.safetensors", result.net_sha256);
    ck_assert_msg(net_load(in_folder("a", name), &net, NULL, &err) == 0, "%s", err.text);
    ck_assert_int_eq(evaluator_create(quiz.game, net, 1, &quiz.evaluator, &err), 0);
    ck_assert_int_eq(store_open(in_folder("a", "qzd.db"), STORE_READ, &store, &err), 0);
    ck_assert_int_gt(store_read_games(store, 0, games, 1000, ask_about_game, &quiz, &err), 0);
    ck_assert_uint_eq(quiz.asked, LEARNT);
    ck_assert_msg(quiz.right >= LEARNT * 95 / 100, "%u of %u moves (seed %d)", quiz.right,
                  quiz.asked, SEED);
    store_close(store);
    evaluator_destroy(quiz.evaluator);
    net_destroy(net);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("train");
    TCase *tc = tcase_create("train");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, stopped_at_any_step_and_resumed_equals_never_stopped);
    tcase_add_test(tc, killed_at_any_step_and_resumed_equals_never_killed);
    tcase_add_test(tc, diverged_training_leaves_no_net_and_the_checkpoint_as_it_was);
    tcase_add_test(tc, only_a_checkpoint_of_the_job_s_own_parent_is_gone_on_from);
    tcase_add_test(tc, damaged_checkpoint_is_warned_of_and_done_without);
    tcase_add_test(tc, jobs_that_cannot_be_done_are_refused_by_name);
    tcase_add_test(tc, two_threads_learn_the_same_up_to_rounding);
    tcase_add_test(tc, two_hundred_asymmetric_records_are_learnt_and_played);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
