/* Rows of JSON objects as tables. */
#include "daemon/qzctl/qzctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool qzctl_ends(const char *text, const char *ending)
{
    size_t n = strlen(text);
    size_t m = strlen(ending);
    return n >= m && strcmp(text + n - m, ending) == 0;
}

const char *qzctl_show_plain(const char *key, const json_t *value, char ret_text[64])
{
    if (json_is_integer(value) && (qzctl_ends(key, "_at") || strcmp(key, "at") == 0)) {
        qzctl_time_text(json_integer_value(value), ret_text);
        return ret_text;
    }
    return qzctl_cell(value, false, ret_text);
}

/* Words to the left, numbers to the right. */
static enum table_align align_of(const json_t *rows, const char *key)
{
    const json_t *row;
    size_t i;
    json_array_foreach(rows, i, row)
    {
        if (json_is_string(json_object_get(row, key))) {
            return TABLE_LEFT;
        }
    }
    return TABLE_RIGHT;
}

/* The names of the first row's members. */
static json_t *names_of_first(const json_t *rows)
{
    json_t *names = json_array();
    const char *key;
    json_t *value;
    json_object_foreach(json_array_get(rows, 0), key, value)
    {
        (void)json_array_append_new(names, json_string(key));
    }
    return names;
}

struct table *qzctl_rows_table(const json_t *columns, const json_t *rows, qzctl_show *show)
{
    struct table *table = table_create();
    json_t *names = columns == NULL ? names_of_first(rows) : json_incref((json_t *)columns);
    const json_t *column;
    const json_t *row;
    size_t c;
    size_t i;
    char text[64];
    if (table == NULL) {
        json_decref(names);
        return NULL;
    }
    json_array_foreach(names, c, column)
    {
        const char *key = json_string_value(column);
        table_column(table, key, align_of(rows, key), 0);
    }
    json_array_foreach(rows, i, row)
    {
        json_array_foreach(names, c, column)
        {
            const char *key = json_string_value(column);
            table_cell(table, show(key, json_object_get(row, key), text));
        }
    }
    json_decref(names);
    return table;
}

int qzctl_put_table(struct table *table, uint32_t width)
{
    int r = table == NULL ? ERROR_NO_MEMORY : table_print(table, stdout, width);
    table_destroy(table);
    return r == ERROR_NO_MEMORY ? qzctl_fail("out of memory") : qzctl_flush();
}

int qzctl_put_object(json_t *object)
{
    char *text = object == NULL ? NULL : json_dumps(object, JSON_REAL_PRECISION(9));
    int r = text == NULL ? qzctl_fail("out of memory") : qzctl_put_json(text);
    free(text);
    json_decref(object);
    return r;
}
