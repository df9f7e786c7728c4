/* One table names every key, where it lives in the struct and what it may be; writing, reading and
 * checking all walk it, so that they cannot disagree. The nesting is that of the configuration. */
#include "selfplay/settings.h"

#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum key_type { KEY_REAL, KEY_COUNT, KEY_FLAG };

struct key {
    const char *section; /* NULL: at the top */
    const char *name;
    enum key_type type;
    size_t offset;
    double min, max; /* inclusive */
};

#define AT(member) offsetof(struct selfplay_settings, member)
#define TINY       1e-6 /* least value of what must be above 0 */

static const struct key keys[] = {
    {NULL, "cpuct", KEY_REAL, AT(search.cpuct), TINY, 1e6},
    {NULL, "fast_nodes", KEY_COUNT, AT(fast_nodes), 0, 1e8},
    {NULL, "fast_share", KEY_REAL, AT(fast_share), 0, 1},
    {NULL, "fpu_reduction", KEY_REAL, AT(search.fpu_reduction), 0, 1e6},
    {NULL, "fpu_reduction_root", KEY_REAL, AT(search.fpu_reduction_root), 0, 1e6},
    {NULL, "nodes", KEY_COUNT, AT(search.nodes), 2, 1e8},
    {NULL, "solver", KEY_FLAG, AT(search.solver), 0, 1},
    {"noise", "alpha", KEY_REAL, AT(search.noise_alpha), TINY, 1e6},
    {"noise", "share", KEY_REAL, AT(search.noise_share), 0, 1},
    {"resign", "playout", KEY_REAL, AT(resign_playout), 0, 1},
    {"resign", "plies", KEY_COUNT, AT(resign_plies), 1, 1e4},
    {"resign", "threshold", KEY_REAL, AT(resign_threshold), 0, 1},
    {"temperature", "floor", KEY_REAL, AT(temperature.floor), 0, 1e6},
    {"temperature", "half_life", KEY_REAL, AT(temperature.half_life), TINY, 1e9},
    {"temperature", "start", KEY_REAL, AT(temperature.start), 0, 1e6},
};
enum { N_KEYS = sizeof keys / sizeof keys[0] };

const struct selfplay_settings selfplay_settings_default = {
    .search = {.nodes = 800,
               .cpuct = 1.5F,
               .fpu_reduction = 0.2F,
               .fpu_reduction_root = 0.0F,
               .noise_alpha = 10.0F,
               .noise_share = 0.25F,
               .solver = true},
    .temperature = {.start = 1.0F, .half_life = 10.0F, .floor = 0.2F},
    .fast_share = 0.0F,
    .fast_nodes = 100,
    .resign_threshold = 0.0F,
    .resign_plies = 3,
    .resign_playout = 0.1F,
};

uint32_t selfplay_fast_nodes(const struct selfplay_settings *settings)
{
    uint32_t nodes = settings->search.nodes;
    uint32_t fast = settings->fast_nodes > 0 ? settings->fast_nodes : nodes / 5;
    fast = fast < 2 ? 2 : fast;
    return fast < nodes ? fast : nodes;
}

static void key_text(const struct key *key, char ret[64])
{
    snprintf(ret, 64, "%s%s%s", key->section == NULL ? "" : key->section,
             key->section == NULL ? "" : ".", key->name);
}

static double key_read(const struct key *key, const struct selfplay_settings *settings)
{
    const char *at = (const char *)settings + key->offset;
    float real;
    uint32_t count;
    bool flag;

    switch (key->type) {
    case KEY_REAL:
        memcpy(&real, at, sizeof real);
        return (double)real;
    case KEY_COUNT:
        memcpy(&count, at, sizeof count);
        return (double)count;
    case KEY_FLAG:
        memcpy(&flag, at, sizeof flag);
        return flag ? 1 : 0;
    }
    return NAN;
}

static void key_write(const struct key *key, double value, struct selfplay_settings *settings)
{
    char *at = (char *)settings + key->offset;
    float real;
    uint32_t count;
    bool flag;

    switch (key->type) {
    case KEY_REAL:
        real = (float)value;
        memcpy(at, &real, sizeof real);
        break;
    case KEY_COUNT:
        count = (uint32_t)value;
        memcpy(at, &count, sizeof count);
        break;
    case KEY_FLAG:
        flag = value != 0;
        memcpy(at, &flag, sizeof flag);
        break;
    }
}

static int key_check(const struct key *key, double value, struct error *err)
{
    if (value >= key->min && value <= key->max) { /* false for NaN */
        return 0;
    }
    char name[64];
    key_text(key, name);
    return error_set(err, ERROR_INVALID, "search settings: %s is %g; it must be from %g to %g",
                     name, value, key->min, key->max);
}

int selfplay_settings_check(const struct selfplay_settings *settings, struct error *err)
{
    for (size_t i = 0; i < N_KEYS; i++) {
        double value = key_read(&keys[i], settings);
        /* TINY as a float may lie below TINY as a double; what parse accepts must pass here too. */
        if (keys[i].type == KEY_REAL && (float)value == (float)keys[i].min) {
            continue;
        }
        int r = key_check(&keys[i], value, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* The double nearest to the shortest decimal that reads back as `value`; %.9g prints that decimal. */
static double shortest(float value)
{
    char text[32];
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value) {
            break;
        }
    }
    return strtod(text, NULL);
}

static json_t *key_json(const struct key *key, const struct selfplay_settings *settings)
{
    double value = key_read(key, settings);
    switch (key->type) {
    case KEY_REAL:
        return json_real(shortest((float)value));
    case KEY_COUNT:
        return json_integer((json_int_t)value);
    case KEY_FLAG:
        return json_boolean(value != 0);
    }
    return NULL;
}

/* The object that holds the key; made on the way if `make` is set. */
static json_t *section_of(json_t *root, const struct key *key, bool make)
{
    if (key->section == NULL) {
        return root;
    }
    json_t *section = json_object_get(root, key->section);
    if (section == NULL && make) {
        if (json_object_set_new(root, key->section, json_object()) < 0) {
            return NULL;
        }
        section = json_object_get(root, key->section);
    }
    return section;
}

char *selfplay_settings_json(const struct selfplay_settings *settings)
{
    char *text = NULL;
    json_t *root = json_object();

    for (size_t i = 0; i < N_KEYS; i++) {
        json_t *section = root == NULL ? NULL : section_of(root, &keys[i], true);
        if (section == NULL ||
            json_object_set_new(section, keys[i].name, key_json(&keys[i], settings)) < 0) {
            goto out;
        }
    }
    text = json_dumps(root, JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(9));
out:
    json_decref(root);
    return text;
}

static const char *type_text(enum key_type type)
{
    switch (type) {
    case KEY_REAL:
        return "a number";
    case KEY_COUNT:
        return "a whole number";
    case KEY_FLAG:
        return "true or false";
    }
    return "";
}

static bool type_fits(enum key_type type, const json_t *json)
{
    switch (type) {
    case KEY_REAL:
        return json_is_number(json);
    case KEY_COUNT:
        return json_is_integer(json);
    case KEY_FLAG:
        return json_is_boolean(json);
    }
    return false;
}

static int key_parse(const struct key *key, json_t *root, struct selfplay_settings *settings,
                     struct error *err)
{
    char name[64];
    key_text(key, name);
    const json_t *json = json_object_get(section_of(root, key, false), key->name);
    if (json == NULL) {
        return error_set(err, ERROR_INVALID, "search settings: %s is missing", name);
    }
    if (!type_fits(key->type, json)) {
        return error_set(err, ERROR_INVALID, "search settings: %s must be %s", name,
                         type_text(key->type));
    }
    double value = json_is_boolean(json) ? (json_is_true(json) ? 1 : 0) : json_number_value(json);
    int r = key_check(key, value, err);
    if (r < 0) {
        return r;
    }
    key_write(key, value, settings);
    return 0;
}

static bool key_known(const char *section, const char *name)
{
    for (size_t i = 0; i < N_KEYS; i++) {
        bool same_section = section == NULL || keys[i].section == NULL
                                ? section == keys[i].section
                                : strcmp(section, keys[i].section) == 0;
        if (same_section && strcmp(name, keys[i].name) == 0) {
            return true;
        }
    }
    return false;
}

static bool section_known(const char *name)
{
    for (size_t i = 0; i < N_KEYS; i++) {
        if (keys[i].section != NULL && strcmp(name, keys[i].section) == 0) {
            return true;
        }
    }
    return false;
}

/* A key that this program does not know would change a search that it cannot make. */
static int refuse_unknown(json_t *object, const char *section, struct error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        if (section == NULL && section_known(name)) {
            if (!json_is_object(value)) {
                return error_set(err, ERROR_INVALID, "search settings: %s must be an object", name);
            }
            int r = refuse_unknown(value, name, err);
            if (r < 0) {
                return r;
            }
        } else if (!key_known(section, name)) {
            return error_set(err, ERROR_INVALID, "search settings: unknown key %s%s%.64s",
                             section == NULL ? "" : section, section == NULL ? "" : ".", name);
        }
    }
    return 0;
}

int selfplay_settings_parse(const char *json, struct selfplay_settings *ret, struct error *err)
{
    json_error_t problem;
    struct selfplay_settings settings = selfplay_settings_default;
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &problem);
    if (root == NULL) {
        return error_set(err, ERROR_INVALID, "search settings:%d:%d: %s", problem.line,
                         problem.column, problem.text);
    }
    int r = refuse_unknown(root, NULL, err);
    for (size_t i = 0; r == 0 && i < N_KEYS; i++) {
        r = key_parse(&keys[i], root, &settings, err);
    }
    json_decref(root);
    if (r == 0) {
        *ret = settings;
    }
    return r;
}
