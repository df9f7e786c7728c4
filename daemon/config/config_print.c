/* A configuration as text: JSON of one value or all, what differs between two, the reference. */
#include "daemon/config/config_schema.h"
#include "daemon/config/config_suites.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void config_print_real(FILE *out, double value, size_t size)
{
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (size == sizeof(float) ? strtof(text, NULL) == (float)value
                                  : strtod(text, NULL) == value) {
            break;
        }
    }
    /* 2e+04 says less than 20000 */
    if (strchr(text, 'e') != NULL && value >= 1 && value < 1e16 &&
        value == (double)(int64_t)value) {
        snprintf(text, sizeof text, "%" PRId64, (int64_t)value);
    }
    fputs(text, out);
}

static void print_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            fprintf(out, "\\%c", *c);
        } else if ((unsigned char)*c < 0x20) {
            fprintf(out, "\\u%04x", (unsigned)*c);
        } else {
            fputc(*c, out);
        }
    }
    fputc('"', out);
}

static void print_whole(FILE *out, const struct config_key *key, const void *field)
{
    int64_t value = 0;
    if (key->size == sizeof(uint32_t)) {
        uint32_t narrow;
        memcpy(&narrow, field, sizeof narrow);
        value = narrow;
    } else {
        memcpy(&value, field, sizeof value);
    }
    if (key->type == CONFIG_TYPE_COUNT && value == CONFIG_AUTO) {
        print_text(out, "auto");
    } else {
        fprintf(out, "%" PRId64, value);
    }
}

static void print_real_field(FILE *out, const struct config_key *key, const void *field)
{
    double value = 0;
    if (key->size == sizeof(float)) {
        float narrow;
        memcpy(&narrow, field, sizeof narrow);
        value = (double)narrow;
    } else {
        memcpy(&value, field, sizeof value);
    }
    config_print_real(out, value, key->size);
}

static void print_bool(FILE *out, const void *field)
{
    bool value;
    memcpy(&value, field, sizeof value);
    fputs(value ? "true" : "false", out);
}

static void print_word(FILE *out, const struct config_key *key, const void *field)
{
    unsigned value = 0;
    memcpy(&value, field, key->size); /* size 0: the one word */
    print_text(out, key->words[value]);
}

static void print_point(FILE *out, uint32_t i, const char *name, int64_t count, double value)
{
    fprintf(out, "%s{\"%s\": %" PRId64 ", \"value\": ", i == 0 ? "" : ", ", name, count);
    config_print_real(out, value, sizeof value);
    fputc('}', out);
}

static void print_schedule(FILE *out, const struct config_schedule *schedule)
{
    if (schedule->n == 1) {
        config_print_real(out, schedule->value[0], sizeof(double));
        return;
    }
    fputc('[', out);
    for (uint32_t i = 0; i < schedule->n; i++) {
        print_point(out, i, "generation", schedule->generation[i], schedule->value[i]);
    }
    fputc(']', out);
}

static void print_rates(FILE *out, const struct rate_schedule *rates)
{
    if (rates->n == 1) {
        config_print_real(out, rates->rate[0], sizeof(double));
        return;
    }
    fputc('[', out);
    for (uint32_t i = 0; i < rates->n; i++) {
        print_point(out, i, "samples", rates->samples[i], rates->rate[i]);
    }
    fputc(']', out);
}

static void print_suites(FILE *out, const struct config *config)
{
    fputc('[', out);
    for (uint32_t i = 0; i < config->evaluation.n_suites; i++) {
        fputs(i == 0 ? "" : ", ", out);
        print_text(out, config_suite_name(config->evaluation.suites[i]));
    }
    fputc(']', out);
}

static void print_command(FILE *out, const struct config_command *command)
{
    fputc('[', out);
    for (uint32_t i = 0; i < command->n; i++) {
        fputs(i == 0 ? "" : ", ", out);
        print_text(out, command->argument[i]);
    }
    fputc(']', out);
}

static void print_opponents(FILE *out, const struct config_opponents *opponents)
{
    fputc('[', out);
    for (uint32_t i = 0; i < opponents->n; i++) {
        fputs(i == 0 ? "" : ", ", out);
        if (opponents->back[i] == CONFIG_OPPONENT_FIRST) {
            print_text(out, "first");
        } else if (opponents->back[i] == CONFIG_OPPONENT_UNIFORM) {
            print_text(out, "uniform");
        } else {
            fprintf(out, "%" PRIu32, opponents->back[i]);
        }
    }
    fputc(']', out);
}

static void print_socket(FILE *out, const struct config *config)
{
    size_t n = strlen(config->state_dir);
    const char *socket = config->control.socket;
    bool is_auto =
        strncmp(socket, config->state_dir, n) == 0 && strcmp(socket + n, "/qzd.sock") == 0;
    print_text(out, is_auto ? "auto" : socket);
}

void config_print_value(FILE *out, const struct config *config, const struct config_key *key)
{
    const void *field = config_field(config, key);
    switch (key->type) {
    case CONFIG_TYPE_INTEGER:
    case CONFIG_TYPE_COUNT:
        print_whole(out, key, field);
        break;
    case CONFIG_TYPE_REAL:
        print_real_field(out, key, field);
        break;
    case CONFIG_TYPE_BOOL:
        print_bool(out, field);
        break;
    case CONFIG_TYPE_WORD:
        print_word(out, key, field);
        break;
    case CONFIG_TYPE_GAME:
    case CONFIG_TYPE_TEXT:
        print_text(out, field);
        break;
    case CONFIG_TYPE_SOCKET:
        print_socket(out, config);
        break;
    case CONFIG_TYPE_SCHEDULE:
        print_schedule(out, field);
        break;
    case CONFIG_TYPE_RATES:
        print_rates(out, field);
        break;
    case CONFIG_TYPE_SUITES:
        print_suites(out, config);
        break;
    case CONFIG_TYPE_COMMAND:
        print_command(out, field);
        break;
    case CONFIG_TYPE_OPPONENTS:
        print_opponents(out, field);
        break;
    }
}

/* Text that a function writes, malloced; NULL: out of memory. */
static char *text_of(void (*write)(FILE *out, const void *context), const void *context)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return NULL;
    }
    write(out, context);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}

struct one_value {
    const struct config *config;
    const struct config_key *key;
};

static void write_value(FILE *out, const void *context)
{
    const struct one_value *one = context;
    config_print_value(out, one->config, one->key);
}

static char *value_json(const struct config *config, const struct config_key *key)
{
    return text_of(write_value, &(struct one_value){config, key});
}

char *config_get_json(const struct config *config, const char *key)
{
    int index = config_find_key(key);
    return index < 0 ? NULL : value_json(config, &config_keys[index]);
}

/* Dots up to which two paths agree: how many sections they share. */
static size_t shared_sections(const char *a, const char *b)
{
    size_t n = 0;
    for (; *a == *b && *a != '\0'; a++, b++) {
        n += *a == '.';
    }
    return n;
}

static size_t n_sections(const char *path)
{
    size_t n = 0;
    for (; *path != '\0'; path++) {
        n += *path == '.';
    }
    return n;
}

static const char *last_part(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot == NULL ? path : dot + 1;
}

/* Open the sections of a path from the open ones on. */
static void open_sections(FILE *out, const char *path, size_t open)
{
    for (size_t depth = 0; strchr(path, '.') != NULL; depth++) {
        size_t n = strcspn(path, ".");
        if (depth >= open) {
            fprintf(out, "\"%.*s\": {", (int)n, path);
        }
        path += n + 1;
    }
}

static void write_config(FILE *out, const void *context)
{
    const struct config *config = context;
    const char *before = "";
    fputc('{', out);
    for (int i = 0; config_keys[i].path != NULL; i++) {
        const char *path = config_keys[i].path;
        size_t open = shared_sections(before, path);
        for (size_t n = n_sections(before); n > open; n--) {
            fputc('}', out);
        }
        fputs(i == 0 ? "" : ", ", out);
        open_sections(out, path, open);
        fprintf(out, "\"%s\": ", last_part(path));
        config_print_value(out, config, &config_keys[i]);
        before = path;
    }
    for (size_t n = n_sections(before); n > 0; n--) {
        fputc('}', out);
    }
    fputc('}', out);
}

char *config_json(const struct config *config)
{
    return text_of(write_config, config);
}

void config_changes_free(struct config_change *changes, int n)
{
    for (int i = 0; changes != NULL && i < n; i++) {
        free(changes[i].old_value);
        free(changes[i].new_value);
    }
    free(changes);
}

int config_diff(const struct config *a, const struct config *b, struct config_change **ret_changes)
{
    struct config_change *changes = calloc(config_n_keys(), sizeof *changes);
    int n = 0;
    for (int i = 0; changes != NULL && config_keys[i].path != NULL; i++) {
        char *old_value = value_json(a, &config_keys[i]);
        char *new_value = value_json(b, &config_keys[i]);
        if (old_value == NULL || new_value == NULL) {
            free(old_value);
            free(new_value);
            config_changes_free(changes, n);
            return ERROR_NO_MEMORY;
        }
        if (strcmp(old_value, new_value) == 0) {
            free(old_value);
            free(new_value);
            continue;
        }
        changes[n++] = (struct config_change){config_keys[i].path, old_value, new_value,
                                              config_keys[i].needs_restart};
    }
    if (changes == NULL) {
        return ERROR_NO_MEMORY;
    }
    *ret_changes = changes;
    return n;
}

static void write_reference(FILE *out, const void *context)
{
    const struct config *defaults = context;
    for (int i = 0; config_keys[i].path != NULL; i++) {
        const struct config_key *key = &config_keys[i];
        char expected[CONFIG_MAX_EXPECTED];
        config_expected(key, expected);
        fprintf(out, "%s\n    %s\n    Value: %s.\n    Default: ", key->path, key->doc, expected);
        config_print_value(out, defaults, key);
        fprintf(out, "%s\n\n", key->needs_restart ? ". A change needs a restart." : ".");
    }
}

char *config_reference(void)
{
    struct config *defaults = malloc(sizeof *defaults);
    if (defaults == NULL) {
        return NULL;
    }
    config_default(defaults);
    char *text = text_of(write_reference, defaults);
    free(defaults);
    return text;
}
