#include "mcts/random.h"
#include "selfplay/settings.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char default_json[] =
    "{\"cpuct\":1.5,\"fast_nodes\":100,\"fast_share\":0.0,\"fpu_reduction\":0.2,"
    "\"fpu_reduction_root\":0.0,\"nodes\":800,\"noise\":{\"alpha\":10.0,\"share\":0.25},"
    "\"resign\":{\"playout\":0.1,\"plies\":3,\"threshold\":0.0},\"solver\":true,"
    "\"temperature\":{\"floor\":0.2,\"half_life\":10.0,\"start\":1.0}}";

START_TEST(fast_searches_have_a_fifth_of_the_nodes_unless_told)
{
    struct selfplay_settings settings = {.search = {.nodes = 800}};
    ck_assert_uint_eq(selfplay_fast_nodes(&settings), 160);
    settings.fast_nodes = 100;
    ck_assert_uint_eq(selfplay_fast_nodes(&settings), 100);
    settings = (struct selfplay_settings){.search = {.nodes = 9}};
    ck_assert_uint_eq(selfplay_fast_nodes(&settings), 2);
    settings.search.nodes = 1;
    ck_assert_uint_eq(selfplay_fast_nodes(&settings), 1);
}
END_TEST

START_TEST(json_is_canonical_and_its_floats_are_the_shortest)
{
    char *json = selfplay_settings_json(&selfplay_settings_default);
    ck_assert_str_eq(json, default_json);
    free(json);
    struct selfplay_settings settings = selfplay_settings_default;
    settings.search.cpuct = 0.3F;           /* 0.30000001 to eight digits */
    settings.search.noise_share = 1.0F / 3; /* needs all of its digits */
    json = selfplay_settings_json(&settings);
    ck_assert_ptr_nonnull(strstr(json, "\"cpuct\":0.3,"));
    ck_assert_ptr_nonnull(strstr(json, "\"share\":0.33333334}"));
    free(json);
}
END_TEST

START_TEST(defaults_are_those_of_the_search)
{
    const struct selfplay_settings *settings = &selfplay_settings_default;
    ck_assert_uint_eq(settings->search.nodes, search_params_default.nodes);
    ck_assert_float_eq(settings->search.cpuct, search_params_default.cpuct);
    ck_assert_float_eq(settings->search.fpu_reduction, search_params_default.fpu_reduction);
    ck_assert_float_eq(settings->search.fpu_reduction_root,
                       search_params_default.fpu_reduction_root);
    ck_assert_float_eq(settings->search.noise_alpha, search_params_default.noise_alpha);
    ck_assert_float_eq(settings->search.noise_share, search_params_default.noise_share);
    ck_assert(settings->search.solver == search_params_default.solver);
    ck_assert_float_eq(settings->temperature.start, temperature_params_default.start);
    ck_assert_float_eq(settings->temperature.half_life, temperature_params_default.half_life);
    ck_assert_float_eq(settings->temperature.floor, temperature_params_default.floor);
    ck_assert_int_eq(selfplay_settings_check(settings, NULL), 0);
}
END_TEST

static float draw(uint32_t i, uint64_t index)
{
    return (float)random_uniform(11, i, RANDOM_TEST, index);
}

START_TEST(any_settings_read_back_bit_for_bit)
{
    for (uint32_t i = 0; i < 2000; i++) {
        struct selfplay_settings settings = selfplay_settings_default;
        settings.search.cpuct = 0.001F + 5.0F * draw(i, 0);
        settings.search.fpu_reduction = 1e-7F * draw(i, 1); /* exponents in the text */
        settings.search.noise_alpha = 1e5F * draw(i, 2) + 1.0F;
        settings.search.noise_share = draw(i, 3);
        settings.search.nodes = 2 + i * 1000;
        settings.search.solver = i % 2 == 0;
        settings.temperature.half_life = 0.001F + 1e8F * draw(i, 4);
        settings.fast_share = draw(i, 5);
        settings.resign_threshold = draw(i, 6);
        settings.resign_plies = 1 + i;

        struct selfplay_settings back;
        memset(&back, 0, sizeof back);
        struct error err = {""};
        char *json = selfplay_settings_json(&settings);
        ck_assert_msg(selfplay_settings_parse(json, &back, &err) == 0, "%u: %s", i, err.text);
        char *again = selfplay_settings_json(&back);
        ck_assert_str_eq(json, again);
        ck_assert_float_eq(settings.search.cpuct, back.search.cpuct);
        ck_assert_float_eq(settings.search.fpu_reduction, back.search.fpu_reduction);
        ck_assert_float_eq(settings.search.noise_alpha, back.search.noise_alpha);
        ck_assert_float_eq(settings.search.noise_share, back.search.noise_share);
        ck_assert_float_eq(settings.temperature.half_life, back.temperature.half_life);
        ck_assert_float_eq(settings.fast_share, back.fast_share);
        ck_assert_float_eq(settings.resign_threshold, back.resign_threshold);
        ck_assert_uint_eq(settings.resign_plies, back.resign_plies);
        ck_assert_uint_eq(settings.search.nodes, back.search.nodes);
        ck_assert(settings.search.solver == back.search.solver);
        free(json);
        free(again);
    }
}
END_TEST

static void refused(const char *json, const char *because)
{
    struct selfplay_settings settings = {.fast_nodes = 77};
    struct error err = {""};
    ck_assert_msg(selfplay_settings_parse(json, &settings, &err) == ERROR_INVALID, "%s", json);
    ck_assert_msg(strstr(err.text, because) != NULL, "%s: \"%s\" lacks \"%s\"", json, err.text,
                  because);
    ck_assert_uint_eq(settings.fast_nodes, 77); /* a refusal leaves it alone */
}

/* The default JSON with `from` replaced by `to`. */
static void refused_with(const char *from, const char *to, const char *because)
{
    char json[1024];
    const char *at = strstr(default_json, from);
    ck_assert_ptr_nonnull(at);
    snprintf(json, sizeof json, "%.*s%s%s", (int)(at - default_json), default_json, to,
             at + strlen(from));
    refused(json, because);
}

START_TEST(each_missing_key_is_named)
{
    json_t *root = json_loads(default_json, 0, NULL);
    const char *name;
    const char *inner;
    json_t *value;
    json_t *inner_value;
    int seen = 0;
    json_object_foreach(root, name, value)
    {
        json_t *without = json_deep_copy(root);
        json_object_del(without, name);
        char *json = json_dumps(without, 0);
        refused(json, name);
        free(json);
        json_decref(without);
        seen++;
        json_object_foreach(value, inner, inner_value)
        {
            char full[64];
            snprintf(full, sizeof full, "%s.%s is missing", name, inner);
            without = json_deep_copy(root);
            json_object_del(json_object_get(without, name), inner);
            json = json_dumps(without, 0);
            refused(json, full);
            free(json);
            json_decref(without);
            seen++;
        }
    }
    ck_assert_int_eq(seen, 18);
    json_decref(root);
}
END_TEST

START_TEST(wrong_types_and_values_are_refused_by_name)
{
    refused_with("\"nodes\":800", "\"nodes\":800.5", "nodes must be a whole number");
    refused_with("\"nodes\":800", "\"nodes\":\"800\"", "nodes must be a whole number");
    refused_with("\"nodes\":800", "\"nodes\":1", "nodes is 1; it must be from 2");
    refused_with("\"nodes\":800", "\"nodes\":-5", "nodes is -5");
    refused_with("\"nodes\":800", "\"nodes\":4294967298", "nodes is");
    refused_with("\"cpuct\":1.5", "\"cpuct\":0", "cpuct is 0");
    refused_with("\"cpuct\":1.5", "\"cpuct\":null", "cpuct must be a number");
    refused_with("\"share\":0.25", "\"share\":1.01", "noise.share is 1.01");
    refused_with("\"solver\":true", "\"solver\":1", "solver must be true or false");
    refused_with("\"half_life\":10.0", "\"half_life\":0", "temperature.half_life");
    refused_with("\"threshold\":0.0", "\"threshold\":-0.5", "resign.threshold");
    refused_with("\"cpuct\":1.5", "\"cpuct\":1e999", "search settings:1:");
    refused_with("\"cpuct\":1.5", "\"cpuct\":1.5,\"cpuct\":2", "duplicate");
    refused_with("\"cpuct\":1.5", "\"cpuct\":1.5,\"c_puct\":2", "unknown key c_puct");
    refused_with("\"alpha\":10.0", "\"alpha\":10.0,\"beta\":1", "unknown key noise.beta");
    refused_with("\"nodes\":800", "\"nodes\":800,\"alpha\":1", "unknown key alpha");
    refused_with("{\"alpha\":10.0,\"share\":0.25}", "7", "noise must be an object");
    refused("[]", "cpuct is missing");
}
END_TEST

START_TEST(cut_off_anywhere_it_is_refused)
{
    for (size_t length = 0; length < sizeof default_json - 1; length++) {
        char json[sizeof default_json];
        memcpy(json, default_json, length);
        json[length] = '\0';
        refused(json, "search settings");
    }
}
END_TEST

START_TEST(check_finds_nan_and_what_is_out_of_range)
{
    struct selfplay_settings settings = selfplay_settings_default;
    struct error err;
    settings.search.cpuct = NAN;
    ck_assert_int_eq(selfplay_settings_check(&settings, &err), ERROR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "cpuct"));
    settings = selfplay_settings_default;
    settings.resign_plies = 0;
    ck_assert_int_eq(selfplay_settings_check(&settings, &err), ERROR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "resign.plies"));
    settings = selfplay_settings_default;
    settings.search.cpuct = 1e-6F; /* just below 1e-6 as a double, yet what "1e-6" is read as */
    ck_assert_int_eq(selfplay_settings_check(&settings, &err), 0);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("settings");
    tcase_add_test(cases, json_is_canonical_and_its_floats_are_the_shortest);
    tcase_add_test(cases, defaults_are_those_of_the_search);
    tcase_add_test(cases, any_settings_read_back_bit_for_bit);
    tcase_add_test(cases, each_missing_key_is_named);
    tcase_add_test(cases, wrong_types_and_values_are_refused_by_name);
    tcase_add_test(cases, cut_off_anywhere_it_is_refused);
    tcase_add_test(cases, fast_searches_have_a_fifth_of_the_nodes_unless_told);
    tcase_add_test(cases, check_finds_nan_and_what_is_out_of_range);
    Suite *suite = suite_create("settings");
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
