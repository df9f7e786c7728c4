#include "daemon/config/config_value.h"

#include "daemon/config/config_suites.h"
#include "mcts/game.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_SHOWN = 48, MAX_SOCKET_PATH = 108 };

/* The place and looks of a value, for messages. */
static void show(const yaml_node_t *node, char ret[MAX_SHOWN])
{
    if (node->type == YAML_MAPPING_NODE) {
        snprintf(ret, MAX_SHOWN, "a mapping");
    } else if (node->type == YAML_SEQUENCE_NODE) {
        snprintf(ret, MAX_SHOWN, "a list");
    } else if (config_scalar(node) == NULL) {
        snprintf(ret, MAX_SHOWN, "text with a NUL byte");
    } else if (node->data.scalar.length == 0) {
        snprintf(ret, MAX_SHOWN, "nothing");
    } else {
        const char *text = config_scalar(node);
        size_t length = node->data.scalar.length;
        if (length > MAX_SHOWN - 8) {
            length = MAX_SHOWN - 8;
            while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80) {
                length--; /* do not cut a UTF-8 character */
            }
        }
        const char *quote = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? "" : "\"";
        snprintf(ret, MAX_SHOWN, "%s%.*s%s%s", quote, (int)length, text,
                 text[length] == '\0' ? "" : "...", quote);
    }
}

static void refuse(struct config_reader *reader, const struct config_key *key,
                   const yaml_node_t *node)
{
    char shown[MAX_SHOWN];
    char expected[CONFIG_MAX_EXPECTED];
    show(node, shown);
    config_expected(key, expected);
    config_list_add(reader->list, config_node_mark(node), "%s is %s; it must be %s", key->path,
                    shown, expected);
}

/* The text of a scalar that stands there without quotes; else NULL. */
static const char *plain(const yaml_node_t *node)
{
    const char *text = config_scalar(node);
    return text != NULL && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? text : NULL;
}

static const char *skip_digits(const char *text)
{
    while (isdigit((unsigned char)*text)) {
        text++;
    }
    return text;
}

/* -?(0|[1-9][0-9]*): what no YAML version reads as anything else. */
static const char *skip_whole(const char *text)
{
    text += *text == '-' || *text == '+';
    if (!isdigit((unsigned char)*text) || (*text == '0' && isdigit((unsigned char)text[1]))) {
        return NULL;
    }
    return skip_digits(text);
}

static bool whole_of(const char *text, int64_t *ret)
{
    const char *end = text == NULL ? NULL : skip_whole(text);
    if (end == NULL || *end != '\0') {
        return false;
    }
    *ret = strtoll(text, NULL, 10); /* beyond the type it is its end, hence out of any range */
    return true;
}

static bool real_of(const char *text, double *ret)
{
    const char *end = text == NULL ? NULL : skip_whole(text);
    if (end == NULL) {
        return false;
    }
    if (*end == '.') {
        end = skip_digits(end + 1);
    }
    if (*end == 'e' || *end == 'E') {
        end++;
        end += *end == '-' || *end == '+';
        if (!isdigit((unsigned char)*end)) {
            return false;
        }
        end = skip_digits(end);
    }
    *ret = strtod(text, NULL);
    return *end == '\0';
}

static bool within(const struct config_key *key, double value)
{
    return value <= key->max && (key->above_min ? value > key->min : value >= key->min);
}

static void *field_of(struct config_reader *reader, const struct config_key *key)
{
    return (char *)reader->config + key->offset;
}

static bool read_whole(struct config_reader *reader, const struct config_key *key,
                       const yaml_node_t *node)
{
    int64_t value = 0;
    const char *text = config_scalar(node);
    if (key->type == CONFIG_TYPE_COUNT && text != NULL && strcmp(text, "auto") == 0) {
        value = CONFIG_AUTO;
    } else if (!whole_of(plain(node), &value) || !within(key, (double)value)) {
        return false;
    }
    if (key->size == sizeof(uint32_t)) {
        uint32_t narrow = (uint32_t)value;
        memcpy(field_of(reader, key), &narrow, sizeof narrow);
    } else {
        memcpy(field_of(reader, key), &value, sizeof value);
    }
    return true;
}

static bool read_real(struct config_reader *reader, const struct config_key *key,
                      const yaml_node_t *node)
{
    double value = 0;
    if (!real_of(plain(node), &value) || !within(key, value)) {
        return false;
    }
    if (key->size == sizeof(float)) {
        float narrow = (float)value;
        memcpy(field_of(reader, key), &narrow, sizeof narrow);
    } else {
        memcpy(field_of(reader, key), &value, sizeof value);
    }
    return true;
}

static bool read_bool(struct config_reader *reader, const struct config_key *key,
                      const yaml_node_t *node)
{
    static const char *const words[] = {"no", "yes", "off", "on", "false", "true"};
    const char *text = plain(node);
    for (size_t i = 0; text != NULL && i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            bool value = i % 2 == 1;
            memcpy(field_of(reader, key), &value, sizeof value);
            return true;
        }
    }
    return false;
}

static bool read_word(struct config_reader *reader, const struct config_key *key,
                      const yaml_node_t *node)
{
    const char *text = config_scalar(node);
    for (unsigned i = 0; text != NULL && key->words[i] != NULL; i++) {
        if (strcmp(text, key->words[i]) == 0) {
            memcpy(field_of(reader, key), &i, key->size); /* size 0: there is no field */
            return true;
        }
    }
    return false;
}

static bool read_text(struct config_reader *reader, const struct config_key *key,
                      const yaml_node_t *node)
{
    const char *text = config_scalar(node);
    size_t limit = key->type == CONFIG_TYPE_SOCKET ? MAX_SOCKET_PATH : key->size;
    if (text == NULL || *text == '\0' || strlen(text) >= limit ||
        (key->type == CONFIG_TYPE_GAME && game_find(text) == NULL)) {
        return false;
    }
    strcpy(field_of(reader, key), text); /* NOLINT(clang-analyzer-security.insecureAPI.strcpy) */
    return true;
}

/* A schedule's points, whatever they count. */
struct points {
    const char *count_name; /* "generation" */
    int64_t max_count;
    uint32_t max_n;
    uint32_t n;
    int64_t count[CONFIG_MAX_SCHEDULE];
    double value[CONFIG_MAX_SCHEDULE];
};
_Static_assert((int)TRAIN_MAX_SCHEDULE <= (int)CONFIG_MAX_SCHEDULE,
               "struct points holds both kinds");

/* The value node of `name` in a point, NULL if it is not there; told where it is wrong. */
static yaml_node_t *member(struct config_reader *reader, const struct config_key *key,
                           yaml_node_t *point, const char *name)
{
    yaml_node_t *found = NULL;
    for (yaml_node_pair_t *pair = point->data.mapping.pairs.start;
         pair < point->data.mapping.pairs.top; pair++) {
        yaml_node_t *at = yaml_document_get_node(reader->document, pair->key);
        const char *text = config_scalar(at);
        if (text == NULL || strcmp(text, name) != 0) {
            continue;
        }
        if (found != NULL) {
            config_list_add(reader->list, config_node_mark(at), "%s: %s is given twice in a point",
                            key->path, name);
        }
        found = yaml_document_get_node(reader->document, pair->value);
    }
    if (found == NULL) {
        config_list_add(reader->list, config_node_mark(point),
                        "%s: this point lacks %s; it must be like {generation: 6, value: 0.5} or "
                        "{samples: 100000, value: 0.001}",
                        key->path, name);
    }
    return found;
}

static void refuse_other_members(struct config_reader *reader, const struct config_key *key,
                                 yaml_node_t *point, const char *count_name)
{
    for (yaml_node_pair_t *pair = point->data.mapping.pairs.start;
         pair < point->data.mapping.pairs.top; pair++) {
        yaml_node_t *at = yaml_document_get_node(reader->document, pair->key);
        const char *text = config_scalar(at);
        if (text == NULL || (strcmp(text, count_name) != 0 && strcmp(text, "value") != 0)) {
            char shown[MAX_SHOWN];
            show(at, shown);
            config_list_add(reader->list, config_node_mark(at),
                            "%s: unknown key %s; a point has %s and value", key->path, shown,
                            count_name);
        }
    }
}

static void read_point(struct config_reader *reader, const struct config_key *key,
                       yaml_node_t *point, struct points *points)
{
    if (point->type != YAML_MAPPING_NODE) {
        refuse(reader, key, point);
        return;
    }
    refuse_other_members(reader, key, point, points->count_name);
    yaml_node_t *count_node = member(reader, key, point, points->count_name);
    yaml_node_t *value_node = member(reader, key, point, "value");
    int64_t before = points->n == 0 ? -1 : points->count[points->n - 1];
    int64_t count = before;
    double value = 0;
    char shown[MAX_SHOWN];
    if (count_node != NULL) {
        show(count_node, shown);
        if (!whole_of(plain(count_node), &count) || count < 0 || count > points->max_count) {
            count = before; /* so that the next point is not blamed for this one */
            config_list_add(reader->list, config_node_mark(count_node),
                            "%s: %s is %s; it must be a whole number from 0 to %lld", key->path,
                            points->count_name, shown, (long long)points->max_count);
        } else if (count <= before) {
            config_list_add(reader->list, config_node_mark(count_node),
                            "%s: %s is %s after %lld; it must rise from point to point", key->path,
                            points->count_name, shown, (long long)before);
        }
    }
    if (value_node != NULL && (!real_of(plain(value_node), &value) || !within(key, value))) {
        refuse(reader, key, value_node);
    }
    points->count[points->n] = count;
    points->value[points->n] = value;
    points->n++;
}

/* A plain number is one point at 0. Returns false if anything was refused (and told). */
static bool read_points(struct config_reader *reader, const struct config_key *key,
                        yaml_node_t *node, struct points *points)
{
    if (node->type == YAML_SCALAR_NODE) {
        points->n = 1;
        points->count[0] = 0;
        if (!real_of(plain(node), &points->value[0]) || !within(key, points->value[0])) {
            refuse(reader, key, node);
            return false;
        }
        return true;
    }
    size_t n = node->type == YAML_SEQUENCE_NODE
                   ? (size_t)(node->data.sequence.items.top - node->data.sequence.items.start)
                   : 0;
    if (n == 0 || n > points->max_n) {
        refuse(reader, key, node);
        return false;
    }
    size_t n_problems = reader->list->n + reader->list->n_left_out;
    for (size_t i = 0; i < n; i++) {
        read_point(reader, key,
                   yaml_document_get_node(reader->document, node->data.sequence.items.start[i]),
                   points);
    }
    return reader->list->n + reader->list->n_left_out == n_problems;
}

static void read_schedule(struct config_reader *reader, const struct config_key *key,
                          yaml_node_t *node)
{
    struct points points = {
        .count_name = "generation", .max_count = UINT32_MAX, .max_n = CONFIG_MAX_SCHEDULE};
    if (!read_points(reader, key, node, &points)) {
        return;
    }
    struct config_schedule *schedule = field_of(reader, key);
    *schedule = (struct config_schedule){.n = points.n};
    for (uint32_t i = 0; i < points.n; i++) {
        schedule->generation[i] = (uint32_t)points.count[i];
        schedule->value[i] = points.value[i];
    }
}

static void read_rates(struct config_reader *reader, const struct config_key *key,
                       yaml_node_t *node)
{
    struct points points = {
        .count_name = "samples", .max_count = INT64_MAX, .max_n = TRAIN_MAX_SCHEDULE};
    if (!read_points(reader, key, node, &points)) {
        return;
    }
    if (points.count[0] != 0) {
        config_list_add(reader->list, config_node_mark(node),
                        "%s: the first point is at samples %lld; it must be at 0", key->path,
                        (long long)points.count[0]);
        return;
    }
    struct rate_schedule *rates = field_of(reader, key);
    *rates = (struct rate_schedule){.n = points.n};
    for (uint32_t i = 0; i < points.n; i++) {
        rates->samples[i] = points.count[i];
        rates->rate[i] = points.value[i];
    }
}

/* A suite's name in the store: its file without folder and ending. */
static size_t stem(const char *path, const char **ret)
{
    const char *slash = strrchr(path, '/');
    *ret = slash == NULL ? path : slash + 1;
    const char *dot = strrchr(*ret, '.');
    return dot == NULL ? strlen(*ret) : (size_t)(dot - *ret);
}

static bool same_stem(const char *a, const char *b)
{
    const char *x = NULL;
    const char *y = NULL;
    size_t n = stem(a, &x);
    return stem(b, &y) == n && strncmp(x, y, n) == 0;
}

static void read_suite(struct config_reader *reader, const struct config_key *key,
                       const yaml_node_t *node, struct config *scratch)
{
    const char *name = config_scalar(node);
    char *path = scratch->evaluation.suites[scratch->evaluation.n_suites];
    if (name == NULL || *name == '\0' || strlen(name) >= PATH_MAX) {
        refuse(reader, key, node);
        return;
    }
    if (!config_suite_find(name, path)) {
        char folders[256];
        config_suite_folders(folders, sizeof folders);
        if (strchr(name, '/') == NULL) {
            config_list_add(reader->list, config_node_mark(node),
                            "%s: no suite %.60s; it must be a path or stand in one of %s",
                            key->path, name, folders);
        } else {
            config_list_add(reader->list, config_node_mark(node),
                            "%s: cannot read %.200s: %s; name a suite file", key->path, name,
                            strerror(errno)); /* NOLINT(concurrency-mt-unsafe) */
        }
        return;
    }
    for (uint32_t i = 0; i < scratch->evaluation.n_suites; i++) {
        if (same_stem(scratch->evaluation.suites[i], path)) {
            config_list_add(reader->list, config_node_mark(node),
                            "%s: %.60s has the name of another suite; results are kept by file "
                            "name without ending, so rename one",
                            key->path, name);
        }
    }
    scratch->evaluation.n_suites++;
}

static void read_suites(struct config_reader *reader, const struct config_key *key,
                        yaml_node_t *node)
{
    size_t n = node->type == YAML_SEQUENCE_NODE
                   ? (size_t)(node->data.sequence.items.top - node->data.sequence.items.start)
                   : SIZE_MAX;
    if (n > CONFIG_MAX_SUITES) {
        refuse(reader, key, node);
        return;
    }
    struct config *scratch = calloc(1, sizeof *scratch);
    if (scratch == NULL) {
        reader->list->no_memory = true;
        return;
    }
    size_t n_problems = reader->list->n + reader->list->n_left_out;
    for (size_t i = 0; i < n; i++) {
        read_suite(reader, key,
                   yaml_document_get_node(reader->document, node->data.sequence.items.start[i]),
                   scratch);
    }
    if (reader->list->n + reader->list->n_left_out == n_problems) {
        memcpy(reader->config->evaluation.suites, scratch->evaluation.suites,
               sizeof scratch->evaluation.suites);
        reader->config->evaluation.n_suites = scratch->evaluation.n_suites;
    }
    free(scratch);
}

/* Every argument may be any text but the first, which names a program. */
static bool read_command(struct config_reader *reader, const struct config_key *key,
                         const yaml_node_t *node)
{
    size_t n = node->type == YAML_SEQUENCE_NODE
                   ? (size_t)(node->data.sequence.items.top - node->data.sequence.items.start)
                   : SIZE_MAX;
    if (n > CONFIG_MAX_ARGUMENTS) {
        return false;
    }
    struct config_command *command = calloc(1, sizeof *command);
    if (command == NULL) {
        reader->list->no_memory = true;
        return true;
    }
    bool fine = true;
    for (size_t i = 0; i < n; i++) {
        const char *text = config_scalar(
            yaml_document_get_node(reader->document, node->data.sequence.items.start[i]));
        size_t length = text == NULL ? CONFIG_MAX_ARGUMENT : strlen(text);
        fine = fine && length < CONFIG_MAX_ARGUMENT && (i > 0 || length > 0);
        if (fine) {
            memcpy(command->argument[command->n++], text, length + 1);
        }
    }
    if (fine) {
        memcpy(field_of(reader, key), command, sizeof *command);
    }
    free(command);
    return fine;
}

/* A word may stand in quotes, as in JSON; a number may not. */
static bool opponent_of(const yaml_node_t *node, uint32_t *ret)
{
    const char *word = config_scalar(node);
    const char *number = plain(node);
    int64_t back = 0;
    if (word != NULL && strcmp(word, "first") == 0) {
        *ret = CONFIG_OPPONENT_FIRST;
    } else if (word != NULL && strcmp(word, "uniform") == 0) {
        *ret = CONFIG_OPPONENT_UNIFORM;
    } else if (number != NULL && whole_of(number, &back) && back >= 1 && back < UINT32_MAX) {
        *ret = (uint32_t)back;
    } else {
        return false;
    }
    return true;
}

static bool read_opponents(struct config_reader *reader, const struct config_key *key,
                           const yaml_node_t *node)
{
    struct config_opponents opponents = {.n = 0};
    size_t n = node->type == YAML_SEQUENCE_NODE
                   ? (size_t)(node->data.sequence.items.top - node->data.sequence.items.start)
                   : SIZE_MAX;
    if (n > CONFIG_MAX_OPPONENTS) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const yaml_node_t *item =
            yaml_document_get_node(reader->document, node->data.sequence.items.start[i]);
        if (!opponent_of(item, &opponents.back[i])) {
            return false;
        }
        for (size_t k = 0; k < i; k++) {
            if (opponents.back[k] == opponents.back[i]) {
                return false;
            }
        }
        opponents.n++;
    }
    memcpy(field_of(reader, key), &opponents, sizeof opponents);
    return true;
}

void config_read_value(struct config_reader *reader, const struct config_key *key,
                       yaml_node_t *node)
{
    bool fine = true;
    switch (key->type) {
    case CONFIG_TYPE_INTEGER:
    case CONFIG_TYPE_COUNT:
        fine = read_whole(reader, key, node);
        break;
    case CONFIG_TYPE_REAL:
        fine = read_real(reader, key, node);
        break;
    case CONFIG_TYPE_BOOL:
        fine = read_bool(reader, key, node);
        break;
    case CONFIG_TYPE_WORD:
        fine = read_word(reader, key, node);
        break;
    case CONFIG_TYPE_GAME:
    case CONFIG_TYPE_TEXT:
    case CONFIG_TYPE_SOCKET:
        fine = read_text(reader, key, node);
        break;
    case CONFIG_TYPE_SCHEDULE:
        read_schedule(reader, key, node);
        break;
    case CONFIG_TYPE_RATES:
        read_rates(reader, key, node);
        break;
    case CONFIG_TYPE_SUITES:
        read_suites(reader, key, node);
        break;
    case CONFIG_TYPE_COMMAND:
        fine = read_command(reader, key, node);
        break;
    case CONFIG_TYPE_OPPONENTS:
        fine = read_opponents(reader, key, node);
        break;
    }
    if (!fine) {
        refuse(reader, key, node);
    }
}
