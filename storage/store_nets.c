#include "storage/store_internal.h"

#include <stdlib.h>
#include <string.h>

#define NET_COLUMNS \
    "id, line, generation, parent_id, sha256, game, arch, origin, created_at, file, state"

void store_net_finish(struct store_net *net)
{
    free(net->arch);
    net->arch = NULL;
}

/* The row at hand, into *ret; the query is ended. */
static int take_net(struct query *query, struct store_net *ret)
{
    char *arch = strdup(query_column_text(query, 6));
    if (arch == NULL) {
        query_end(query);
        return error_set(query->err, ERROR_NO_MEMORY, "%s: out of memory", query->what);
    }
    struct store_net net = {
        .id = query_column_int(query, 0),
        .generation = (uint32_t)query_column_int(query, 2),
        .parent_id = query_column_int(query, 3),
        .arch = arch,
        .created_at = query_column_int(query, 8),
    };
    query_column_copy(query, 1, net.line, sizeof net.line);
    query_column_copy(query, 4, net.sha256, sizeof net.sha256);
    query_column_copy(query, 5, net.game, sizeof net.game);
    query_column_copy(query, 7, net.origin, sizeof net.origin);
    query_column_copy(query, 9, net.file, sizeof net.file);
    query_column_copy(query, 10, net.state, sizeof net.state);
    int r = query_end(query);
    if (r < 0) {
        store_net_finish(&net);
        return r;
    }
    *ret = net;
    return 0;
}

static int insert_net(struct store *store, const struct store_net *net, int64_t *ret_id,
                      struct error *err)
{
    int r = 0;
    if (strcmp(net->state, "current") == 0) {
        struct query old =
            query_begin(store, "UPDATE nets SET state = 'old' WHERE line = ? AND state = 'current'",
                        "replacing the current net", err);
        query_text(&old, net->line);
        r = query_run(&old);
        if (r < 0) {
            return r;
        }
    }
    struct query query = query_begin(store,
                                     "INSERT INTO nets(line, generation, parent_id, sha256, game,"
                                     " arch, origin, created_at, file, state)"
                                     " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                                     "adding a net", err);
    query_text(&query, net->line);
    query_int(&query, net->generation);
    query_int_or_null(&query, net->parent_id != 0, net->parent_id);
    query_text(&query, net->sha256);
    query_text(&query, net->game);
    query_text(&query, net->arch);
    query_text(&query, net->origin);
    query_int(&query, net->created_at);
    query_text(&query, net->file);
    query_text(&query, net->state);
    r = query_run(&query);
    if (r < 0) {
        bool conflict = sqlite3_extended_errcode(store->db) == SQLITE_CONSTRAINT_UNIQUE;
        return conflict ? error_set(err, ERROR_CONFLICT,
                                    "net %.12s, generation %u of line %s: the store has that net "
                                    "or that generation already",
                                    net->sha256, net->generation, net->line)
                        : r;
    }
    *ret_id = sqlite3_last_insert_rowid(store->db);
    return 0;
}

int store_add_net(struct store *store, const struct store_net *net, int64_t *ret_id,
                  struct error *err)
{
    int64_t id = 0;
    int r = store_enter(store, err);
    if (r < 0) {
        return r;
    }
    r = store_leave(store, insert_net(store, net, &id, err), 1, err);
    if (r == 0) {
        *ret_id = id;
    }
    return r;
}

int store_get_net(struct store *store, int64_t id, struct store_net *ret, struct error *err)
{
    struct query query =
        query_begin(store, "SELECT " NET_COLUMNS " FROM nets WHERE id = ?", "reading a net", err);
    query_int(&query, id);
    int r = query_step(&query);
    if (r == 1) {
        return take_net(&query, ret);
    }
    return r < 0 ? r : error_set(err, ERROR_NOT_FOUND, "no net has id %lld", (long long)id);
}

int store_find_net(struct store *store, const char *sha256, struct store_net *ret,
                   struct error *err)
{
    size_t length = strlen(sha256);
    if (length < 8 || length > RECORD_SHA256_BYTES - 1 ||
        strspn(sha256, "0123456789abcdef") != length) {
        return error_set(err, ERROR_INVALID, "\"%.80s\" is not 8 to 64 lower-case hex digits",
                         sha256);
    }
    /* 'g' is behind every hex digit: a range of the index, no scan */
    struct query query = query_begin(store,
                                     "SELECT " NET_COLUMNS ", count(*) OVER () FROM nets"
                                     " WHERE sha256 >= ?1 AND sha256 < ?1 || 'g' LIMIT 2",
                                     "looking for a net", err);
    query_text(&query, sha256);
    int r = query_step(&query);
    if (r == 1 && query_column_int(&query, 11) > 1) {
        query_end(&query);
        return error_set(err, ERROR_INVALID, "\"%s\" begins more than one net's sha256", sha256);
    }
    if (r == 1) {
        return take_net(&query, ret);
    }
    return r < 0 ? r : error_set(err, ERROR_NOT_FOUND, "no net's sha256 begins with %s", sha256);
}

int store_current_net(struct store *store, const char *line, struct store_net *ret,
                      struct error *err)
{
    struct query query = query_begin(store,
                                     "SELECT " NET_COLUMNS " FROM nets"
                                     " WHERE line = ? AND state = 'current'"
                                     " ORDER BY generation DESC LIMIT 1",
                                     "reading the current net", err);
    query_text(&query, line);
    int r = query_step(&query);
    if (r == 1) {
        return take_net(&query, ret);
    }
    return r < 0 ? r : error_set(err, ERROR_NOT_FOUND, "line %s has no current net", line);
}

int store_net_at(struct store *store, const char *line, int64_t generation, struct store_net *ret,
                 struct error *err)
{
    struct query query = query_begin(store,
                                     "SELECT " NET_COLUMNS " FROM nets"
                                     " WHERE line = ? AND generation = ? AND state <> 'rejected'",
                                     "reading a net", err);
    query_text(&query, line);
    query_int(&query, generation);
    int r = query_step(&query);
    if (r == 1) {
        return take_net(&query, ret);
    }
    return r < 0 ? r
                 : error_set(err, ERROR_NOT_FOUND, "line %s has no generation %lld", line,
                             (long long)generation);
}

int store_net_id(struct store *store, const char *sha256, int64_t *ret, struct error *err)
{
    struct query query =
        query_begin(store, "SELECT id FROM nets WHERE sha256 = ?", "looking for a net", err);
    query_text(&query, sha256);
    int r = query_step(&query);
    if (r == 1) {
        *ret = query_column_int(&query, 0);
        return query_end(&query);
    }
    return r < 0 ? r : error_set(err, ERROR_NOT_FOUND, "net %.64s is not in the store", sha256);
}

/* ---- searches ---- */

/* The four strings end to end, each with its NUL: equal exactly if the searches are. */
static char *search_key(const struct record_search *search)
{
    const char *const parts[] = {search->net_sha256, search->build, search->kernel,
                                 search->settings};
    size_t size = 0;
    for (size_t i = 0; i < 4; i++) {
        size += strlen(parts[i]) + 1;
    }
    char *key = malloc(size);
    char *end = key;
    for (size_t i = 0; key != NULL && i < 4; i++) {
        end = stpcpy(end, parts[i]) + 1;
    }
    return key;
}

static bool search_is(const struct store_search *known, const struct record_search *search)
{
    const char *const parts[] = {search->net_sha256, search->build, search->kernel,
                                 search->settings};
    const char *at = known->text;
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(at, parts[i]) != 0) {
            return false;
        }
        at += strlen(at) + 1;
    }
    return true;
}

void store_forget_searches(struct store *store)
{
    for (int i = 0; i < STORE_SEARCHES_CACHED; i++) {
        free(store->searches[i].text);
        store->searches[i] = (struct store_search){0};
    }
}

static int find_or_add_search(struct store *store, const struct record_search *search, int64_t *ret,
                              struct error *err)
{
    int64_t net_id = 0;
    int r = store_net_id(store, search->net_sha256, &net_id, err);
    if (r < 0) {
        return r;
    }
    struct query find = query_begin(store,
                                    "SELECT id FROM searches WHERE net_id = ? AND build = ?"
                                    " AND kernel = ? AND settings = ?",
                                    "looking for a search", err);
    query_int(&find, net_id);
    query_text(&find, search->build);
    query_text(&find, search->kernel);
    query_text(&find, search->settings);
    r = query_step(&find);
    if (r == 1) {
        *ret = query_column_int(&find, 0);
        return query_end(&find);
    }
    if (r < 0) {
        return r;
    }
    struct query add = query_begin(
        store, "INSERT INTO searches(net_id, build, kernel, settings) VALUES(?, ?, ?, ?)",
        "adding a search", err);
    query_int(&add, net_id);
    query_text(&add, search->build);
    query_text(&add, search->kernel);
    query_text(&add, search->settings);
    r = query_run(&add);
    if (r == 0) {
        *ret = sqlite3_last_insert_rowid(store->db);
    }
    return r;
}

int store_search_id(struct store *store, const struct record_search *search, int64_t *ret,
                    struct error *err)
{
    for (int i = 0; i < STORE_SEARCHES_CACHED; i++) {
        if (store->searches[i].id != 0 && search_is(&store->searches[i], search)) {
            *ret = store->searches[i].id;
            return 0;
        }
    }
    int r = find_or_add_search(store, search, ret, err);
    if (r < 0) {
        return r;
    }
    struct store_search entry = {.id = *ret};
    entry.text = search_key(search);
    if (entry.text != NULL) { /* else only slower the next time */
        free(store->searches[store->next_search].text);
        store->searches[store->next_search] = entry;
        store->next_search = (store->next_search + 1) % STORE_SEARCHES_CACHED;
    }
    return 0;
}
