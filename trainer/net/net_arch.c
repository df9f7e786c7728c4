#include "trainer/net/net.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Every number of an architecture, its range and its key in JSON: one list for check, print and
 * parse. The ranges bound what a net file can make us allocate. */
struct field {
    const char *key;
    size_t offset;
    uint32_t min;
    uint32_t max;
};

#define FIELD(name, min, max)                                \
    {                                                        \
#name, offsetof(struct net_arch, name), (min), (max) \
    }

static const struct field fields[] = {
    FIELD(n_planes, 1, 1024),     FIELD(height, 1, 64),         FIELD(width, 1, 64),
    FIELD(policy_planes, 1, 256), FIELD(blocks, 1, 64),         FIELD(filters, 1, 1024),
    FIELD(se_channels, 0, 1024),  FIELD(value_filters, 1, 256), FIELD(value_hidden, 1, 1024),
};
enum { N_FIELDS = sizeof fields / sizeof fields[0] };

static const char *const value_head_names[] = {
    [NET_VALUE_WDL] = "wdl", [NET_VALUE_SCALAR] = "scalar"};

static uint32_t field_get(const struct net_arch *arch, const struct field *field)
{
    uint32_t value;
    memcpy(&value, (const char *)arch + field->offset, sizeof value);
    return value;
}

static void field_set(struct net_arch *arch, const struct field *field, uint32_t value)
{
    memcpy((char *)arch + field->offset, &value, sizeof value);
}

int net_arch_check(const struct net_arch *arch, struct error *err)
{
    size_t length = strnlen(arch->game, sizeof arch->game);
    if (length == 0 || length == sizeof arch->game) {
        return error_set(err, ERROR_INVALID, "network: the game has no name of 1 to %zu letters",
                         sizeof arch->game - 1);
    }
    for (size_t i = 0; i < N_FIELDS; i++) {
        uint32_t value = field_get(arch, &fields[i]);
        if (value < fields[i].min || value > fields[i].max) {
            return error_set(err, ERROR_INVALID,
                             "network: %s is %" PRIu32 ", it must be %" PRIu32 " to %" PRIu32,
                             fields[i].key, value, fields[i].min, fields[i].max);
        }
    }
    if (net_policy_size(arch) > GAME_MAX_POLICY) {
        return error_set(err, ERROR_INVALID,
                         "network: policy_planes * height * width is %" PRIu32
                         ", it must be at most %d",
                         net_policy_size(arch), GAME_MAX_POLICY);
    }
    if (arch->value != NET_VALUE_WDL && arch->value != NET_VALUE_SCALAR) {
        return error_set(err, ERROR_INVALID, "network: value must be wdl or scalar");
    }
    return 0;
}

int net_arch_for_game(struct net_arch *arch, const struct game *game, struct error *err)
{
    struct net_arch full = *arch;
    memset(full.game, 0, sizeof full.game);
    if (strlen(game->name) >= sizeof full.game) {
        return error_set(err, ERROR_INVALID, "network: the game's name %s is too long", game->name);
    }
    memcpy(full.game, game->name, strlen(game->name));
    full.n_planes = game->n_planes;
    full.height = game->height;
    full.width = game->width;
    full.policy_planes = game->policy_planes;
    int r = net_arch_check(&full, err);
    if (r == 0) {
        *arch = full;
    }
    return r;
}

bool net_arch_equal(const struct net_arch *a, const struct net_arch *b)
{
    for (size_t i = 0; i < N_FIELDS; i++) {
        if (field_get(a, &fields[i]) != field_get(b, &fields[i])) {
            return false;
        }
    }
    return a->value == b->value && strncmp(a->game, b->game, sizeof a->game) == 0;
}

char *net_arch_json(const struct net_arch *arch)
{
    json_t *object = json_object();
    int bad = object == NULL;
    bad |= json_object_set_new(object, "game", json_string(arch->game));
    for (size_t i = 0; i < N_FIELDS; i++) {
        bad |= json_object_set_new(object, fields[i].key,
                                   json_integer((json_int_t)field_get(arch, &fields[i])));
    }
    bad |= json_object_set_new(object, "value", json_string(value_head_names[arch->value]));
    char *text = bad != 0 ? NULL : json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}

static const struct field *field_find(const char *key)
{
    for (size_t i = 0; i < N_FIELDS; i++) {
        if (strcmp(fields[i].key, key) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

static int parse_value_head(const json_t *item, struct net_arch *arch, struct error *err)
{
    const char *text = json_string_value(item);
    for (int head = 0; text != NULL && head < 2; head++) {
        if (strcmp(text, value_head_names[head]) == 0) {
            arch->value = (enum net_value_head)head;
            return 0;
        }
    }
    return error_set(err, ERROR_INVALID, "network: value must be \"wdl\" or \"scalar\"");
}

static int parse_item(const char *key, const json_t *item, struct net_arch *arch, struct error *err)
{
    if (strcmp(key, "game") == 0) {
        const char *text = json_string_value(item);
        if (text == NULL || strlen(text) >= sizeof arch->game) {
            return error_set(err, ERROR_INVALID,
                             "network: game must be a name of at most %zu letters",
                             sizeof arch->game - 1);
        }
        memcpy(arch->game, text, strlen(text) + 1);
        return 0;
    }
    if (strcmp(key, "value") == 0) {
        return parse_value_head(item, arch, err);
    }
    const struct field *field = field_find(key);
    if (field == NULL) {
        return error_set(err, ERROR_INVALID, "network: unknown key %.40s", key);
    }
    json_int_t value = json_integer_value(item); /* 0 where it is no integer */
    if (!json_is_integer(item) || value < field->min || value > field->max) {
        return error_set(err, ERROR_INVALID,
                         "network: %s must be an integer from %" PRIu32 " to %" PRIu32, key,
                         field->min, field->max);
    }
    field_set(arch, field, (uint32_t)value);
    return 0;
}

int net_arch_parse(const char *json, struct net_arch *ret, struct error *err)
{
    json_error_t why;
    json_t *object = json_loads(json, JSON_REJECT_DUPLICATES, &why);
    if (object == NULL || !json_is_object(object)) {
        json_decref(object);
        return error_set(err, ERROR_INVALID, "network: not a JSON object: %s",
                         object == NULL ? why.text : "it is of another type");
    }
    struct net_arch arch;
    memset(&arch, 0, sizeof arch);
    int r = 0;
    const char *key;
    json_t *item;
    json_object_foreach(object, key, item)
    {
        r = parse_item(key, item, &arch, err);
        if (r < 0) {
            goto out;
        }
    }
    if (json_object_size(object) != N_FIELDS + 2) {
        r = error_set(err, ERROR_INVALID, "network: %zu keys where %d are needed",
                      json_object_size(object), N_FIELDS + 2);
        goto out;
    }
    r = net_arch_check(&arch, err);
    if (r == 0) {
        *ret = arch;
    }
out:
    json_decref(object);
    return r;
}

uint32_t net_value_outputs(const struct net_arch *arch)
{
    return arch->value == NET_VALUE_WDL ? 3 : 1;
}

uint32_t net_policy_size(const struct net_arch *arch)
{
    return arch->policy_planes * arch->height * arch->width;
}

double net_arch_macs(const struct net_arch *arch)
{
    double cells = (double)arch->height * arch->width;
    double f = arch->filters;
    double conv3x3 = 9.0 * f * f * cells;
    double se = 3.0 * f * arch->se_channels; /* F->S and S->2F */
    double trunk = 9.0 * arch->n_planes * f * cells + arch->blocks * (2.0 * conv3x3 + se);
    double policy = conv3x3 + 9.0 * f * arch->policy_planes * cells;
    double value = f * arch->value_filters * cells +
                   (double)arch->value_filters * cells * arch->value_hidden +
                   (double)arch->value_hidden * net_value_outputs(arch);
    return trunk + policy + value;
}
