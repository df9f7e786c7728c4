#include "storage/store_internal.h"

/* In the order of the columns in the two statements below. */
static void bind_training(struct query *query, const struct store_training *training)
{
    query_int(query, training->parent_id);
    query_int(query, training->generation);
    query_int(query, training->started_at);
    query_int(query, training->first_seq);
    query_int(query, training->last_seq);
    query_int(query, training->positions);
    query_int(query, training->new_positions);
    query_int(query, training->all_positions);
    query_int(query, training->samples);
    query_real(query, training->q_ratio);
    query_real(query, training->lambda);
    query_text(query, training->q_kind);
    query_int_or_null(query, training->teacher_id != 0, training->teacher_id);
    query_real(query, training->teacher_policy);
    query_real(query, training->teacher_value);
    query_int(query, training->steps);
    query_int(query, training->rows_without_q);
    query_real(query, training->policy_loss);
    query_real(query, training->policy_entropy);
    query_real(query, training->value_loss);
    query_int(query, training->held_out_positions);
    query_real(query, training->held_out_policy_loss);
    query_real(query, training->held_out_policy_entropy);
    query_real(query, training->held_out_value_loss);
    query_real(query, training->grad_norm);
    query_real(query, training->learning_rate);
    query_real(query, training->samples_per_s);
    query_text(query, training->settings);
}

static int insert_training(struct store *store, const struct store_training *training,
                           int64_t *ret_id, struct error *err)
{
    struct query query = query_begin(
        store,
        "INSERT INTO trainings(state, parent_id, generation, started_at, first_seq, last_seq,"
        " positions, new_positions, all_positions, samples, q_ratio, lambda, q_kind, teacher_id,"
        " teacher_policy, teacher_value, steps, rows_without_q, policy_loss, policy_entropy,"
        " value_loss, held_out_positions, held_out_policy_loss, held_out_policy_entropy,"
        " held_out_value_loss, grad_norm, learning_rate, samples_per_s, settings)"
        " VALUES('running',?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        "beginning a training", err);
    bind_training(&query, training);
    int r = query_run(&query);
    if (r == 0) {
        *ret_id = sqlite3_last_insert_rowid(store->db);
    }
    return r;
}

int store_begin_training(struct store *store, const struct store_training *training,
                         int64_t *ret_id, struct error *err)
{
    int64_t id = 0;
    int r = store_enter(store, err);
    if (r < 0) {
        return r;
    }
    r = store_leave(store, insert_training(store, training, &id, err), 1, err);
    if (r == 0) {
        *ret_id = id;
    }
    return r;
}

static int update_training(struct store *store, int64_t id, const struct store_training *training,
                           int64_t net_id, const char *failure, struct error *err)
{
    struct query query = query_begin(
        store,
        "UPDATE trainings SET parent_id = ?, generation = ?, started_at = ?, first_seq = ?,"
        " last_seq = ?, positions = ?, new_positions = ?, all_positions = ?, samples = ?,"
        " q_ratio = ?, lambda = ?, q_kind = ?, teacher_id = ?, teacher_policy = ?,"
        " teacher_value = ?, steps = ?, rows_without_q = ?, policy_loss = ?, policy_entropy = ?,"
        " value_loss = ?, held_out_positions = ?, held_out_policy_loss = ?,"
        " held_out_policy_entropy = ?, held_out_value_loss = ?, grad_norm = ?,"
        " learning_rate = ?, samples_per_s = ?, settings = ?,"
        " finished_at = ?, net_id = ?, state = ?, failure = ?"
        " WHERE id = ? AND state = 'running'",
        "finishing a training", err);
    bind_training(&query, training);
    query_int(&query, training->finished_at);
    query_int_or_null(&query, net_id != 0, net_id);
    query_text(&query, net_id != 0 ? "finished" : "failed");
    query_text(&query, net_id != 0 ? NULL : failure);
    query_int(&query, id);
    int r = query_run(&query);
    if (r == 0 && sqlite3_changes(store->db) == 0) {
        r = error_set(err, ERROR_NOT_FOUND, "no training %lld is running", (long long)id);
    }
    return r;
}

int store_finish_training(struct store *store, int64_t id, const struct store_training *training,
                          int64_t net_id, const char *failure, struct error *err)
{
    int r = store_enter(store, err);
    return r < 0 ? r
                 : store_leave(store, update_training(store, id, training, net_id, failure, err), 1,
                               err);
}

int store_running_training(struct store *store, int64_t *ret_id, struct error *err)
{
    struct query query =
        query_begin(store, "SELECT id FROM trainings WHERE state = 'running' ORDER BY id DESC",
                    "looking for a running training", err);
    int r = query_step(&query);
    if (r == 1) {
        *ret_id = query_column_int(&query, 0);
        return query_end(&query);
    }
    return r < 0 ? r : error_set(err, ERROR_NOT_FOUND, "no training is running");
}

static int put_step(struct store *store, int64_t training_id,
                    const struct store_training_step *step, struct error *err)
{
    /* A training that goes on from its checkpoint comes by some steps again. */
    struct query query =
        query_begin(store,
                    "INSERT OR REPLACE INTO training_steps(training_id, step, samples,"
                    " policy_loss, value_loss, grad_norm, learning_rate) VALUES(?,?,?,?,?,?,?)",
                    "adding a training's step", err);
    query_int(&query, training_id);
    query_int(&query, step->step);
    query_int(&query, step->samples);
    query_real(&query, step->policy_loss);
    query_real(&query, step->value_loss);
    query_real(&query, step->grad_norm);
    query_real(&query, step->learning_rate);
    return query_run(&query);
}

int store_put_training_step(struct store *store, int64_t training_id,
                            const struct store_training_step *step, struct error *err)
{
    int r = store_enter(store, err);
    return r < 0 ? r : store_leave(store, put_step(store, training_id, step, err), 1, err);
}

int store_put_evaluation(struct store *store, int64_t net_id, const char *suite, uint32_t nodes,
                         const char *metric, double value, int64_t n, int64_t at, double seconds,
                         struct error *err)
{
    int r = store_enter(store, err);
    if (r < 0) {
        return r;
    }
    struct query query =
        query_begin(store,
                    "INSERT OR REPLACE INTO evaluations(net_id, suite, nodes, metric, value, n,"
                    " at, seconds) VALUES(?,?,?,?,?,?,?,?)",
                    "adding an evaluation", err);
    query_int(&query, net_id);
    query_text(&query, suite);
    query_int(&query, nodes);
    query_text(&query, metric);
    query_real(&query, value);
    query_int(&query, n);
    query_int(&query, at);
    query_real(&query, seconds);
    return store_leave(store, query_run(&query), 1, err);
}
