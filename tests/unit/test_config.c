/* The configuration: what a file may hold, and how it is compared, printed and explained. */
#include "daemon/config/config_schema.h"
#include "tests/unit/config_fixture.h"

#include <jansson.h>
#include <yaml.h>

/* What a difference of one key looks like: "key: old -> new (restart)", all of them joined. */
static void differences(const struct config *a, const struct config *b, char *ret, size_t size)
{
    struct config_change *changes = NULL;
    int n = config_diff(a, b, &changes);
    ck_assert_int_ge(n, 0);
    ret[0] = '\0';
    for (int i = 0; i < n; i++) {
        size_t used = strlen(ret);
        snprintf(ret + used, size - used, "%s: %s -> %s%s\n", changes[i].key, changes[i].old_value,
                 changes[i].new_value, changes[i].needs_restart ? " (restart)" : "");
    }
    config_changes_free(changes, n);
}

/* ---- the shipped file ---- */

START_TEST(shipped_file_holds_the_defaults_but_for_its_places)
{
    char text[1024];
    struct config_problems problems;
    int r = config_load(SHIPPED, &config, &problems);
    ck_assert_msg(r == 0, "%s", problems.text);
    config_default(&other);
    differences(&other, &config, text, sizeof text);
    ck_assert_str_eq(text, "state_dir: \"./state\" -> \"/var/lib/qzd\" (restart)\n"
                           "control.socket: \"auto\" -> \"/run/qzd/qzd.sock\" (restart)\n");
}
END_TEST

/* The node at a path like "search.nodes", NULL if there is none. */
static yaml_node_t *node_at(yaml_document_t *document, const char *path)
{
    yaml_node_t *node = yaml_document_get_root_node(document);
    while (node != NULL && *path != '\0') {
        size_t n = strcspn(path, ".");
        yaml_node_t *next = NULL;
        ck_assert_int_eq(node->type, YAML_MAPPING_NODE);
        for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
             pair < node->data.mapping.pairs.top; pair++) {
            yaml_node_t *key = yaml_document_get_node(document, pair->key);
            if (key->data.scalar.length == n &&
                strncmp((const char *)key->data.scalar.value, path, n) == 0) {
                next = yaml_document_get_node(document, pair->value);
            }
        }
        node = next;
        path += n + (path[n] == '.');
    }
    return node;
}

START_TEST(every_key_stands_in_the_shipped_file)
{
    size_t size = 0;
    char *text = read_file(SHIPPED, &size);
    yaml_parser_t parser;
    yaml_document_t document;
    ck_assert(yaml_parser_initialize(&parser));
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    ck_assert(yaml_parser_load(&parser, &document));
    ck_assert_uint_ge(config_n_keys(), 60);
    for (size_t i = 0; i < config_n_keys(); i++) {
        ck_assert_msg(node_at(&document, config_keys[i].path) != NULL, "%s is not in etc/qzd.yaml",
                      config_keys[i].path);
    }
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    free(text);
}
END_TEST

START_TEST(defaults_are_those_of_the_modules)
{
    config_default(&config);
    ck_assert_uint_eq(config.selfplay_settings.search.nodes, 800);
    ck_assert(config.selfplay_settings.search.solver);
    ck_assert_float_eq(config.selfplay_settings.fast_share, 0.75F);
    ck_assert_uint_eq(selfplay_fast_nodes(&config.selfplay_settings), 160);
    config.selfplay_settings.fast_share = selfplay_settings_default.fast_share;
    config.selfplay_settings.fast_nodes = selfplay_settings_default.fast_nodes;
    ck_assert(memcmp(&config.selfplay_settings, &selfplay_settings_default,
                     sizeof config.selfplay_settings) == 0);
    ck_assert_double_eq(config.training.params.samples_per_position,
                        train_params_default.samples_per_position);
    ck_assert_uint_eq(config.training.params.threads, CONFIG_AUTO);
    ck_assert_str_eq(config.state_dir, "./state");
    ck_assert_str_eq(config.control.socket, "./state/qzd.sock");
    ck_assert_uint_eq(config.evaluation.n_suites, 2);
    ck_assert_str_eq(config.evaluation.suites[0], SOURCE_DIR "/etc/suites/connect4.mask");
}
END_TEST

START_TEST(empty_files_are_the_defaults)
{
    static const char *const texts[] = {"", "\n", "# nothing\n", "---\n", "{}\n"};
    char text[256];
    config_default(&other);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        accept(texts[i], &config);
        differences(&other, &config, text, sizeof text);
        ck_assert_str_eq(text, "");
    }
}
END_TEST

/* ---- what is read ---- */

START_TEST(values_arrive_in_their_fields)
{
    accept("state_dir: here\nseed: 9007199254740991\ngame: connect4\n"
           "network: {se_ratio: 0, value: scalar}\n"
           "search: {solver: off, cpuct: 2.25, noise: {share: 0}, temperature: {half_life: 1e1}}\n"
           "selfplay: {workers: 3, games_per_worker: auto, resign: {threshold: 0.95}}\n"
           "targets: {q: greedy, lambda: 5e-1}\n",
           &config);
    ck_assert_str_eq(config.state_dir, "here");
    ck_assert_int_eq(config.seed, 9007199254740991);
    ck_assert_uint_eq(config.network.se_ratio, 0);
    ck_assert_int_eq(config.network.value, NET_VALUE_SCALAR);
    ck_assert(!config.selfplay_settings.search.solver);
    ck_assert_float_eq(config.selfplay_settings.search.cpuct, 2.25F);
    ck_assert_float_eq(config.selfplay_settings.search.noise_share, 0);
    ck_assert_float_eq(config.selfplay_settings.temperature.half_life, 10);
    ck_assert_uint_eq(config.selfplay.workers, 3);
    ck_assert_uint_eq(config.selfplay.games_per_worker, CONFIG_AUTO);
    ck_assert_float_eq(config.selfplay_settings.resign_threshold, 0.95F);
    ck_assert_int_eq(config.targets.q, Q_GREEDY);
    ck_assert_double_eq(config.targets.lambda, 0.5);
    ck_assert_uint_eq(config.network.blocks, 4); /* what is left out has its default */
}
END_TEST

START_TEST(yaml_words_for_truth_are_understood)
{
    static const char *const yes[] = {"yes", "on", "true", "True", "YES"};
    static const char *const no[] = {"no", "off", "false", "False", "NO"};
    char text[64];
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        snprintf(text, sizeof text, "training: {mirror: %s}\n", yes[i]);
        accept(text, &config);
        ck_assert(config.training.params.mirror);
        snprintf(text, sizeof text, "training: {mirror: %s}\n", no[i]);
        accept(text, &config);
        ck_assert(!config.training.params.mirror);
    }
    refuse("training: {mirror: 'yes'}\n",
           "f.yaml:1:20: training.mirror is \"yes\"; it must be yes or no\n");
    refuse("training: {mirror: 1}\n", "f.yaml:1:20: training.mirror is 1; it must be yes or no\n");
}
END_TEST

START_TEST(schedules_are_linear_between_their_points_and_constant_outside)
{
    accept("targets:\n  q_ratio: [{generation: 2, value: 0.1}, {generation: 6, value: 0.5},\n"
           "             {generation: 7, value: 0}]\n",
           &config);
    const struct config_schedule *schedule = &config.targets.q_ratio;
    ck_assert_double_eq(config_schedule_at(schedule, 0), 0.1);
    ck_assert_double_eq(config_schedule_at(schedule, 2), 0.1);
    ck_assert_double_eq_tol(config_schedule_at(schedule, 3), 0.2, 1e-15);
    ck_assert_double_eq_tol(config_schedule_at(schedule, 5), 0.4, 1e-15);
    ck_assert_double_eq(config_schedule_at(schedule, 6), 0.5);
    ck_assert_double_eq(config_schedule_at(schedule, 7), 0);
    ck_assert_double_eq(config_schedule_at(schedule, UINT32_MAX), 0);
    accept("targets: {q_ratio: 0.25}\n", &config);
    ck_assert_double_eq(config_schedule_at(schedule, 0), 0.25);
    ck_assert_double_eq(config_schedule_at(schedule, 1000), 0.25);
    config_default(&config);
    ck_assert_double_eq(config_schedule_at(schedule, 0), 0);
    ck_assert_double_eq_tol(config_schedule_at(schedule, 3), 0.25, 1e-15);
    ck_assert_double_eq(config_schedule_at(schedule, 9), 0.5);
}
END_TEST

START_TEST(automatic_socket_goes_with_the_state_directory)
{
    accept("state_dir: /srv/a\n", &config);
    ck_assert_str_eq(config.control.socket, "/srv/a/qzd.sock");
    accept("state_dir: /srv/a\ncontrol: {socket: auto}\n", &config);
    ck_assert_str_eq(config.control.socket, "/srv/a/qzd.sock");
    ck_assert(config_set_state_dir(&config, "/srv/b"));
    ck_assert_str_eq(config.state_dir, "/srv/b");
    ck_assert_str_eq(config.control.socket, "/srv/b/qzd.sock");
    accept("control: {socket: /run/x}\n", &config);
    ck_assert(config_set_state_dir(&config, "/srv/b"));
    ck_assert_str_eq(config.control.socket, "/run/x");
    char *json = config_get_json(&config, "control.socket");
    ck_assert_str_eq(json, "\"/run/x\"");
    free(json);
}
END_TEST

START_TEST(opponents_and_gates_are_read_compared_and_printed)
{
    char text[256];
    accept("evaluation: {gate: sprt, gate_pairs: 50, match_pairs: 3, opponents: [2, uniform, "
           "first]}\n",
           &config);
    ck_assert_int_eq(config.evaluation.gate, CONFIG_GATE_SPRT);
    ck_assert_uint_eq(config.evaluation.gate_pairs, 50);
    ck_assert_uint_eq(config.evaluation.match_pairs, 3);
    ck_assert_uint_eq(config.evaluation.opponents.n, 3);
    ck_assert_uint_eq(config.evaluation.opponents.back[0], 2);
    ck_assert_uint_eq(config.evaluation.opponents.back[1], CONFIG_OPPONENT_UNIFORM);
    ck_assert_uint_eq(config.evaluation.opponents.back[2], CONFIG_OPPONENT_FIRST);
    char *json = config_get_json(&config, "evaluation.opponents");
    ck_assert_str_eq(json, "[2, \"uniform\", \"first\"]");
    free(json);
    accept("evaluation: {gate: elo, opponents: []}\n", &other);
    ck_assert_uint_eq(other.evaluation.opponents.n, 0);
    accept("evaluation: {gate: sprt, gate_pairs: 50, match_pairs: 3, opponents: [2, uniform, 1]}\n",
           &other);
    differences(&config, &other, text, sizeof text);
    ck_assert_msg(strstr(text, "evaluation.opponents") != NULL, "%s", text);
}
END_TEST

START_TEST(other_games_have_no_suites_by_default)
{
    accept("game: tictactoe\n", &config);
    ck_assert_uint_eq(config.evaluation.n_suites, 0);
    accept("game: connect4\nevaluation: {suites: []}\n", &config);
    ck_assert_uint_eq(config.evaluation.n_suites, 0);
}
END_TEST

/* ---- differences and texts ---- */

START_TEST(differences_are_told_key_by_key_with_their_need_of_a_restart)
{
    char text[2048];
    accept("", &config);
    accept("network: {blocks: 5}\nsearch: {cpuct: 1.75, solver: no}\n"
           "selfplay: {workers: 2}\ntargets: {q_ratio: 1, q: best}\n"
           "training: {threads: 2, learning_rate: [{samples: 0, value: 0.002}, {samples: 1000, "
           "value: 0.0001}]}\nevaluation: {suites: [connect4.mask]}\n",
           &other);
    differences(&config, &other, text, sizeof text);
    ck_assert_str_eq(
        text,
        "network.blocks: 4 -> 5 (restart)\n"
        "search.cpuct: 1.5 -> 1.75\n"
        "search.solver: true -> false\n"
        "selfplay.workers: \"auto\" -> 2 (restart)\n"
        "targets.q_ratio: [{\"generation\": 0, \"value\": 0}, {\"generation\": 6, \"value\": 0.5}] "
        "-> 1\n"
        "targets.q: \"root\" -> \"best\"\n"
        "training.learning_rate: 0.002 -> [{\"samples\": 0, \"value\": 0.002}, {\"samples\": 1000, "
        "\"value\": 0.0001}]\n"
        "training.threads: \"auto\" -> 2\n"
        "evaluation.suites: [\"connect4.mask\", \"connect4-values.csv\"] -> [\"connect4.mask\"]\n");
    differences(&other, &other, text, sizeof text);
    ck_assert_str_eq(text, "");
}
END_TEST

/* A text that differs from the default in as many keys as possible. */
#define OTHER_VALUES                                                                               \
    "state_dir: '/a \"b\" \\c'\nseed: 77\nnetwork: {blocks: 9, value: scalar}\n"                   \
    "search: {cpuct: 0.1, fpu_reduction: 0.33, solver: no, noise: {alpha: 0.3}}\n"                 \
    "selfplay: {workers: 7, resign: {threshold: 0.9}}\n"                                           \
    "targets: {q_ratio: 0.123456789, q: greedy, lambda: 0.7}\n"                                    \
    "teacher: {net: /x/y.safetensors, ratio: {value: [{generation: 3, value: 1}, {generation: 4, " \
    "value: 0}]}}\n"                                                                               \
    "training: {optimizer: {kind: sgd}, first: 123456789012, window: {c: 1e-3}}\n"                 \
    "evaluation: {suites: [connect4-values.csv]}\n"                                                \
    "events: {exec: [/bin/tell, \"say \\\"it\\\"\", '', 7, --to=me], severity: info, seconds: "    \
    "5}\n"

START_TEST(json_reads_back_as_the_same_configuration)
{
    static const char *const texts[] = {"", OTHER_VALUES};
    for (size_t i = 0; i < 2; i++) {
        char text[256];
        accept(texts[i], &config);
        char *json = config_json(&config);
        accept(json, &other); /* JSON is YAML */
        ck_assert_double_eq(other.targets.q_ratio.value[0], config.targets.q_ratio.value[0]);
        ck_assert_float_eq(other.selfplay_settings.search.fpu_reduction,
                           config.selfplay_settings.search.fpu_reduction);
        differences(&config, &other, text, sizeof text);
        ck_assert_str_eq(text, "");
        free(json);
    }
}
END_TEST

START_TEST(json_holds_every_key_at_its_path)
{
    accept(OTHER_VALUES, &config);
    char *text = config_json(&config);
    json_error_t problem;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &problem);
    ck_assert_msg(root != NULL, "%s in %s", problem.text, text);
    for (size_t i = 0; i < config_n_keys(); i++) {
        char path[CONFIG_MAX_PATH_TEXT];
        snprintf(path, sizeof path, "%s", config_keys[i].path);
        json_t *node = root;
        char *rest = path;
        for (char *part = strtok_r(path, ".", &rest); part != NULL;
             part = strtok_r(NULL, ".", &rest)) {
            node = json_object_get(node, part);
        }
        ck_assert_msg(node != NULL, "%s is not in %s", config_keys[i].path, text);
        char *one = config_get_json(&config, config_keys[i].path);
        json_t *alone = json_loads(one, JSON_DECODE_ANY, &problem);
        ck_assert_msg(alone != NULL && json_equal(node, alone), "%s is %s", config_keys[i].path,
                      one);
        json_decref(alone);
        free(one);
    }
    json_decref(root);
    free(text);
    ck_assert_ptr_null(config_get_json(&config, "search.noise"));
    ck_assert_ptr_null(config_get_json(&config, ""));
    char *value = config_get_json(&config, "search.cpuct");
    ck_assert_str_eq(value, "0.1"); /* a float's shortest form, not 0.10000000149 */
    free(value);
}
END_TEST

START_TEST(reference_explains_every_key)
{
    char *text = config_reference();
    ck_assert_ptr_nonnull(text);
    const char *at = text;
    for (size_t i = 0; i < config_n_keys(); i++) {
        size_t n = strlen(config_keys[i].path);
        ck_assert_msg(strncmp(at, config_keys[i].path, n) == 0 && at[n] == '\n', "%s",
                      config_keys[i].path);
        const char *end = strstr(at, "\n\n");
        ck_assert_ptr_nonnull(end);
        const char *value = strstr(at, "\n    Value: ");
        ck_assert_msg(value != NULL && value < end, "%s", config_keys[i].path);
        ck_assert_msg(strstr(value, "\n    Default: ") < end, "%s", config_keys[i].path);
        at = end + 2;
    }
    ck_assert_str_eq(at, "");
    ck_assert_ptr_nonnull(
        strstr(text, "Value: a whole number from 2 to 1000000.\n    Default: 800."));
    free(text);
}
END_TEST

START_TEST(schema_is_sound)
{
    for (size_t i = 0; i < config_n_keys(); i++) {
        const struct config_key *key = &config_keys[i];
        ck_assert_msg(config_find_key(key->path) == (int)i, "%s stands twice", key->path);
        ck_assert_msg(!config_is_section(key->path), "%s is a section too", key->path);
        ck_assert_uint_lt(strlen(key->path), CONFIG_MAX_PATH_TEXT);
        ck_assert_uint_le(key->offset + key->size, sizeof(struct config));
        ck_assert_msg(key->doc != NULL && key->doc[strlen(key->doc) - 1] == '.', "%s", key->path);
        char expected[CONFIG_MAX_EXPECTED];
        config_expected(key, expected);
        ck_assert_uint_gt(strlen(expected), 0);
        for (size_t j = 0; j < i; j++) { /* no two keys share a field */
            const struct config_key *b = &config_keys[j];
            ck_assert_msg(key->size == 0 || b->size == 0 || key->offset >= b->offset + b->size ||
                              b->offset >= key->offset + key->size,
                          "%s and %s", key->path, b->path);
        }
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        shipped_file_holds_the_defaults_but_for_its_places,
        every_key_stands_in_the_shipped_file,
        defaults_are_those_of_the_modules,
        empty_files_are_the_defaults,
        values_arrive_in_their_fields,
        yaml_words_for_truth_are_understood,
        schedules_are_linear_between_their_points_and_constant_outside,
        automatic_socket_goes_with_the_state_directory,
        opponents_and_gates_are_read_compared_and_printed,
        other_games_have_no_suites_by_default,
        differences_are_told_key_by_key_with_their_need_of_a_restart,
        json_reads_back_as_the_same_configuration,
        json_holds_every_key_at_its_path,
        reference_explains_every_key,
        schema_is_sound,
    };
    return run_tests("config", tests, sizeof tests / sizeof tests[0]);
}
