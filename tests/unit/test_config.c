/* The configuration: what a file may hold, what is said of one that holds something else, and where. */
#include "daemon/config.h"
#include "daemon/config_schema.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#define SHIPPED SOURCE_DIR "/etc/qzd.yaml"

/* Linked with --wrap. Set to n, the n-th allocation from now fails, here and in Check (so
 * back to 0 before an assertion), not in shared libraries such as libyaml. */
static int fail_in;
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
FILE *__real_open_memstream(char **text, size_t *size);
FILE *__wrap_open_memstream(char **text, size_t *size);
FILE *__real_fmemopen(void *buffer, size_t size, const char *mode);
FILE *__wrap_fmemopen(void *buffer, size_t size, const char *mode);

static bool fails_now(void)
{
    return fail_in > 0 && --fail_in == 0;
}
void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t n, size_t size)
{
    return fails_now() ? NULL : __real_calloc(n, size);
}
FILE *__wrap_open_memstream(char **text, size_t *size)
{
    return fails_now() ? NULL : __real_open_memstream(text, size);
}
FILE *__wrap_fmemopen(void *buffer, size_t size, const char *mode)
{
    return fails_now() ? NULL : __real_fmemopen(buffer, size, mode);
}

static struct config config; /* large; each test runs in a process of its own */
static struct config other;

static char *read_file(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    char *text = malloc(1 << 16);
    ck_assert_ptr_nonnull(text);
    *ret_size = fread(text, 1, (1 << 16) - 1, file);
    text[*ret_size] = '\0';
    fclose(file);
    return text;
}

/* Parse a text that must be fine. */
static void accept(const char *text, struct config *ret)
{
    struct config_problems problems;
    int r = config_parse(text, strlen(text), "f.yaml", ret, &problems);
    ck_assert_msg(r == 0, "refused: %s", problems.text);
    ck_assert_ptr_null(problems.text);
    ck_assert_uint_eq(problems.n, 0);
}

static void refuse_bytes(const char *text, size_t size, const char *expected)
{
    struct config_problems problems;
    memset(&config, 0x5a, sizeof config);
    memset(&other, 0x5a, sizeof other);
    int r = config_parse(text, size, "f.yaml", &config, &problems);
    ck_assert_int_eq(r, ERROR_INVALID);
    ck_assert_str_eq(problems.text, expected);
    uint32_t lines = 0;
    for (const char *c = problems.text; *c != '\0'; c++) {
        lines += *c == '\n';
    }
    ck_assert_uint_eq(problems.n, lines);
    ck_assert(memcmp(&config, &other, sizeof config) == 0); /* a failed call leaves it alone */
    config_problems_finish(&problems);
}

/* Parse a text that must be refused with exactly these lines. */
static void refuse(const char *text, const char *expected)
{
    refuse_bytes(text, strlen(text), expected);
}

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

/* ---- one mistake each ---- */

START_TEST(unknown_keys_are_told_with_the_nearest_known_one)
{
    refuse("search:\n  nods: 800\n", "f.yaml:2:3: unknown key search.nods; did you mean "
                                     "search.nodes?\n");
    refuse("serach: {}\n", "f.yaml:1:1: unknown key serach; did you mean search?\n");
    refuse("targets:\n  q_ration: 1\n",
           "f.yaml:2:3: unknown key targets.q_ration; did you mean targets.q_ratio?\n");
    refuse("lambda: 1\n", "f.yaml:1:1: unknown key lambda; did you mean targets.lambda?\n");
    refuse("control: {port: 80}\n",
           "f.yaml:1:11: unknown key control.port; it must be one of socket, http\n");
    refuse("search.nodes: 80\n", "f.yaml:1:1: unknown key search.nodes; it must be nested: search: "
                                 "with nodes: indented below it\n");
    refuse("training:\n  window: {gamma: 1}\n",
           "f.yaml:2:12: unknown key training.window.gamma; it "
           "must be one of c, alpha, beta\n");
    refuse("? [a, b]\n: 1\n", "f.yaml:1:3: this key is no word; a key must be plain text\n");
}
END_TEST

START_TEST(wrong_types_are_told_where_they_stand)
{
    refuse("search:\n  nodes: many\n",
           "f.yaml:2:10: search.nodes is many; it must be a whole number from 2 to 1000000\n");
    refuse("search: {nodes: 8.5}\n",
           "f.yaml:1:17: search.nodes is 8.5; it must be a whole number from 2 to 1000000\n");
    refuse("search: {nodes: '800'}\n",
           "f.yaml:1:17: search.nodes is \"800\"; it must be a whole number from 2 to 1000000\n");
    refuse("search: {nodes: [1]}\n",
           "f.yaml:1:17: search.nodes is a list; it must be a whole number from 2 to 1000000\n");
    refuse("search: {nodes: {a: 1}}\n",
           "f.yaml:1:17: search.nodes is a mapping; it must be a whole number from 2 to 1000000\n");
    refuse("search:\n  nodes:\n",
           "f.yaml:2:9: search.nodes is nothing; it must be a whole number from 2 to 1000000\n");
    refuse("search: {cpuct: 1,5}\n",
           "f.yaml:1:19: unknown key search.5; it must be one of nodes, cpuct, fpu_reduction, "
           "fpu_reduction_root, solver, reuse, fast_share, fast_nodes, noise, temperature\n");
    refuse("search: {cpuct: 1x}\n",
           "f.yaml:1:17: search.cpuct is 1x; it must be a number from 0.001 to 100\n");
    refuse("search: {solver: maybe}\n",
           "f.yaml:1:18: search.solver is maybe; it must be yes or no\n");
    refuse("search: {reuse: on}\n", "f.yaml:1:17: search.reuse is on; it must be off\n");
    refuse("network: {value: win}\n",
           "f.yaml:1:18: network.value is win; it must be wdl or scalar\n");
    refuse("targets: {q: mean}\n",
           "f.yaml:1:14: targets.q is mean; it must be root, best or greedy\n");
    refuse("game: chess960\n", "f.yaml:1:7: game is chess960; it must be connect4 or tictactoe\n");
    refuse("state_dir: ''\n",
           "f.yaml:1:12: state_dir is nothing; it must be text of at most 4095 bytes\n");
    refuse("selfplay: {workers: some}\n",
           "f.yaml:1:21: selfplay.workers is some; it must be auto or "
           "a whole number from 1 to 1024\n");
}
END_TEST

START_TEST(sections_must_be_mappings)
{
    refuse("search: 800\n", "f.yaml:1:9: search is a plain value; it must be a mapping, keys with "
                            "values indented below it\n");
    refuse("search: [nodes]\n", "f.yaml:1:9: search is a list; it must be a mapping, keys with "
                                "values indented below it\n");
    refuse("search:\n", "f.yaml:1:8: search is empty; it must be a mapping, keys with values "
                        "indented below it\n");
    refuse("- a\n", "f.yaml:1:1: the file is a list; it must be a mapping, keys with values "
                    "indented below it\n");
}
END_TEST

START_TEST(numbers_out_of_range_are_refused)
{
    refuse("search: {nodes: 1}\n",
           "f.yaml:1:17: search.nodes is 1; it must be a whole number from 2 to 1000000\n");
    refuse("search: {nodes: 1000001}\n",
           "f.yaml:1:17: search.nodes is 1000001; it must be a whole number from 2 to 1000000\n");
    refuse("search: {nodes: 99999999999999999999999}\n",
           "f.yaml:1:17: search.nodes is 99999999999999999999999; it must be a whole number from 2 "
           "to 1000000\n");
    refuse("targets: {q_ratio: 1.01}\n",
           "f.yaml:1:20: targets.q_ratio is 1.01; it must be a number from 0 to 1, or a list of at "
           "most 16 {generation: N, value: X} with rising generations\n");
    refuse("training: {window: {c: 0}}\n",
           "f.yaml:1:24: training.window.c is 0; it must be a number above 0 and at most "
           "1000000000000\n");
    refuse("targets: {lambda: .nan}\n",
           "f.yaml:1:19: targets.lambda is .nan; it must be a number from 0 to 1\n");
    refuse("targets: {lambda: nan}\n",
           "f.yaml:1:19: targets.lambda is nan; it must be a number from 0 to 1\n");
    refuse("training: {max_loss: .inf}\n",
           "f.yaml:1:22: training.max_loss is .inf; it must be a number above 0 and at most "
           "1000000000\n");
    refuse("training: {max_loss: 1e999}\n",
           "f.yaml:1:22: training.max_loss is 1e999; it must be a number above 0 and at most "
           "1000000000\n");
    refuse("search: {nodes: 0800}\n", /* 800, or 512, or none: YAML's versions differ */
           "f.yaml:1:17: search.nodes is 0800; it must be a whole number from 2 to 1000000\n");
    accept("search: {nodes: 2}\n", &config);
    accept("search: {nodes: 1000000}\n", &config);
    accept("targets: {lambda: 1, q_ratio: 1.0}\n", &config);
}
END_TEST

START_TEST(duplicate_keys_are_refused)
{
    refuse("search:\n  nodes: 800\n  cpuct: 1\n  nodes: 400\n",
           "f.yaml:4:3: search.nodes is given twice; it stands at line 2 already: leave one out\n");
    refuse("search: {nodes: 800}\nsearch: {cpuct: 1}\n",
           "f.yaml:2:1: search is given twice; it stands at line 1 already: leave one out\n");
}
END_TEST

START_TEST(what_is_not_yaml_is_told_with_its_place)
{
    refuse(
        "search: {nodes: 800\nseed: 1\n",
        "f.yaml:2:5: not YAML: did not find expected ',' or '}' while parsing a flow mapping; look "
        "at indentation, colons, quotes and brackets here and just above\n");
    refuse("search:\n\tnodes: 800\n",
           "f.yaml:2:1: not YAML: a tab stands here; indent with blanks\n");
    refuse("seed: 1\nseed\xff: 2\n",
           "f.yaml:2:5: not a text file: invalid leading UTF-8 octet; write the file in UTF-8\n");
    refuse("a: b: c\n",
           "f.yaml:1:5: not YAML: mapping values are not allowed in this context; look "
           "at indentation, colons, quotes and brackets here and just above\n");
}
END_TEST

START_TEST(anchors_aliases_tags_and_second_documents_are_refused)
{
    refuse("search: &s {nodes: 800}\n",
           "f.yaml:1:9: an anchor &s; anchors and aliases are not used "
           "here: write the value out\n");
    refuse("targets: &t {lambda: 0}\nsearch: *u\n",
           "f.yaml:1:10: an anchor &t; anchors and aliases are not used here: write the value out\n"
           "f.yaml:2:9: an alias *u; anchors and aliases are not used here: write the value out\n");
    refuse(
        "search: &s\n  noise: *s\n", /* a loop */
        "f.yaml:1:9: an anchor &s; anchors and aliases are not used here: write the value out\n"
        "f.yaml:2:3: unknown key search.noise.noise; it must be one of alpha, share\n"
        "f.yaml:2:10: an alias *s; anchors and aliases are not used here: write the value out\n");
    refuse("seed: !!int 1\n", "f.yaml:1:7: a tag, tag:yaml.org,2002:int; tags are not used here: "
                              "leave it out\n");
    refuse("seed: 1\n---\nseed: 2\n",
           "f.yaml:2:1: a second document begins; a configuration is one document\n");
}
END_TEST

START_TEST(schedules_must_rise_and_be_whole)
{
#define EXPECTED                                                                               \
    "it must be a number from 0 to 1, or a list of at most 16 {generation: N, value: X} with " \
    "rising generations\n"
    refuse(
        "targets:\n  q_ratio:\n    - {generation: 0, value: 0}\n    - {generation: 0, value: 1}\n",
        "f.yaml:4:20: targets.q_ratio: generation is 0 after 0; it must rise from point to "
        "point\n");
    refuse("targets: {q_ratio: [{generation: 5, value: 0}, {generation: 4, value: 1}]}\n",
           "f.yaml:1:61: targets.q_ratio: generation is 4 after 5; it must rise from point to "
           "point\n");
    refuse("targets: {q_ratio: [{generation: 0, value: 2}]}\n",
           "f.yaml:1:44: targets.q_ratio is 2; " EXPECTED);
    refuse("targets: {q_ratio: []}\n", "f.yaml:1:20: targets.q_ratio is a list; " EXPECTED);
    refuse("targets: {q_ratio: [0.5]}\n", "f.yaml:1:21: targets.q_ratio is 0.5; " EXPECTED);
    refuse("targets: {q_ratio: [{generation: 1}]}\n",
           "f.yaml:1:21: targets.q_ratio: this point lacks value; it must be like {generation: 6, "
           "value: 0.5} or {samples: 100000, value: 0.001}\n");
    refuse("targets: {q_ratio: [{generation: 1, value: 0, at: 2}]}\n",
           "f.yaml:1:47: targets.q_ratio: unknown key at; a point has generation and value\n");
    refuse("targets: {q_ratio: [{generation: 1, value: 0, value: 1}]}\n",
           "f.yaml:1:47: targets.q_ratio: value is given twice in a point\n");
    refuse("targets: {q_ratio: [{generation: -1, value: 0}]}\n",
           "f.yaml:1:34: targets.q_ratio: generation is -1; it must be a whole number from 0 to "
           "4294967295\n");
    refuse("training: {learning_rate: [{samples: 5, value: 0.1}]}\n",
           "f.yaml:1:27: training.learning_rate: the first point is at samples 5; it must be at "
           "0\n");
    refuse("training: {learning_rate: 0}\n",
           "f.yaml:1:27: training.learning_rate is 0; it must be a number above 0 and at most 10, "
           "or a list of at most 16 {samples: N, value: X} with samples rising from 0\n");
#undef EXPECTED
}
END_TEST

START_TEST(schedule_has_room_for_16_points_and_no_more)
{
    char text[2048] = "targets:\n  q_ratio:\n";
    for (int i = 0; i < 16; i++) {
        char point[64];
        snprintf(point, sizeof point, "    - {generation: %d, value: 0.%02d}\n", i, i);
        strcat(text, point);
    }
    accept(text, &config);
    ck_assert_uint_eq(config.targets.q_ratio.n, 16);
    ck_assert_uint_eq(config.targets.q_ratio.generation[15], 15);
    ck_assert_double_eq(config.targets.q_ratio.value[15], 0.15);
    strcat(text, "    - {generation: 16, value: 0}\n");
    refuse(text,
           "f.yaml:3:5: targets.q_ratio is a list; it must be a number from 0 to 1, or a list "
           "of at most 16 {generation: N, value: X} with rising generations\n");
}
END_TEST

START_TEST(suites_must_be_there)
{
    ck_assert_int_eq(setenv("QZD_SUITES", "/nowhere::/no/where", 1), 0);
    struct config_problems problems;
    const char *text = "evaluation: {suites: [chess.mask]}\n";
    ck_assert_int_eq(config_parse(text, strlen(text), "f.yaml", &config, &problems), ERROR_INVALID);
    const char *start = "f.yaml:1:23: evaluation.suites: no suite chess.mask; it must be a path or "
                        "stand in one of /nowhere, /no/where, " SOURCE_DIR "/etc/suites, ";
    ck_assert_msg(strncmp(problems.text, start, strlen(start)) == 0, "%s", problems.text);
    config_problems_finish(&problems);
    refuse(
        "evaluation: {suites: [/nowhere/x.mask]}\n",
        "f.yaml:1:23: evaluation.suites: cannot read /nowhere/x.mask: No such file or directory; "
        "name a suite file\n");
    refuse(
        "evaluation: {suites: [connect4.mask, connect4-values.csv, connect4.mask]}\n",
        "f.yaml:1:59: evaluation.suites: connect4.mask has the name of another suite; results are "
        "kept by file name without ending, so rename one\n");
    refuse("evaluation: {suites: all}\n",
           "f.yaml:1:22: evaluation.suites is all; it must be a list of at most 8 file names\n");
}
END_TEST

START_TEST(suites_of_the_environment_come_first)
{
    char folder[] = "/tmp/qzd-suites-XXXXXX";
    char path[64];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/connect4.mask", folder);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fclose(file);
    ck_assert_int_eq(setenv("QZD_SUITES", folder, 1), 0);
    accept("", &config);
    ck_assert_str_eq(config.evaluation.suites[0], path);
    ck_assert_str_eq(config.evaluation.suites[1], SOURCE_DIR "/etc/suites/connect4-values.csv");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

START_TEST(keys_that_contradict_each_other_are_refused)
{
    refuse("training:\n  every: {min: 30000}\n",
           "f.yaml:2:16: training.every.min is 30000, above max 20000; min must be at most max\n");
    refuse("training:\n  every: {max: 10}\n",
           "f.yaml:2:16: training.every.min is 8000, above max 10; min must be at most max\n");
    refuse(
        "network: {filters: 2}\n",
        "f.yaml:1:20: network.se_ratio is 4 with 2 filters; it must be at most filters, or 0 for "
        "no squeeze-excitation\n");
    refuse(
        "search: {nodes: 50, fast_share: 0.5}\n",
        "f.yaml:1:17: search.fast_nodes is 100, above search.nodes 50; it must be at most that\n");
    refuse("teacher:\n  ratio: {policy: 0.5}\n",
           "f.yaml:2:19: teacher.ratio is above 0 without a teacher; teacher.net must name one\n");
    accept("search: {nodes: 50}\n", &config);
    accept("teacher: {net: '1', ratio: {policy: 0.5}}\n", &config);
}
END_TEST

START_TEST(socket_paths_must_fit_a_socket)
{
    char text[256] = "state_dir: /";
    memset(text + strlen(text), 'x', 100);
    strcat(text, "\n");
    refuse(text, "f.yaml:1:12: control.socket would have a path of 110 bytes; it must be a shorter "
                 "path, of at most 107 bytes, such as /run/qzd/qzd.sock\n");
    strcat(text, "control: {socket: /run/s}\n");
    accept(text, &config);
    ck_assert_str_eq(config.control.socket, "/run/s");
}
END_TEST

START_TEST(all_problems_are_told_at_once_in_the_order_of_the_file)
{
    refuse("seed: -1\n"
           "training:\n"
           "  every: {min: 9, max: 8}\n"
           "  batch: 0\n"
           "search:\n"
           "  nodes: [\n"
           "    1]\n"
           "  nods: 5\n"
           "seed: 2\n",
           "f.yaml:1:7: seed is -1; it must be a whole number from 0 to 9007199254740991\n"
           "f.yaml:3:16: training.every.min is 9, above max 8; min must be at most max\n"
           "f.yaml:4:10: training.batch is 0; it must be a whole number from 1 to 8192\n"
           "f.yaml:6:10: search.nodes is a list; it must be a whole number from 2 to 1000000\n"
           "f.yaml:8:3: unknown key search.nods; did you mean search.nodes?\n"
           "f.yaml:9:1: seed is given twice; it stands at line 1 already: leave one out\n");
}
END_TEST

START_TEST(hostile_text_cannot_break_the_lines)
{
    refuse("\"a\\nb\": 1\n",
           "f.yaml:1:1: unknown key a?b; it must be one of state_dir, game, seed, "
           "network, search, selfplay, targets, teacher, training, evaluation, "
           "control, cluster\n");
    refuse("state_dir: \"a\\0b\"\n",
           "f.yaml:1:12: state_dir is text with a NUL byte; it must be text "
           "of at most 4095 bytes\n");
    char text[300] = "game: x";
    for (int i = 0; i < 50; i++) {
        strcat(text, "\xc3\xa4"); /* cut between characters, not in one */
    }
    refuse(text, "f.yaml:1:7: game is x"
                 "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
                 "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
                 "...; it must be connect4 or tictactoe\n");
}
END_TEST

START_TEST(very_many_problems_are_counted)
{
    char text[4096] = "";
    for (int i = 0; i < 150; i++) {
        strcat(text, "seed: 1\n");
    }
    struct config_problems problems;
    ck_assert_int_eq(config_parse(text, strlen(text), "f.yaml", &config, &problems), ERROR_INVALID);
    ck_assert_uint_eq(problems.n, 101);
    ck_assert_ptr_nonnull(
        strstr(problems.text, "f.yaml: 49 more problems; put these right first\n"));
    config_problems_finish(&problems);
}
END_TEST

START_TEST(files_that_cannot_be_read_say_so)
{
    struct config_problems problems;
    ck_assert_int_eq(config_load("/nowhere/f.yaml", &config, &problems), ERROR_NOT_FOUND);
    ck_assert_uint_eq(problems.n, 1);
    ck_assert_str_eq(problems.text,
                     "/nowhere/f.yaml: cannot read: No such file or directory; name a "
                     "readable file\n");
    config_problems_finish(&problems);
    ck_assert_int_eq(config_load("/", &config, &problems), ERROR_IO);
    ck_assert_str_eq(problems.text, "/: cannot read: Is a directory; name a readable file\n");
    config_problems_finish(&problems);
    ck_assert_int_eq(config_load("/dev/zero", &config, &problems), ERROR_INVALID);
    ck_assert_str_eq(problems.text,
                     "/dev/zero: 65537 bytes; a configuration must have at most 65536\n");
    config_problems_finish(&problems);
    ck_assert_int_eq(config_load("/nowhere/f.yaml", &config, NULL), ERROR_NOT_FOUND);
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
    "evaluation: {suites: [connect4-values.csv]}\n"

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

/* ---- damage ---- */

/* Sentences may lose an end (fmemopen), nothing else may be half done. Under ASan a leak fails the test. */
START_TEST(each_failing_allocation_is_told)
{
    const char *bad = "seed: x\nfoo: 1\nevaluation: {suites: [connect4.mask]}\n";
    const char *good = "evaluation: {suites: [connect4.mask]}\n";
    struct config_problems problems;
    int n_failed = 0;
    for (int n = 1; n <= 12; n++) {
        fail_in = n;
        int r = config_parse(bad, strlen(bad), "f.yaml", &config, &problems);
        fail_in = 0;
        ck_assert_msg(r == ERROR_INVALID || r == ERROR_NO_MEMORY, "%d: %d", n, r);
        ck_assert_int_eq(r == ERROR_INVALID, problems.text != NULL);
        n_failed += r == ERROR_NO_MEMORY;
        config_problems_finish(&problems);
        fail_in = n;
        r = config_parse(good, strlen(good), "f.yaml", &config, &problems);
        fail_in = 0;
        ck_assert_msg(r == 0 || r == ERROR_NO_MEMORY, "%d: %d", n, r);
        n_failed += r == ERROR_NO_MEMORY;
        fail_in = n;
        r = config_load(SHIPPED, &config, &problems);
        fail_in = 0;
        ck_assert_msg(r == 0 || r == ERROR_NO_MEMORY, "%d: %d", n, r);
        n_failed += r == ERROR_NO_MEMORY;
    }
    ck_assert_int_ge(n_failed, 4 + 2 + 3);
}
END_TEST

START_TEST(texts_without_memory_are_none)
{
    config_default(&config);
    config_default(&other);
    other.seed = 2;
    for (int n = 1; n <= 4; n++) { /* the list, and a value each */
        struct config_change *changes = NULL;
        fail_in = n;
        int r = config_diff(&config, &other, &changes);
        fail_in = 0;
        ck_assert_int_eq(r, ERROR_NO_MEMORY);
        ck_assert_ptr_null(changes);
    }
    fail_in = 1;
    char *all = config_json(&config);
    fail_in = 1;
    char *one = config_get_json(&config, "seed");
    fail_in = 0;
    ck_assert_ptr_null(all);
    ck_assert_ptr_null(one);
    for (int n = 1; n <= 2; n++) { /* the defaults, and the text */
        fail_in = n;
        char *text = config_reference();
        fail_in = 0;
        ck_assert_ptr_null(text);
    }
}
END_TEST

/* Whatever the bytes are: an answer, no crash, and a message for a refusal. */
static void survive(const char *bytes, size_t size, const char *what, unsigned long n)
{
    char *text = malloc(size + 1); /* exact, so that reading beyond is seen */
    ck_assert_ptr_nonnull(text);
    char *exact = size == 0 ? text : realloc(text, size);
    memcpy(exact, bytes, size);
    struct config_problems problems;
    int r = config_parse(exact, size, "f.yaml", &config, &problems);
    ck_assert_msg(r == 0 || (r == ERROR_INVALID && problems.n > 0 && problems.text != NULL),
                  "%s %lu: %d", what, n, r);
    config_problems_finish(&problems);
    free(exact);
}

START_TEST(file_cut_at_any_length_is_read_or_refused)
{
    size_t size = 0;
    char *text = read_file(SHIPPED, &size);
    for (size_t n = 0; n <= size; n += n < 600 ? 1 : 17) {
        survive(text, n, "length", n);
    }
    free(text);
}
END_TEST

START_TEST(random_damage_never_crashes)
{
    static const char bytes[] = "\n\n  :::,,[]{}&*!|>'\"%@`#-?~\t\\0129.eE+nax\xff\xc3\x80";
    size_t size = 0;
    char *text = read_file(SHIPPED, &size);
    char *copy = malloc(size);
    ck_assert_ptr_nonnull(copy);
    for (unsigned seed = 1; seed <= 400; seed++) {
        unsigned state = seed;
        memcpy(copy, text, size);
        for (int n = rand_r(&state) % 8; n >= 0; n--) {
            size_t at = (size_t)rand_r(&state) % size;
            copy[at] = bytes[(size_t)rand_r(&state) % sizeof bytes];
        }
        survive(copy, size, "seed", seed);
    }
    free(copy);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tcase = tcase_create("config");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, shipped_file_holds_the_defaults_but_for_its_places);
    tcase_add_test(tcase, every_key_stands_in_the_shipped_file);
    tcase_add_test(tcase, defaults_are_those_of_the_modules);
    tcase_add_test(tcase, empty_files_are_the_defaults);
    tcase_add_test(tcase, unknown_keys_are_told_with_the_nearest_known_one);
    tcase_add_test(tcase, wrong_types_are_told_where_they_stand);
    tcase_add_test(tcase, sections_must_be_mappings);
    tcase_add_test(tcase, numbers_out_of_range_are_refused);
    tcase_add_test(tcase, duplicate_keys_are_refused);
    tcase_add_test(tcase, what_is_not_yaml_is_told_with_its_place);
    tcase_add_test(tcase, anchors_aliases_tags_and_second_documents_are_refused);
    tcase_add_test(tcase, schedules_must_rise_and_be_whole);
    tcase_add_test(tcase, schedule_has_room_for_16_points_and_no_more);
    tcase_add_test(tcase, suites_must_be_there);
    tcase_add_test(tcase, suites_of_the_environment_come_first);
    tcase_add_test(tcase, keys_that_contradict_each_other_are_refused);
    tcase_add_test(tcase, socket_paths_must_fit_a_socket);
    tcase_add_test(tcase, all_problems_are_told_at_once_in_the_order_of_the_file);
    tcase_add_test(tcase, hostile_text_cannot_break_the_lines);
    tcase_add_test(tcase, very_many_problems_are_counted);
    tcase_add_test(tcase, files_that_cannot_be_read_say_so);
    tcase_add_test(tcase, values_arrive_in_their_fields);
    tcase_add_test(tcase, yaml_words_for_truth_are_understood);
    tcase_add_test(tcase, schedules_are_linear_between_their_points_and_constant_outside);
    tcase_add_test(tcase, automatic_socket_goes_with_the_state_directory);
    tcase_add_test(tcase, other_games_have_no_suites_by_default);
    tcase_add_test(tcase, differences_are_told_key_by_key_with_their_need_of_a_restart);
    tcase_add_test(tcase, json_reads_back_as_the_same_configuration);
    tcase_add_test(tcase, json_holds_every_key_at_its_path);
    tcase_add_test(tcase, reference_explains_every_key);
    tcase_add_test(tcase, schema_is_sound);
    tcase_add_test(tcase, each_failing_allocation_is_told);
    tcase_add_test(tcase, texts_without_memory_are_none);
    tcase_add_test(tcase, file_cut_at_any_length_is_read_or_refused);
    tcase_add_test(tcase, random_damage_never_crashes);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
