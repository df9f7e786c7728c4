/* Configurations with mistakes: what is said of each, and where. */
#include "tests/unit/config_fixture.h"

#include <unistd.h>

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

#define COMMAND_EXPECTED \
    "it must be a list of at most 16 texts of at most 511 bytes, the first a program\n"

START_TEST(command_must_be_a_list_of_texts)
{
    char text[CONFIG_MAX_ARGUMENT + 64];

    refuse("events: {exec: mail me}\n", "f.yaml:1:16: events.exec is mail me; " COMMAND_EXPECTED);
    refuse("events: {exec: [[mail]]}\n", "f.yaml:1:16: events.exec is a list; " COMMAND_EXPECTED);
    refuse("events: {exec: ['', x]}\n", "f.yaml:1:16: events.exec is a list; " COMMAND_EXPECTED);
    refuse("events: {exec: [a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q]}\n",
           "f.yaml:1:16: events.exec is a list; " COMMAND_EXPECTED);
    snprintf(text, sizeof text, "events: {exec: [%0*d]}\n", CONFIG_MAX_ARGUMENT, 1);
    refuse(text, "f.yaml:1:16: events.exec is a list; " COMMAND_EXPECTED);
    refuse("events: {severity: red}\n",
           "f.yaml:1:20: events.severity is red; it must be info, warning or error\n");
    refuse("events: {seconds: 0}\n",
           "f.yaml:1:19: events.seconds is 0; it must be a whole number from 1 to 3600\n");
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
    static const char *const opponents[] = {"all",
                                            "[0]",
                                            "[first, first]",
                                            "[-1]",
                                            "[\"1\"]",
                                            "[random]",
                                            "[1, 2, 3, 4, 5, 6, 7, 8, 9]"};
    for (size_t i = 0; i < sizeof opponents / sizeof opponents[0]; i++) {
        char line[128];
        char expected[256];
        snprintf(line, sizeof line, "evaluation: {opponents: %s}\n", opponents[i]);
        snprintf(
            expected, sizeof expected,
            "f.yaml:1:25: evaluation.opponents is %s; it must be a list of at most 8 different "
            "ones of: generations back (1, 5), first, uniform\n",
            i == 0 ? "all" : "a list");
        refuse(line, expected);
    }
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
        "search: {nodes: 50, fast_nodes: 100}\n",
        "f.yaml:1:33: search.fast_nodes is 100, above search.nodes 50; it must be at most that\n");
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
           "patience, resources, retention, events, control, inference, cluster\n");
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

int main(void)
{
    const TTest *const tests[] = {
        unknown_keys_are_told_with_the_nearest_known_one,
        wrong_types_are_told_where_they_stand,
        sections_must_be_mappings,
        numbers_out_of_range_are_refused,
        duplicate_keys_are_refused,
        what_is_not_yaml_is_told_with_its_place,
        anchors_aliases_tags_and_second_documents_are_refused,
        schedules_must_rise_and_be_whole,
        schedule_has_room_for_16_points_and_no_more,
        command_must_be_a_list_of_texts,
        suites_must_be_there,
        suites_of_the_environment_come_first,
        keys_that_contradict_each_other_are_refused,
        socket_paths_must_fit_a_socket,
        all_problems_are_told_at_once_in_the_order_of_the_file,
        hostile_text_cannot_break_the_lines,
        very_many_problems_are_counted,
        files_that_cannot_be_read_say_so,
    };
    return run_tests("config_mistakes", tests, sizeof tests / sizeof tests[0]);
}
