#include "daemon/qzctl/qzctl_search.h"

#include "storage/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SEARCH_OPTION_NET = 100,
    SEARCH_OPTION_NODES,
    SEARCH_OPTION_CPUCT,
    SEARCH_OPTION_FPU,
    SEARCH_OPTION_SOLVER,
};

static const struct option search_list[] = {
    {"net", required_argument, NULL, SEARCH_OPTION_NET},
    {"nodes", required_argument, NULL, SEARCH_OPTION_NODES},
    {"cpuct", required_argument, NULL, SEARCH_OPTION_CPUCT},
    {"fpu-reduction", required_argument, NULL, SEARCH_OPTION_FPU},
    {"solver", required_argument, NULL, SEARCH_OPTION_SOLVER},
};
enum { N_SEARCH_LIST = sizeof search_list / sizeof search_list[0] };

struct taking {
    struct search_options *options;
    const char **own;
};

/* Take an option: 0, or -1 having said what is wrong. */
static int take_option(int option, const char *value, void *context)
{
    struct taking *taking = context;
    struct search_options *options = taking->options;
    int64_t n = 0;
    double x = 0;
    switch (option) {
    case SEARCH_OPTION_NET:
        options->net = value;
        return 0;
    case SEARCH_OPTION_NODES:
        if (qzctl_number("--nodes", value, 0, QZCTL_MAX_NODES, &n) != 0) {
            return -1;
        }
        if (n == 1) {
            fprintf(stderr, "qzctl: --nodes: 0 is the net alone, a search has 2 or more\n");
            return -1;
        }
        options->nodes = (uint32_t)n;
        options->nodes_given = true;
        return 0;
    case SEARCH_OPTION_CPUCT:
        if (qzctl_real("--cpuct", value, 0.001, 100, &x) != 0) {
            return -1;
        }
        options->params.cpuct = (float)x;
        return 0;
    case SEARCH_OPTION_FPU:
        if (qzctl_real("--fpu-reduction", value, 0, 10, &x) != 0) {
            return -1;
        }
        options->params.fpu_reduction = (float)x;
        return 0;
    case SEARCH_OPTION_SOLVER:
        if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0) {
            fprintf(stderr, "qzctl: --solver: on or off\n");
            return -1;
        }
        options->params.solver = strcmp(value, "on") == 0;
        return 0;
    default: /* the command's own: val is its index, from 1 */
        taking->own[option - 1] = value == NULL ? "" : value;
        return 0;
    }
}

int search_options_parse(struct qzctl *qzctl, const struct qzctl_command *command, int argc,
                         char **argv, const struct option *own, const char **ret_own,
                         struct search_options *ret, int *ret_first)
{
    struct option list[N_SEARCH_LIST + SEARCH_MAX_OWN + 1] = {{0}};
    struct taking taking = {ret, ret_own};
    size_t n = 0;
    for (; n < SEARCH_MAX_OWN && own[n].name != NULL; n++) {
        list[n] = own[n];
        list[n].val = (int)n + 1;
    }
    memcpy(list + n, search_list, sizeof search_list);
    *ret = (struct search_options){.params = search_params_default};
    ret->params.noise_share = 0;
    ret->nodes = search_params_default.nodes;
    return qzctl_parse(qzctl, command, argc, argv, list, take_option, &taking, ret_first);
}

/* ---- the net ---- */

static bool all_digits(const char *text)
{
    return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* A sha256's beginning may look like an id: the longer reading goes first. */
static int look_up(struct store *store, const char *which, struct store_net *ret, struct error *err)
{
    if (which == NULL) {
        return store_current_net(store, "main", ret, err);
    }
    if (which[0] == 'g' && all_digits(which + 1)) {
        return store_net_at(store, "main", strtoll(which + 1, NULL, 10), ret, err);
    }
    if (strcmp(which, "uniform") == 0) {
        return store_net_at(store, "uniform", 0, ret, err);
    }
    if (strlen(which) >= 8) {
        int r = store_find_net(store, which, ret, err);
        if (r != ERROR_NOT_FOUND || !all_digits(which)) {
            return r;
        }
    }
    if (!all_digits(which)) {
        return error_set(
            err, ERROR_NOT_FOUND,
            "%s: no such file, and neither an id, a generation (g12) nor 8 digits or more "
            "of a sha256",
            which);
    }
    return store_get_net(store, strtoll(which, NULL, 10), ret, err);
}

static int find_in_store(struct qzctl *qzctl, const char *which, struct qzctl_net *found,
                         char ret_file[PATH_MAX], struct error *err)
{
    char path[PATH_MAX];
    struct store *store = NULL;
    struct store_net net = {.id = 0};
    qzctl_db_path(qzctl, path);
    int r = store_open(path, STORE_READ, &store, err);
    if (r < 0) {
        return r;
    }
    r = look_up(store, which, &net, err);
    store_close(store);
    if (r < 0) {
        return r;
    }
    found->generation = net.generation;
    if (strcmp(net.state, "removed") == 0 || net.file[0] == '\0') {
        r = error_set(err, ERROR_NOT_FOUND, "net %lld: its file has been removed",
                      (long long)net.id);
    } else if (snprintf(ret_file, PATH_MAX, "%s/%s", qzctl->state_dir, net.file) >= PATH_MAX) {
        r = error_set(err, ERROR_INVALID, "%s: the path is too long", net.file);
    }
    store_net_finish(&net);
    return r;
}

int qzctl_net_load(struct qzctl *qzctl, const char *which, struct qzctl_net *ret)
{
    struct error err = {""};
    char file[PATH_MAX];
    *ret = (struct qzctl_net){.generation = -1};
    int r = 0;
    if (which != NULL && access(which, F_OK) == 0) {
        snprintf(file, sizeof file, "%s", which);
    } else {
        r = find_in_store(qzctl, which, ret, file, &err);
    }
    if (r == 0) {
        r = net_load(file, &ret->net, ret->sha256, &err);
    }
    if (r < 0) {
        return qzctl_fail("%s", err.text);
    }
    ret->game = game_find(ret->net->arch.game);
    if (ret->game == NULL) {
        qzctl_fail("%s: made for %s, which this program does not know", file, ret->net->arch.game);
        qzctl_net_finish(ret);
        return QZCTL_FAILED;
    }
    return QZCTL_OK;
}

void qzctl_net_finish(struct qzctl_net *net)
{
    net_destroy(net->net);
    net->net = NULL;
}

json_t *qzctl_net_json(const struct qzctl_net *net)
{
    json_t *object = json_pack("{s:s}", "sha256", net->sha256);
    if (object != NULL && net->generation >= 0) {
        (void)json_object_set_new(object, "generation", json_integer(net->generation));
    }
    return object;
}
