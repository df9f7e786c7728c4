#include "daemon/config/config_schema.h"

#include "mcts/game.h"

#include <string.h>

static const char *const value_words[] = {
    [NET_VALUE_WDL] = "wdl", [NET_VALUE_SCALAR] = "scalar", NULL};
static const char *const q_words[] = {
    [Q_ROOT] = "root", [Q_BEST] = "best", [Q_GREEDY] = "greedy", NULL};
static const char *const optimizer_words[] = {
    [OPTIMIZER_ADAMW] = "adamw", [OPTIMIZER_SGD] = "sgd", NULL};
const char *const config_kernel_words[] = {
    [CONFIG_KERNEL_AUTO] = "auto",     [CONFIG_KERNEL_AMX] = "amx",
    [CONFIG_KERNEL_AVX512] = "avx512", [CONFIG_KERNEL_AVX2] = "avx2",
    [CONFIG_KERNEL_PLAIN] = "plain",   NULL};
const char *const config_precision_words[] = {[CONFIG_PRECISION_AUTO] = "auto",
                                              [CONFIG_PRECISION_FP32] = "fp32",
                                              [CONFIG_PRECISION_BF16] = "bf16",
                                              NULL};
static const char *const gate_words[] = {
    [CONFIG_GATE_NONE] = "none", [CONFIG_GATE_ELO] = "elo", [CONFIG_GATE_SPRT] = "sprt", NULL};
static const char *const role_words[] = {[CONFIG_ROLE_NONE] = "none", NULL};
static const char *const severity_words[] = {
    [SEVERITY_INFO] = "info", [SEVERITY_WARNING] = "warning", [SEVERITY_ERROR] = "error", NULL};
static const char *const only_off[] = {"off", NULL};

/* Whole numbers in JSON are exact up to here. */
#define EXACT 9007199254740991.0
#define FIELD(member) \
    .offset = offsetof(struct config, member), .size = sizeof(((struct config *)NULL)->member)
#define INTEGER(member, lo, hi) .type = CONFIG_TYPE_INTEGER, FIELD(member), .min = (lo), .max = (hi)
#define COUNT(member, hi)       .type = CONFIG_TYPE_COUNT, FIELD(member), .min = 1, .max = (hi)
#define REAL(member, lo, hi)    .type = CONFIG_TYPE_REAL, FIELD(member), .min = (lo), .max = (hi)
#define POSITIVE(member, hi)    .type = CONFIG_TYPE_REAL, FIELD(member), .above_min = true, .max = (hi)
#define WORD(member, list)      .type = CONFIG_TYPE_WORD, FIELD(member), .words = (list)
#define SHARES(member)          .type = CONFIG_TYPE_SCHEDULE, FIELD(member), .max = 1
#define RESTART                 .needs_restart = true

const struct config_key config_keys[] = {
    {"state_dir", .type = CONFIG_TYPE_TEXT, FIELD(state_dir), RESTART,
     .doc = "Directory of qzd.db, nets/, checkpoints/ and the lock; one daemon a directory."},
    {"game", .type = CONFIG_TYPE_GAME, FIELD(game), RESTART, .doc = "The game that is learnt."},
    {"seed", INTEGER(seed, 0, EXACT), RESTART,
     .doc = "Seed of the run: nets, games and sampling follow from it. A store keeps the seed of "
            "its first start."},

    {"network.blocks", INTEGER(network.blocks, 1, 64), RESTART,
     .doc = "Residual blocks of a new net."},
    {"network.filters", INTEGER(network.filters, 1, 1024), RESTART,
     .doc = "Filters of each convolution of a new net."},
    {"network.se_ratio", INTEGER(network.se_ratio, 0, 1024), RESTART,
     .doc = "Squeeze-excitation units have filters / se_ratio channels; 0 = none."},
    {"network.value", WORD(network.value, value_words), RESTART,
     .doc = "Value head: wdl (win, draw, loss by softmax) or scalar (tanh)."},
    {"network.value_filters", INTEGER(network.value_filters, 1, 256), RESTART,
     .doc = "Filters of the value head's 1x1 convolution."},
    {"network.value_hidden", INTEGER(network.value_hidden, 1, 1024), RESTART,
     .doc = "Width of the value head's hidden layer."},

    {"search.nodes", INTEGER(selfplay_settings.search.nodes, 2, 1000000),
     .doc = "Nodes of the search behind every move of self-play: the root's visits at its end."},
    {"search.cpuct", REAL(selfplay_settings.search.cpuct, 0.001, 100),
     .doc = "Weight of exploration in PUCT."},
    {"search.fpu_reduction", REAL(selfplay_settings.search.fpu_reduction, 0, 2),
     .doc = "An unvisited child counts as its parent's value less this times the square root of "
            "the prior already visited."},
    {"search.fpu_reduction_root", REAL(selfplay_settings.search.fpu_reduction_root, 0, 2),
     .doc = "The same at the root."},
    {"search.solver", .type = CONFIG_TYPE_BOOL, FIELD(selfplay_settings.search.solver),
     .doc = "Proven wins, draws and losses propagate in the tree and end a search early."},
    {"search.reuse", .type = CONFIG_TYPE_WORD, .words = only_off,
     .doc = "Self-play searches start from an empty tree; there is nothing else to choose yet."},
    {"search.fast_share", REAL(selfplay_settings.fast_share, 0, 1),
     .doc = "Playout caps: share of moves searched with fast_nodes only, to carry the game on; 0 = "
            "none."},
    {"search.fast_nodes", .type = CONFIG_TYPE_COUNT, FIELD(selfplay_settings.fast_nodes), .min = 2,
     .max = 1000000,
     .doc = "Nodes of fast searches; auto = a fifth of search.nodes. They have no noise, and "
            "trainings draw them by training.fast_policy_weight and fast_value_weight alone."},
    {"search.noise.alpha", REAL(selfplay_settings.search.noise_alpha, 0.001, 1000),
     .doc = "Dirichlet noise at the root has alpha / (number of legal moves)."},
    {"search.noise.share", REAL(selfplay_settings.search.noise_share, 0, 1),
     .doc = "Share of noise in the root's priors; 0 = none."},
    {"search.temperature.start", REAL(selfplay_settings.temperature.start, 0, 10),
     .doc = "Moves are drawn by visits^(1/T) with T = max(floor, start * 2^(-ply / half_life))."},
    {"search.temperature.half_life", REAL(selfplay_settings.temperature.half_life, 0.001, 10000),
     .doc = "Plies in which the temperature halves."},
    {"search.temperature.floor", REAL(selfplay_settings.temperature.floor, 0, 10),
     .doc = "Lowest temperature; 0 = the best move in the end."},

    {"selfplay.workers", COUNT(selfplay.workers, 1024), RESTART,
     .doc = "Worker processes, one thread each; auto = one a processor core that qzd may use."},
    {"selfplay.games_per_worker", COUNT(selfplay.games_per_worker, 4096), RESTART,
     .doc = "Games that a worker plays side by side, so that batches are large; auto = as many as "
            "make the fastest batches, measured at the start."},
    {"selfplay.cache_entries", INTEGER(selfplay.cache_entries, 0, 100000000), RESTART,
     .doc = "Positions in each worker's evaluation cache, about 60 bytes each in Connect Four; "
            "0 = no cache."},
    {"selfplay.openings.share", REAL(selfplay.openings.share, 0, 1),
     .doc = "Share of games that begin behind random legal moves, against opening collapse."},
    {"selfplay.openings.plies", INTEGER(selfplay.openings.plies, 0, 100),
     .doc = "... behind 1 to so many of them, each number as likely; 0 = none."},
    {"selfplay.resign.threshold", REAL(selfplay_settings.resign_threshold, 0, 1),
     .doc = "A side resigns when the root value is at most minus this; 0 = never."},
    {"selfplay.resign.plies", INTEGER(selfplay_settings.resign_plies, 1, 100),
     .doc = "... in that many of its own moves in a row."},
    {"selfplay.resign.playout", REAL(selfplay_settings.resign_playout, 0, 1),
     .doc = "Share of games that are played out all the same, for the false-resign rate."},

    {"targets.q_ratio", SHARES(targets.q_ratio),
     .doc = "Share of the search's q in the value target, the rest is the result z: a number or "
            "a schedule by generation of the net being trained."},
    {"targets.q", WORD(targets.q, q_words),
     .doc = "Which q: the root's mean, its best child's, or that at the end of the greedy line."},
    {"targets.lambda", REAL(targets.lambda, 0, 1),
     .doc = "Return over the game: 0 = the position's own q, 1 = z, between = the mixture over "
            "the positions that follow."},

    {"teacher.net", .type = CONFIG_TYPE_TEXT, FIELD(teacher.net),
     .doc = "A net whose outputs are targets too: none, a net's id, the start of its sha256, or "
            "a file."},
    {"teacher.ratio.policy", SHARES(teacher.policy_ratio),
     .doc = "Share of the teacher in the policy target: a number or a schedule."},
    {"teacher.ratio.value", SHARES(teacher.value_ratio),
     .doc = "Share of the teacher in the value target: a number or a schedule."},
    {"teacher.temperature", POSITIVE(teacher.temperature, 100),
     .doc = "Temperature of the softmax over the teacher's policy logits."},

    {"training.samples_per_position", POSITIVE(training.params.samples_per_position, 1000),
     .doc = "Samples drawn for each new position."},
    {"training.max_samples", COUNT(training.max_samples, EXACT),
     .doc =
         "Samples of one training at most, where play is faster than trainings can follow; auto = "
         "those of twice every.max new positions."},
    {"training.batch", INTEGER(training.params.batch, 1, 8192), .doc = "Samples a step."},
    {"training.first", INTEGER(training.first_positions, 1, EXACT),
     .doc = "Positions at which the first training is due."},
    {"training.every.min", INTEGER(training.every_min, 1, EXACT),
     .doc = "The next is due after max(min, share * all positions) new ones, at most max."},
    {"training.every.share", REAL(training.every_share, 0, 1), .doc = "See min."},
    {"training.every.max", INTEGER(training.every_max, 1, EXACT), .doc = "See min."},
    {"training.window.c", POSITIVE(training.window.c, 1e12),
     .doc = "Of N positions in all, a training draws from the newest "
            "c (1 + beta ((N / c)^alpha - 1) / alpha)."},
    {"training.window.alpha", POSITIVE(training.window.alpha, 1), .doc = "See c."},
    {"training.window.beta", REAL(training.window.beta, 0, 1), .doc = "See c."},
    {"training.held_out", INTEGER(training.held_out, 0, 1000000),
     .doc = "One game in so many is never trained on, for honest losses; 0 = none."},
    {"training.optimizer.kind", WORD(training.params.optimizer, optimizer_words),
     .doc = "AdamW, or SGD with Nesterov momentum."},
    {"training.optimizer.weight_decay", REAL(training.params.weight_decay, 0, 1),
     .doc = "Decoupled weight decay, not on batch norm and biases."},
    {"training.optimizer.momentum", REAL(training.params.momentum, 0, 0.9999), .doc = "Of sgd."},
    {"training.optimizer.beta1", REAL(training.params.beta1, 0, 0.9999), .doc = "Of adamw."},
    {"training.optimizer.beta2", REAL(training.params.beta2, 0, 0.999999), .doc = "Of adamw."},
    {"training.optimizer.clip_norm", REAL(training.params.clip_norm, 0, 1e9),
     .doc = "Gradients are clipped to this global norm; 0 = off."},
    {"training.learning_rate", .type = CONFIG_TYPE_RATES, FIELD(training.params.learning_rate),
     .above_min = true, .max = 10,
     .doc = "A number, or steps by samples drawn over the life of the line."},
    {"training.warmup_samples", INTEGER(training.params.warmup_samples, 0, EXACT),
     .doc = "The rate rises from 0 over the first so many samples of each training."},
    {"training.value_weight", REAL(training.params.value_weight, 0, 1000),
     .doc = "Weight of the value loss; the policy loss has 1."},
    {"training.fast_policy_weight", REAL(training.params.fast_policy_weight, 0, 1000),
     .doc = "Weight of fast searches' positions in the policy loss."},
    {"training.fast_value_weight", REAL(training.params.fast_value_weight, 0, 1000),
     .doc = "Weight of fast searches' positions in the value loss."},
    {"training.mirror", .type = CONFIG_TYPE_BOOL, FIELD(training.params.mirror),
     .doc = "Each sample is mirrored with probability 1/2 where the game has mirror images."},
    {"training.average_decay", REAL(training.params.average_decay, 0, 0.999999),
     .doc = "The net that plays is an exponential average over steps with this decay; 0 = off."},
    {"training.refresh_positions", INTEGER(training.params.refresh_positions, 0, 10000000),
     .doc = "Window positions that refresh the averaged net's batch-norm statistics."},
    {"training.threads", COUNT(training.params.threads, 1024),
     .doc = "Threads of a training; auto = half of the cores, at least one."},
    {"training.max_loss", POSITIVE(training.params.max_loss, 1e9),
     .doc = "A training whose loss exceeds this has diverged and is given up."},
    {"training.report_every", INTEGER(training.params.report_every, 1, 1000000),
     .doc = "Steps between two progress reports."},
    {"training.checkpoint_seconds", INTEGER(training.params.checkpoint_seconds, 1, 86400),
     .doc = "Seconds between two checkpoints of a running training."},

    {"evaluation.share", REAL(evaluation.share, 0, 1),
     .doc = "Share of the machine's time that judging nets may take; it never delays a training."},
    {"evaluation.suites", .type = CONFIG_TYPE_SUITES, FIELD(evaluation.suites),
     .doc = "Suite files that judge each new net; a bare name is one of the shipped suites."},
    {"evaluation.nodes", INTEGER(evaluation.nodes, 2, 1000000),
     .doc = "Nodes of searches in suites and matches; the net alone is judged always."},
    {"evaluation.opponents", .type = CONFIG_TYPE_OPPONENTS, FIELD(evaluation.opponents),
     .doc = "Whom new nets play for their rating: nets so many generations back, first (generation "
            "0), uniform (all moves alike, an even game). [] = no matches."},
    {"evaluation.match_pairs", INTEGER(evaluation.match_pairs, 1, 100000),
     .doc = "Pairs of games against each opponent, both colours from one opening; at most as many "
            "as the game has openings."},
    {"evaluation.gate", WORD(evaluation.gate, gate_words),
     .doc = "What a trained net must pass before it plays: none; elo: a score above one half "
            "against the current net after gate_pairs; sprt: the test of 0 against 20 Elo says 20. "
            "The next training waits for it and goes on from the newest weights either way."},
    {"evaluation.gate_pairs", INTEGER(evaluation.gate_pairs, 1, 100000),
     .doc = "Pairs of games of a gate's match; sprt may end it before, and rejects a net that "
            "is undecided then."},

    {"patience.worker", INTEGER(patience.worker_s, 5, 86400),
     .doc = "Seconds without a word after which a worker is killed and started again."},
    {"patience.training", INTEGER(patience.training_s, 5, 864000),
     .doc = "The same for a training or an evaluation."},

    {"resources.nice", INTEGER(resources.nice, 0, 19),
     .doc = "Children (workers, trainings, evaluations) run so many steps of niceness behind the "
            "daemon. Under systemd the unit's Nice= does it for all."},
    {"resources.memory_mib", INTEGER(resources.memory_mib, 0, 1048576),
     .doc = "Private memory that each child may have, in MiB (RLIMIT_DATA); one that wants more "
            "ends and is started again; 0 = no limit. Under systemd see MemoryMax=."},
    {"resources.cores", COUNT(resources.cores, 1024), RESTART,
     .doc = "Processor cores to use at most; auto = all that qzd may use."},

    {"retention.nets", INTEGER(retention.nets, 0, 1000000),
     .doc = "Generations whose nets' files are kept: the newest so many (at least 20 more than "
            "evaluation.opponents go back), the first "
            "and what is in use; "
            "games of others cannot be replayed. 0 = all."},
    {"retention.bytes", INTEGER(retention.bytes, 0, EXACT),
     .doc = "Size of qzd.db above which the oldest finished games are dropped, but for those in "
            "the window; tallies, trainings, evaluations and nets stay; 0 = keep all."},

    {"events.exec", .type = CONFIG_TYPE_COMMAND, FIELD(events.exec),
     .doc = "A command with its arguments, run without a shell for each event that is severe "
            "enough: see qzd(8). [] = none."},
    {"events.severity", WORD(events.severity, severity_words),
     .doc = "The least severity of such events."},
    {"events.seconds", INTEGER(events.seconds, 1, 3600),
     .doc = "Seconds that the command may take before it is ended."},

    {"control.socket", .type = CONFIG_TYPE_SOCKET, FIELD(control.socket), RESTART,
     .doc = "Unix socket of qzctl; auto = qzd.sock in the state directory."},
    {"control.http", .type = CONFIG_TYPE_WORD, .words = only_off, RESTART,
     .doc = "HTTP over TCP; there is nothing else to choose yet."},

    {"inference.kernel", WORD(inference_kernel, config_kernel_words), RESTART,
     .doc =
         "What computes nets: amx (bf16 only), avx512, avx2 (with FMA) or plain; auto = the best "
         "that the processor can run in the precision. Results differ between them in the last "
         "bits."},
    {"inference.precision", WORD(inference_precision, config_precision_words), RESTART,
     .doc = "What is multiplied in a net's convolutions: fp32, or bf16 (faster; needs a processor "
            "with AVX512-BF16, and is much faster on one with AMX); auto = bf16 by AMX where the "
            "processor and inference.kernel allow it, else fp32. In bf16 each net is checked over "
            "positions of its own play: where v differs "
            "from fp32 by more than 0.02 in the mean, or the policy by 0.002 nats, it is computed "
            "in fp32, and an event says so (\"precision\", with the figures)."},

    {"cluster.role", WORD(cluster_role, role_words), RESTART,
     .doc = "Part in a cluster of hosts; none = this host alone."},
    {.path = NULL},
};

_Static_assert(sizeof config_keys / sizeof config_keys[0] <= CONFIG_MAX_KEYS, "raise it");

size_t config_n_keys(void)
{
    return sizeof config_keys / sizeof config_keys[0] - 1;
}

int config_find_key(const char *path)
{
    for (int i = 0; config_keys[i].path != NULL; i++) {
        if (strcmp(config_keys[i].path, path) == 0) {
            return i;
        }
    }
    return -1;
}

/* Is that path below the section? Then what follows the section and its dot. */
static const char *below(const char *section, const char *path)
{
    size_t n = strlen(section);
    if (n == 0) {
        return path;
    }
    return strncmp(path, section, n) == 0 && path[n] == '.' ? path + n + 1 : NULL;
}

bool config_is_section(const char *path)
{
    for (int i = 0; config_keys[i].path != NULL; i++) {
        if (below(path, config_keys[i].path) != NULL) {
            return true;
        }
    }
    return false;
}

void config_each_below(const char *section, void (*visit)(const char *name, void *context),
                       void *context)
{
    char last[CONFIG_MAX_PATH_TEXT] = "";
    for (int i = 0; config_keys[i].path != NULL; i++) {
        const char *rest = below(section, config_keys[i].path);
        if (rest == NULL) {
            continue;
        }
        char name[CONFIG_MAX_PATH_TEXT];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(rest, "."), rest);
        if (strcmp(name, last) != 0) { /* a section's keys stand together */
            visit(name, context);
            memcpy(last, name, sizeof last);
        }
    }
}

static void print_range(FILE *out, const struct config_key *key)
{
    if (key->above_min) {
        fprintf(out, "above ");
        config_print_real(out, key->min, sizeof(double));
        fprintf(out, " and at most ");
    } else {
        fprintf(out, "from ");
        config_print_real(out, key->min, sizeof(double));
        fprintf(out, " to ");
    }
    config_print_real(out, key->max, sizeof(double));
}

static void print_words(FILE *out, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        fprintf(out, "%s%s", i == 0 ? "" : words[i + 1] == NULL ? " or " : ", ", words[i]);
    }
}

static void print_games(FILE *out)
{
    for (size_t i = 0; game_at(i) != NULL; i++) {
        fprintf(out, "%s%s",
                i == 0                   ? ""
                : game_at(i + 1) == NULL ? " or "
                                         : ", ",
                game_at(i)->name);
    }
}

static void print_expected(FILE *out, const struct config_key *key)
{
    switch (key->type) {
    case CONFIG_TYPE_INTEGER:
        fprintf(out, "a whole number ");
        print_range(out, key);
        break;
    case CONFIG_TYPE_COUNT:
        fprintf(out, "auto or a whole number ");
        print_range(out, key);
        break;
    case CONFIG_TYPE_REAL:
        fprintf(out, "a number ");
        print_range(out, key);
        break;
    case CONFIG_TYPE_BOOL:
        fprintf(out, "yes or no");
        break;
    case CONFIG_TYPE_WORD:
        print_words(out, key->words);
        break;
    case CONFIG_TYPE_GAME:
        print_games(out);
        break;
    case CONFIG_TYPE_TEXT:
        fprintf(out, "text of at most %zu bytes", key->size - 1);
        break;
    case CONFIG_TYPE_SOCKET:
        fprintf(out, "auto or a path of at most 107 bytes");
        break;
    case CONFIG_TYPE_SCHEDULE:
        fprintf(out, "a number ");
        print_range(out, key);
        fprintf(out, ", or a list of at most %d {generation: N, value: X} with rising generations",
                CONFIG_MAX_SCHEDULE);
        break;
    case CONFIG_TYPE_RATES:
        fprintf(out, "a number ");
        print_range(out, key);
        fprintf(out, ", or a list of at most %d {samples: N, value: X} with samples rising from 0",
                TRAIN_MAX_SCHEDULE);
        break;
    case CONFIG_TYPE_SUITES:
        fprintf(out, "a list of at most %d file names", CONFIG_MAX_SUITES);
        break;
    case CONFIG_TYPE_COMMAND:
        fprintf(out, "a list of at most %d texts of at most %d bytes, the first a program",
                CONFIG_MAX_ARGUMENTS, CONFIG_MAX_ARGUMENT - 1);
        break;
    case CONFIG_TYPE_OPPONENTS:
        fprintf(out,
                "a list of at most %d different ones of: generations back (1, 5), first, uniform",
                CONFIG_MAX_OPPONENTS);
        break;
    }
}

void config_expected(const struct config_key *key, char ret[CONFIG_MAX_EXPECTED])
{
    ret[0] = '\0';
    FILE *out = fmemopen(ret, CONFIG_MAX_EXPECTED, "w");
    if (out != NULL) { /* without memory the sentence lacks its end, nothing worse */
        print_expected(out, key);
        fclose(out);
    }
}
