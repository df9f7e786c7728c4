/* Events, changes of settings, what the run knows of itself, and counters. */
#include "storage/store_internal.h"

#include <string.h>

int store_put_event(struct store *store, int64_t at, const char *severity, const char *what,
                    const char *detail, struct error *err)
{
    int r = store_enter(store, err);
    if (r < 0) {
        return r;
    }
    struct query query =
        query_begin(store, "INSERT INTO events(at, severity, what, detail) VALUES(?, ?, ?, ?)",
                    "adding an event", err);
    query_int(&query, at);
    query_text(&query, severity);
    query_text(&query, what);
    query_text(&query, detail);
    return store_leave(store, query_run(&query), 1, err);
}

int store_put_setting(struct store *store, int64_t at, const char *key, const char *old_value,
                      const char *new_value, const char *by, struct error *err)
{
    int r = store_enter(store, err);
    if (r < 0) {
        return r;
    }
    struct query query =
        query_begin(store, "INSERT INTO settings_log(at, key, old, new, by) VALUES(?, ?, ?, ?, ?)",
                    "adding a change of settings", err);
    query_int(&query, at);
    query_text(&query, key);
    query_text(&query, old_value);
    query_text(&query, new_value);
    query_text(&query, by);
    return store_leave(store, query_run(&query), 1, err);
}

int store_put_diagnosis(struct store *store, const struct store_diagnosis *diagnosis,
                        struct error *err)
{
    int r = store_enter(store, err);
    if (r < 0) {
        return r;
    }
    struct query query =
        query_begin(store,
                    "INSERT OR REPLACE INTO diagnoses(at, generation, name, state, figure, detail,"
                    " bound) VALUES(?, ?, ?, ?, ?, ?, ?)",
                    "adding a diagnosis", err);
    query_int(&query, diagnosis->at);
    query_int(&query, diagnosis->generation);
    query_text(&query, diagnosis->name);
    query_text(&query, diagnosis->state);
    query_real(&query, diagnosis->figure);
    query_text(&query, diagnosis->detail);
    query_text(&query, diagnosis->bound);
    return store_leave(store, query_run(&query), 1, err);
}

int store_set_run(struct store *store, const char *key, const char *value, struct error *err)
{
    int r = store_enter(store, err);
    if (r < 0) {
        return r;
    }
    struct query query = query_begin(store,
                                     "INSERT INTO run(key, value) VALUES(?, ?)"
                                     " ON CONFLICT DO UPDATE SET value = excluded.value",
                                     "writing to run", err);
    query_text(&query, key);
    query_text(&query, value);
    return store_leave(store, query_run(&query), 1, err);
}

int store_get_run(struct store *store, const char *key, char *ret, size_t size, struct error *err)
{
    struct query query =
        query_begin(store, "SELECT value FROM run WHERE key = ?", "reading from run", err);
    query_text(&query, key);
    int r = query_step(&query);
    if (r == 0) {
        return error_set(err, ERROR_NOT_FOUND, "run has no %s", key);
    }
    if (r == 1) {
        bool fits = strlen(query_column_text(&query, 0)) < size;
        if (fits) {
            query_column_copy(&query, 0, ret, size);
        }
        r = query_end(&query);
        r = r < 0 || fits
                ? r
                : error_set(err, ERROR_INVALID, "run's %s is longer than %zu", key, size - 1);
    }
    return r;
}

static int add_usage(struct store *store, const char *net_sha256, const struct store_usage *usage,
                     struct error *err)
{
    int64_t net_id = 0;
    int r = store_net_id(store, net_sha256, &net_id, err);
    if (r < 0) {
        return r;
    }
    struct query query =
        query_begin(store,
                    "INSERT INTO net_usage(net_id, evaluations, lookups, cache_hits, positions,"
                    " busy_ms) VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                    " evaluations = evaluations + excluded.evaluations,"
                    " lookups = lookups + excluded.lookups,"
                    " cache_hits = cache_hits + excluded.cache_hits,"
                    " positions = positions + excluded.positions,"
                    " busy_ms = busy_ms + excluded.busy_ms",
                    "adding to net_usage", err);
    query_int(&query, net_id);
    query_int(&query, usage->evaluations);
    query_int(&query, usage->lookups);
    query_int(&query, usage->cache_hits);
    query_int(&query, usage->positions);
    query_int(&query, usage->busy_ms);
    return query_run(&query);
}

int store_add_usage(struct store *store, const char *net_sha256, const struct store_usage *usage,
                    struct error *err)
{
    int r = store_enter(store, err);
    return r < 0 ? r : store_leave(store, add_usage(store, net_sha256, usage, err), 1, err);
}

int store_add_core_time(struct store *store, const char *what, int64_t ms, struct error *err)
{
    int r = store_enter(store, err);
    if (r < 0) {
        return r;
    }
    struct query query = query_begin(store,
                                     "INSERT INTO core_time(what, ms) VALUES(?, ?)"
                                     " ON CONFLICT DO UPDATE SET ms = ms + excluded.ms",
                                     "adding to core_time", err);
    query_text(&query, what);
    query_int(&query, ms);
    return store_leave(store, query_run(&query), 1, err);
}
