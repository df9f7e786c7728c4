/* The JSON texts that go between processes and stand in the store. The first byte chooses which, the rest is the text. */
#include "tests/fuzz/fuzz.h"

#include "daemon/train_job.h"
#include "selfplay/settings.h"
#include "trainer/net/net.h"

#include <string.h>

static void settings(const char *text, struct error *err)
{
    struct selfplay_settings parsed;

    if (selfplay_settings_parse(text, &parsed, err) == 0) {
        struct selfplay_settings again;
        FUZZ_CHECK(selfplay_settings_check(&parsed, err) == 0);
        char *json = selfplay_settings_json(&parsed);
        FUZZ_CHECK(json != NULL && selfplay_settings_parse(json, &again, err) == 0);
        char *twice = selfplay_settings_json(&again);
        FUZZ_CHECK(twice != NULL && strcmp(json, twice) == 0);
        free(json);
        free(twice);
    }
}

static void arch(const char *text, struct error *err)
{
    struct net_arch parsed;

    if (net_arch_parse(text, &parsed, err) == 0) {
        struct net_arch again;
        char *json = net_arch_json(&parsed);
        FUZZ_CHECK(json != NULL && net_arch_parse(json, &again, err) == 0);
        FUZZ_CHECK(net_arch_equal(&parsed, &again));
        free(json);
    }
}

static void job(const char *text, struct error *err)
{
    struct train_job_file *parsed = NULL;
    struct train_job_file *again = NULL;

    if (train_job_parse(text, "/tmp/state", &parsed, err) == 0) {
        char *json = train_job_json(&parsed->job);
        FUZZ_CHECK(json != NULL && train_job_parse(json, "/tmp/state", &again, err) == 0);
        char *twice = train_job_json(&again->job);
        FUZZ_CHECK(twice != NULL && strcmp(json, twice) == 0);
        free(json);
        free(twice);
    }
    free(parsed);
    free(again);
}

static void result(const char *text, struct error *err)
{
    struct train_result parsed;

    if (train_result_parse(text, &parsed, err) == 0) {
        struct train_result again;
        char *json = train_result_json(&parsed);
        FUZZ_CHECK(json != NULL && train_result_parse(json, &again, err) == 0);
        char *twice = train_result_json(&again);
        FUZZ_CHECK(twice != NULL && strcmp(json, twice) == 0);
        free(json);
        free(twice);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const kinds[])(const char *, struct error *) = {settings, arch, job, result};
    struct error err = {.text = ""};
    char *text = size == 0 ? NULL : malloc(size);

    if (text != NULL) {
        memcpy(text, data + 1, size - 1);
        text[size - 1] = '\0';
        kinds[data[0] % 4](text, &err);
        free(text);
    }
    return 0;
}
