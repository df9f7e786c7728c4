/* What a replay tells: its differences, in order, and the outcome. */
#include "daemon/build_id.h"
#include "daemon/qzctl/qzctl_replay.h"

#include "storage/clock.h"
#include "trainer/net/inference.h"
#include "trainer/net/kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void qzctl_replay_clear_progress(const struct replaying *r)
{
    if (r->progress) {
        fputs("\r\033[K", stderr);
    }
}

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value != NULL && value[0] != '\0';
}

const struct kernel *qzctl_replay_kernel(const char *id)
{
    return is_set("QZD_KERNEL") || is_set("QZD_PRECISION") ? NULL : kernel_by_id(id);
}

/* The id of what searches again where a kernel of that id recorded. */
static const char *kernel_again(const char *id)
{
    const struct kernel *kernel = qzctl_replay_kernel(id);
    return kernel == NULL ? inference_kernel() : kernel->id;
}

bool qzctl_replay_is_this(const char *build, const char *kernel)
{
    return strcmp(build, build_id) == 0 && strcmp(kernel, kernel_again(kernel)) == 0;
}

/* ---- differences ---- */

void qzctl_replay_note(const struct replay_difference *difference, void *context)
{
    struct replaying *r = context;
    r->n_differences++;
    if (r->n_noted >= REPLAY_MAX_SAID) {
        return;
    }
    if ((r->n_noted & (r->n_noted - 1)) == 0) { /* room for the next power of two */
        size_t room = r->n_noted == 0 ? 1 : 2 * (size_t)r->n_noted;
        struct noted *noted = reallocarray(r->noted, room, sizeof *noted);
        if (noted == NULL) {
            r->no_memory = true;
            return;
        }
        r->noted = noted;
    }
    struct noted *noted = &r->noted[r->n_noted];
    *noted = (struct noted){
        .game = r->indices[difference->game], .ply = difference->ply, .nth = r->n_noted};
    snprintf(noted->field, sizeof noted->field, "%s", difference->field);
    snprintf(noted->recorded, sizeof noted->recorded, "%s", difference->recorded);
    snprintf(noted->replayed, sizeof noted->replayed, "%s", difference->replayed);
    r->n_noted++;
}

static int by_place(const void *a, const void *b)
{
    const struct noted *x = a;
    const struct noted *y = b;
    if (x->game != y->game) {
        return x->game < y->game ? -1 : 1;
    }
    if (x->ply != y->ply) {
        return x->ply < y->ply ? -1 : 1;
    }
    return x->nth < y->nth ? -1 : 1;
}

static void put_difference(struct replaying *r, const struct noted *noted)
{
    const struct store_game *game = &r->games.games[noted->game].game;
    if (r->qzctl->json) {
        json_t *ply = noted->ply == REPLAY_WHOLE_GAME ? json_null() : json_integer(noted->ply);
        json_t *object = json_pack("{s:I, s:s, s:o, s:s, s:s, s:s}", "game", (json_int_t)game->id,
                                   "uid", game->uid, "ply", ply, "field", noted->field, "recorded",
                                   noted->recorded, "replayed", noted->replayed);
        (void)json_array_append_new(r->differences, object);
        return;
    }
    printf("game %lld (%.8s)", (long long)game->id, game->uid);
    if (noted->ply != REPLAY_WHOLE_GAME) {
        printf(", ply %d", noted->ply);
    }
    printf(": %s: recorded ", noted->field);
    table_put_safe(noted->recorded, stdout);
    printf(", again ");
    table_put_safe(noted->replayed, stdout);
    putchar('\n');
}

/* In the order of games and plies, as many as are wanted. */
void qzctl_replay_put_differences(struct replaying *r)
{
    qzctl_replay_clear_progress(r);
    if (r->n_noted > 0) {
        qsort(r->noted, r->n_noted, sizeof *r->noted, by_place);
    }
    for (uint32_t i = 0; i < r->n_noted && r->n_said < r->options->said; i++) {
        put_difference(r, &r->noted[i]);
        r->n_said++;
    }
    r->n_noted = 0;
}

/* ---- the outcome ---- */

static json_t *counts_json(uint64_t n, uint64_t identical, uint64_t close, uint64_t different)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "n", (json_int_t)n, "identical", (json_int_t)identical,
                     "close", (json_int_t)close, "different", (json_int_t)different);
}

int qzctl_replay_put_json(const struct replaying *r)
{
    const struct replay_counts *counts = &r->counts;
    json_t *recorded_by = json_array();
    for (size_t i = 0; i < r->n_programs; i++) {
        const struct program *program = &r->programs[i];
        (void)json_array_append_new(
            recorded_by, json_pack("{s:s, s:s, s:s, s:I, s:b}", "build", program->build, "kernel",
                                   program->kernel, "kernel_again", kernel_again(program->kernel),
                                   "positions", (json_int_t)program->positions, "this",
                                   qzctl_replay_is_this(program->build, program->kernel)));
    }
    json_t *object = json_pack(
        "{s:o, s:o, s:I, s:o, s:s, s:s, s:{s:f, s:f}, s:I, s:O, s:I, s:f}", "games",
        counts_json(counts->games, counts->games_identical, counts->games_close,
                    counts->games_different),
        "positions",
        counts_json(counts->positions, counts->identical, counts->close, counts->different),
        "left_out", (json_int_t)r->skipped, "recorded_by", recorded_by, "build", build_id, "kernel",
        inference_kernel(), "tolerance", "net", r->options->tolerance.net, "search",
        r->options->tolerance.search, "n_differences", (json_int_t)r->n_differences, "differences",
        r->differences, "evaluations", (json_int_t)counts->evaluations, "seconds",
        clock_seconds(CLOCK_MONOTONIC) - r->began);
    char *text = object == NULL ? NULL : json_dumps(object, JSON_REAL_PRECISION(9));
    int code = text == NULL ? qzctl_fail("out of memory") : qzctl_put_json(text);
    free(text);
    json_decref(object);
    return code;
}

int qzctl_replay_put_text(const struct replaying *r)
{
    const struct replay_counts *counts = &r->counts;
    if (r->n_differences > r->n_said) {
        printf("... and %llu more differences (--differences N)\n",
               (unsigned long long)(r->n_differences - r->n_said));
    }
    bool others = false;
    for (size_t i = 0; i < r->n_programs; i++) {
        const struct program *program = &r->programs[i];
        if (!qzctl_replay_is_this(program->build, program->kernel)) {
            others = true;
            const char *again = kernel_again(program->kernel);
            bool same = strcmp(again, program->kernel) == 0;
            printf("%llu positions were recorded by build %s, kernel %s%s%s\n",
                   (unsigned long long)program->positions, program->build, program->kernel,
                   same ? "" : "; searched again by ", same ? "" : again);
        }
    }
    if (others) {
        printf("this is build %s", build_id);
        if (r->options->exact) {
            printf("; all bits were compared\n");
        } else {
            printf(":\nv and v_d were compared within %g, q and d within %g; visits and moves may "
                   "differ\n",
                   r->options->tolerance.net, r->options->tolerance.search);
        }
    }
    printf("%llu game%s, %llu positions in %.1f s: ", (unsigned long long)counts->games,
           counts->games == 1 ? "" : "s", (unsigned long long)counts->positions,
           clock_seconds(CLOCK_MONOTONIC) - r->began);
    if (counts->games_identical == counts->games) {
        printf("identical\n");
    } else {
        printf("%llu games identical, %llu within the tolerance, %llu different\n",
               (unsigned long long)counts->games_identical, (unsigned long long)counts->games_close,
               (unsigned long long)counts->games_different);
        printf("of the positions %llu identical, %llu within the tolerance, %llu different\n",
               (unsigned long long)counts->identical, (unsigned long long)counts->close,
               (unsigned long long)counts->different);
    }
    if (r->skipped > 0) {
        printf("%llu games were left out\n", (unsigned long long)r->skipped);
    }
    return qzctl_flush();
}
