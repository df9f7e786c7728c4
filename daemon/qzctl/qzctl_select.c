/* Statements of our own, by the same way as a person's: POST /sql, or the store. */
#include "daemon/qzctl/qzctl_games.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_UID_DIGITS = 4, LEAST_DIGITS_OF_NUMERIC_UID = 8, UID_DIGITS = 32 };

bool qzctl_game_condition(const char *which, char ret_sql[GAME_CONDITION_BYTES])
{
    size_t length = strlen(which);
    bool number = length > 0 && which[strspn(which, "0123456789")] == '\0';
    bool hex = length >= LEAST_UID_DIGITS && length <= UID_DIGITS &&
               which[strspn(which, "0123456789abcdef")] == '\0';
    char id[64] = "";
    char uid[160] = "";

    if (strcmp(which, "last") == 0) {
        snprintf(ret_sql, GAME_CONDITION_BYTES,
                 "id = (SELECT id FROM games WHERE seq = (SELECT max(seq) FROM games))");
        return true;
    }
    if (number && length <= 18) {
        snprintf(id, sizeof id, "id = %s", which);
    }
    if (hex && (!number || length >= LEAST_DIGITS_OF_NUMERIC_UID)) {
        /* 'g' is behind every hex digit: a range of the index, no scan */
        snprintf(uid, sizeof uid, "(uid >= '%s' AND uid < '%sg')", which, which);
    }
    snprintf(ret_sql, GAME_CONDITION_BYTES, "(%s%s%s)", id,
             *id != '\0' && *uid != '\0' ? " OR " : "", uid);
    return *id != '\0' || *uid != '\0';
}

/* {"columns": [...], "rows": [[...], ...]} -> [{...}, ...] */
static json_t *rows_as_objects(const json_t *answer)
{
    const json_t *columns = json_object_get(answer, "columns");
    json_t *objects = json_array();
    const json_t *row;
    const json_t *column;
    size_t i;
    size_t c;
    json_array_foreach(json_object_get(answer, "rows"), i, row)
    {
        json_t *object = json_object();
        json_array_foreach(columns, c, column)
        {
            (void)json_object_set(object, json_string_value(column), json_array_get(row, c));
        }
        if (json_array_append_new(objects, object) != 0) {
            json_decref(objects);
            return NULL;
        }
    }
    return objects;
}

int qzctl_select(struct qzctl *qzctl, uint32_t rows, json_t **ret_rows, const char *format, ...)
{
    va_list arguments;
    bool from_daemon = false;
    char *json = NULL;
    *ret_rows = NULL;
    va_start(arguments, format);
    char *sql = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    if (sql == NULL) {
        return qzctl_fail("out of memory");
    }
    struct query_request request = {
        .kind = QUERY_SQL, .sql = sql, .n = rows, .time_limit_ms = QUERY_MAX_MS};
    int r = qzctl_ask(qzctl, &request, &from_daemon, &json);
    if (r == QZCTL_OK) {
        json_t *answer = qzctl_object(json);
        *ret_rows = answer == NULL ? NULL : rows_as_objects(answer);
        json_decref(answer);
        r = *ret_rows == NULL ? QZCTL_FAILED : QZCTL_OK;
    }
    sqlite3_free(sql);
    free(json);
    return r;
}
