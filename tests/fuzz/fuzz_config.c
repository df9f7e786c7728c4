/* A configuration file: refused with every problem listed, or accepted and then the same again from its own JSON. */
#include "tests/fuzz/fuzz.h"

#include "daemon/config/config.h"

#include <string.h>

static void refused(const struct config_problems *problems)
{
    uint32_t lines = 0;

    FUZZ_CHECK(problems->n > 0 && problems->text != NULL);
    for (const char *c = problems->text; *c != '\0'; c++) {
        lines += *c == '\n';
        FUZZ_CHECK(*c == '\n' ||
                   (unsigned char)*c >= 0x20); /* nothing that moves a terminal's cursor */
    }
    FUZZ_CHECK(lines == problems->n);
}

static void accepted(const struct config *config)
{
    static struct config again;
    struct config_problems problems = {0};
    struct config_change *changes = NULL;
    char *json = config_json(config);

    FUZZ_CHECK(json != NULL);
    if (config_parse(json, strlen(json), "again", &again, &problems) < 0) {
        (void)fprintf(stderr, "%s\n%s\n", json, problems.text);
        abort();
    }
    FUZZ_CHECK(config_diff(config, &again, &changes) == 0);
    config_changes_free(changes, 0);
    free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config config;
    struct config_problems problems = {0};
    int r = config_parse((const char *)data, size, "fuzz.yaml", &config, &problems);

    if (r == 0) {
        accepted(&config);
    } else {
        refused(&problems);
    }
    config_problems_finish(&problems);
    return 0;
}
