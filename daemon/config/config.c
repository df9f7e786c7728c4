#include "daemon/config/config.h"

#include "daemon/config/config_schema.h"
#include "daemon/config/config_suites.h"
#include "daemon/config/config_value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A configuration is a page or two. The limit bounds the work that a wrong file can make. */
enum { MAX_FILE_BYTES = 65536, MAX_SOCKET_PATH = 108 };

static const char *const default_suites[] = {"connect4.mask", "connect4-values.csv"};

static struct config_schedule constant(double value)
{
    return (struct config_schedule){.n = 1, .value = {value}};
}

/* What a Unix socket's path cannot hold, "auto" must not become either: then it stays empty. */
static void auto_socket(const char *state_dir, char ret[PATH_MAX])
{
    int n = snprintf(ret, PATH_MAX, "%s/qzd.sock", state_dir);
    if (n < 0 || n >= PATH_MAX) {
        ret[0] = '\0';
    }
}

static bool socket_is_auto(const struct config *config)
{
    char path[PATH_MAX];
    auto_socket(config->state_dir, path);
    return strcmp(config->control.socket, path) == 0;
}

bool config_set_state_dir(struct config *config, const char *state_dir)
{
    if (strlen(state_dir) >= sizeof config->state_dir) {
        return false;
    }
    bool was_auto = socket_is_auto(config);
    memmove(config->state_dir, state_dir, strlen(state_dir) + 1);
    if (was_auto) {
        auto_socket(config->state_dir, config->control.socket);
    }
    return true;
}

void config_default(struct config *ret)
{
    *ret = (struct config){
        .state_dir = "./state",
        .game = "connect4",
        .seed = 1,
        .network = {.blocks = 4,
                    .filters = 32,
                    .se_ratio = 4,
                    .value_filters = 8,
                    .value_hidden = 64,
                    .value = NET_VALUE_WDL},
        .selfplay_settings = selfplay_settings_default,
        .selfplay = {.workers = CONFIG_AUTO,
                     .games_per_worker = CONFIG_AUTO,
                     .cache_entries = 500000,
                     .openings = {.share = 0.5F, .plies = 8}},
        /* The search over an untrained net knows nothing yet: z alone at first, half q from
         * generation 6 on. */
        .targets = {.q_ratio = {.n = 2, .generation = {0, 6}, .value = {0, 0.5}}, .q = Q_ROOT},
        .teacher = {.net = "none",
                    .policy_ratio = constant(0),
                    .value_ratio = constant(0),
                    .temperature = 1},
        .training = {.params = train_params_default,
                     .first_positions = 8000,
                     .every_min = 8000,
                     .every_share = 0.04,
                     .every_max = 20000,
                     .window = {.c = 20000, .alpha = 0.75, .beta = 0.4},
                     .held_out = 20},
        .events = {.severity = SEVERITY_ERROR, .seconds = 30},
        .evaluation = {.share = 0.1,
                       .nodes = 800,
                       .opponents = {.n = 5,
                                     .back = {1, 5, 10, CONFIG_OPPONENT_FIRST,
                                              CONFIG_OPPONENT_UNIFORM}},
                       .match_pairs = 8,
                       .gate = CONFIG_GATE_NONE,
                       .gate_pairs = 200},
        .patience = {.worker_s = 60, .training_s = 900},
        .resources = {.cores = CONFIG_AUTO},
        .cluster_role = CONFIG_ROLE_NONE,
    };
    ret->training.params.threads = CONFIG_AUTO;
    /* At equal processor time as strong as full searches alone, with better values (README.md, How good). */
    ret->selfplay_settings.fast_share = 0.75F;
    ret->selfplay_settings.fast_nodes = CONFIG_AUTO;
    auto_socket(ret->state_dir, ret->control.socket);
    for (size_t i = 0; i < sizeof default_suites / sizeof default_suites[0]; i++) {
        /* One that is missing keeps its name: whoever opens it says so. */
        (void)config_suite_find(default_suites[i], ret->evaluation.suites[i]);
        ret->evaluation.n_suites++;
    }
}

double config_schedule_at(const struct config_schedule *schedule, uint32_t generation)
{
    uint32_t i = 0;
    while (i < schedule->n && schedule->generation[i] <= generation) {
        i++;
    }
    if (i == 0) { /* before the first point */
        return schedule->value[0];
    }
    if (i == schedule->n) { /* behind the last */
        return schedule->value[i - 1];
    }
    double from = schedule->generation[i - 1];
    double share = (generation - from) / (schedule->generation[i] - from);
    return schedule->value[i - 1] + share * (schedule->value[i] - schedule->value[i - 1]);
}

/* ---- names ---- */

/* Edits (insert, delete, replace, swap neighbours) between two short words. */
static size_t edits(const char *a, const char *b)
{
    enum { MAX = 32 };
    size_t n = strlen(a);
    size_t m = strlen(b);
    size_t cost[MAX + 1][MAX + 1];
    if (n > MAX || m > MAX) {
        return SIZE_MAX;
    }
    for (size_t i = 0; i <= n; i++) {
        for (size_t j = 0; j <= m; j++) {
            if (i == 0 || j == 0) {
                cost[i][j] = i + j;
                continue;
            }
            size_t best = cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = cost[i - 1][j] + 1 < best ? cost[i - 1][j] + 1 : best;
            best = cost[i][j - 1] + 1 < best ? cost[i][j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                best = cost[i - 2][j - 2] + 1 < best ? cost[i - 2][j - 2] + 1 : best;
            }
            cost[i][j] = best;
        }
    }
    return cost[n][m];
}

struct nearest {
    const char *wanted;
    size_t edits;
    char name[CONFIG_MAX_PATH_TEXT];
    FILE *all; /* every name, for when none is near */
    size_t n;
};

static void look_at(const char *name, void *context)
{
    struct nearest *nearest = context;
    size_t n = edits(nearest->wanted, name);
    if (n < nearest->edits) {
        nearest->edits = n;
        snprintf(nearest->name, sizeof nearest->name, "%s", name);
    }
    if (nearest->all != NULL) {
        fprintf(nearest->all, "%s%s", nearest->n == 0 ? "" : ", ", name);
    }
    nearest->n++;
}

/* The key that ends in that name, where there is exactly one: "nodes_per_move" stands somewhere else. */
static const char *elsewhere(const char *name)
{
    const char *found = NULL;
    for (int i = 0; config_keys[i].path != NULL; i++) {
        const char *dot = strrchr(config_keys[i].path, '.');
        if (dot != NULL && strcmp(dot + 1, name) == 0) {
            if (found != NULL) {
                return NULL;
            }
            found = config_keys[i].path;
        }
    }
    return found;
}

static void refuse_name(struct config_reader *reader, const yaml_node_t *at, const char *section,
                        const char *name)
{
    struct config_mark mark = config_node_mark(at);
    const char *dot = *section == '\0' ? "" : ".";
    const char *first_dot = strchr(name, '.');
    char path[CONFIG_MAX_PATH_TEXT];
    snprintf(path, sizeof path, "%s%s%s", section, dot, name);
    if (first_dot != NULL && (config_find_key(path) >= 0 || config_is_section(path))) {
        config_list_add(reader->list, mark,
                        "unknown key %s; it must be nested: %.*s: with %s: indented below it", path,
                        (int)(first_dot - name), name, first_dot + 1);
        return;
    }
    char all[400] = "";
    struct nearest nearest = {.wanted = name, .edits = 1 + strlen(name) / 3, .name = ""};
    nearest.all = fmemopen(all, sizeof all, "w");
    config_each_below(section, look_at, &nearest);
    if (nearest.all != NULL) {
        fclose(nearest.all);
    }
    if (nearest.name[0] != '\0') {
        config_list_add(reader->list, mark, "unknown key %s; did you mean %s%s%s?", path, section,
                        dot, nearest.name);
    } else if (elsewhere(name) != NULL) {
        config_list_add(reader->list, mark, "unknown key %s; did you mean %s?", path,
                        elsewhere(name));
    } else {
        config_list_add(reader->list, mark, "unknown key %s; it must be one of %s", path, all);
    }
}

/* ---- reading ---- */

static void read_section(struct config_reader *reader, yaml_node_t *section, const char *path);

/* An earlier pair of the mapping with the same key as this one, NULL if there is none. */
static const yaml_node_t *earlier(const struct config_reader *reader, const yaml_node_t *section,
                                  const yaml_node_pair_t *pair, const char *name)
{
    for (const yaml_node_pair_t *other = section->data.mapping.pairs.start; other < pair; other++) {
        const yaml_node_t *node = yaml_document_get_node(reader->document, other->key);
        const char *text = config_scalar(node);
        if (text != NULL && strcmp(text, name) == 0) {
            return node;
        }
    }
    return NULL;
}

static void read_pair(struct config_reader *reader, const yaml_node_t *section,
                      const yaml_node_pair_t *pair, const char *path)
{
    yaml_node_t *key_node = yaml_document_get_node(reader->document, pair->key);
    yaml_node_t *value = yaml_document_get_node(reader->document, pair->value);
    const char *name = config_scalar(key_node);
    char full[CONFIG_MAX_PATH_TEXT];
    if (name == NULL) {
        config_list_add(reader->list, config_node_mark(key_node),
                        "this key is no word; a key must be plain text");
        return;
    }
    int n = snprintf(full, sizeof full, "%s%s%s", path, *path == '\0' ? "" : ".", name);
    bool known = n > 0 && (size_t)n < sizeof full && strchr(name, '.') == NULL && *name != '\0';
    int index = known ? config_find_key(full) : -1;
    bool is_section = known && config_is_section(full);
    if (index < 0 && !is_section) {
        refuse_name(reader, key_node, path, name);
        return;
    }
    const yaml_node_t *first = earlier(reader, section, pair, name);
    if (first != NULL) {
        config_list_add(reader->list, config_node_mark(key_node),
                        "%s is given twice; it stands at line %zu already: leave one out", full,
                        config_node_mark(first).line);
    }
    if (is_section) {
        read_section(reader, value, full);
    } else {
        size_t n_problems = reader->list->n;
        config_read_value(reader, &config_keys[index], value);
        if (reader->list->n == n_problems) {
            reader->at[index] = config_node_mark(value);
        }
    }
}

static void read_section(struct config_reader *reader, yaml_node_t *section, const char *path)
{
    if (section->type != YAML_MAPPING_NODE) {
        const char *what = section->type == YAML_SEQUENCE_NODE ? "a list" : "a plain value";
        const char *text = config_scalar(section);
        if (text != NULL && *text == '\0') {
            what = "empty";
        }
        config_list_add(reader->list, config_node_mark(section),
                        "%s is %s; it must be a mapping, keys with values indented below it",
                        *path == '\0' ? "the file" : path, what);
        return;
    }
    for (yaml_node_pair_t *pair = section->data.mapping.pairs.start;
         pair < section->data.mapping.pairs.top; pair++) {
        read_pair(reader, section, pair, path);
    }
}

/* ---- rules between keys ---- */

/* Where the file gives the first of these keys; line 0: none of them. */
static struct config_mark place(const struct config_reader *reader, const char *const *paths)
{
    for (size_t i = 0; paths[i] != NULL; i++) {
        int index = config_find_key(paths[i]);
        if (index >= 0 && reader->at[index].line != 0) {
            return reader->at[index];
        }
    }
    return (struct config_mark){0, 0};
}
#define PLACE(...) place(reader, (const char *const[]){__VA_ARGS__, NULL})

static double highest(const struct config_schedule *schedule)
{
    double high = 0;
    for (uint32_t i = 0; i < schedule->n; i++) {
        high = schedule->value[i] > high ? schedule->value[i] : high;
    }
    return high;
}

static void check_rules(struct config_reader *reader)
{
    const struct config *config = reader->config;
    if (config->training.every_min > config->training.every_max) {
        config_list_add(reader->list, PLACE("training.every.min", "training.every.max"),
                        "training.every.min is %lld, above max %lld; min must be at most max",
                        (long long)config->training.every_min,
                        (long long)config->training.every_max);
    }
    if (config->network.se_ratio > config->network.filters) {
        config_list_add(reader->list, PLACE("network.se_ratio", "network.filters"),
                        "network.se_ratio is %u with %u filters; it must be at most filters, or 0 "
                        "for no squeeze-excitation",
                        config->network.se_ratio, config->network.filters);
    }
    if (config->selfplay_settings.fast_share > 0 &&
        config->selfplay_settings.fast_nodes > config->selfplay_settings.search.nodes) {
        config_list_add(
            reader->list, PLACE("search.fast_nodes", "search.nodes", "search.fast_share"),
            "search.fast_nodes is %u, above search.nodes %u; it must be at most that",
            config->selfplay_settings.fast_nodes, config->selfplay_settings.search.nodes);
    }
    if (strcmp(config->teacher.net, "none") == 0 &&
        (highest(&config->teacher.policy_ratio) > 0 || highest(&config->teacher.value_ratio) > 0)) {
        config_list_add(reader->list, PLACE("teacher.ratio.policy", "teacher.ratio.value"),
                        "teacher.ratio is above 0 without a teacher; teacher.net must name one");
    }
    if (strlen(config->control.socket) >= MAX_SOCKET_PATH) {
        config_list_add(reader->list, PLACE("control.socket", "state_dir"),
                        "control.socket would have a path of %zu bytes; it must be a shorter path, "
                        "of at most %d bytes, such as /run/qzd/qzd.sock",
                        strlen(config->control.socket), MAX_SOCKET_PATH - 1);
    }
}

static bool is_given(const struct config_reader *reader, const char *path)
{
    int index = config_find_key(path);
    return index >= 0 && reader->at[index].line != 0;
}

/* Defaults that hang on other keys. */
static void derive(struct config_reader *reader)
{
    struct config *config = reader->config;
    if (!is_given(reader, "control.socket") || strcmp(config->control.socket, "auto") == 0) {
        auto_socket(config->state_dir, config->control.socket);
    }
    if (!is_given(reader, "evaluation.suites") && strcmp(config->game, "connect4") != 0) {
        config->evaluation.n_suites = 0; /* the shipped suites are Connect Four's */
        memset(config->evaluation.suites, 0, sizeof config->evaluation.suites);
    }
}

static bool is_empty(const yaml_node_t *root)
{
    return root == NULL || (root->type == YAML_SCALAR_NODE && root->data.scalar.length == 0);
}

static void read_document(struct config_reader *reader)
{
    yaml_node_t *root = yaml_document_get_root_node(reader->document);
    if (!is_empty(root)) {
        read_section(reader, root, "");
    }
    derive(reader);
    check_rules(reader);
}

int config_parse(const char *text, size_t size, const char *name, struct config *ret,
                 struct config_problems *ret_problems)
{
    struct config_list list;
    config_list_init(&list, name);
    struct config *config = malloc(sizeof *config);
    yaml_document_t document;
    if (config == NULL) {
        list.no_memory = true;
    } else if (size > MAX_FILE_BYTES) {
        config_list_add_file(&list, "%zu bytes; a configuration must have at most %d", size,
                             MAX_FILE_BYTES);
    } else if (config_yaml_read(text, size, &list, &document)) {
        config_default(config);
        read_document(
            &(struct config_reader){.document = &document, .list = &list, .config = config});
        yaml_document_delete(&document);
    }
    int r = config_list_finish(&list, ret_problems);
    if (r == 0 && config != NULL) { /* without memory r is not 0 */
        memcpy(ret, config, sizeof *ret);
    }
    free(config);
    return r;
}

static int fail_file(const char *path, int errnum, struct config_problems *ret_problems)
{
    struct config_list list;
    config_list_init(&list, path);
    config_list_add_file(&list, "cannot read: %s; name a readable file",
                         strerror(errnum)); /* NOLINT(concurrency-mt-unsafe) */
    int r = config_list_finish(&list, ret_problems);
    return r == ERROR_NO_MEMORY                    ? r
           : errnum == ENOENT || errnum == ENOTDIR ? ERROR_NOT_FOUND
                                                   : ERROR_IO;
}

int config_load(const char *path, struct config *ret, struct config_problems *ret_problems)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return fail_file(path, errno, ret_problems);
    }
    int r;
    char *text = malloc(MAX_FILE_BYTES + 1);
    if (text == NULL) {
        r = ERROR_NO_MEMORY;
        if (ret_problems != NULL) {
            *ret_problems = (struct config_problems){0};
        }
        goto out;
    }
    errno = 0;
    size_t size = fread(text, 1, MAX_FILE_BYTES + 1, file);
    r = ferror(file) ? fail_file(path, errno, ret_problems)
                     : config_parse(text, size, path, ret, ret_problems);
out:
    free(text);
    fclose(file);
    return r;
}

int config_net_arch(const struct config *config, const struct game *game, struct net_arch *ret,
                    struct error *err)
{
    *ret = (struct net_arch){.blocks = config->network.blocks,
                             .filters = config->network.filters,
                             .value_filters = config->network.value_filters,
                             .value_hidden = config->network.value_hidden,
                             .value = config->network.value};
    int r = net_arch_for_game(ret, game, err);
    if (r >= 0 && config->network.se_ratio > 0) {
        const uint32_t channels = ret->filters / config->network.se_ratio;
        ret->se_channels = channels > 0 ? channels : 1;
    }
    return r;
}
