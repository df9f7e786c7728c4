#include "daemon/qzctl/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 2 };

struct column {
    char *name;
    enum table_align align;
    uint32_t rank;
};

struct table {
    uint32_t n_columns;
    struct column *columns;
    size_t n_cells, max_cells;
    char **cells; /* as given; NULL: nothing */
    bool out_of_memory;
};

struct table *table_create(void)
{
    return calloc(1, sizeof(struct table));
}

void table_destroy(struct table *table)
{
    if (table == NULL) {
        return;
    }
    for (uint32_t i = 0; i < table->n_columns; i++) {
        free(table->columns[i].name);
    }
    for (size_t i = 0; i < table->n_cells; i++) {
        free(table->cells[i]);
    }
    free(table->columns);
    free(table->cells);
    free(table);
}

void table_column(struct table *table, const char *name, enum table_align align, uint32_t rank)
{
    struct column *columns =
        realloc(table->columns, (table->n_columns + 1) * sizeof *table->columns);
    if (columns == NULL) {
        table->out_of_memory = true;
        return;
    }
    table->columns = columns;
    char *copy = strdup(name);
    table->out_of_memory |= copy == NULL;
    columns[table->n_columns++] = (struct column){copy, align, rank};
}

void table_cell(struct table *table, const char *text)
{
    if (table->n_cells == table->max_cells) {
        size_t max = table->max_cells == 0 ? 64 : 2 * table->max_cells;
        char **cells = realloc(table->cells, max * sizeof *cells);
        if (cells == NULL) {
            table->out_of_memory = true;
            return;
        }
        table->cells = cells;
        table->max_cells = max;
    }
    char *copy = NULL;
    if (text != NULL && *text != '\0') {
        copy = strdup(text);
        table->out_of_memory |= copy == NULL;
    }
    table->cells[table->n_cells++] = copy;
}

void table_cellf(struct table *table, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    table_cell(table, text);
}

uint32_t table_rows(const struct table *table)
{
    return table->n_columns == 0 ? 0 : (uint32_t)(table->n_cells / table->n_columns);
}

/* ---- characters ---- */

/* Length in bytes of the character at `text` that may be sent as it is; 0: shown as \xNN. */
static size_t plain_character(const char *text)
{
    const unsigned char *b = (const unsigned char *)text;
    size_t n = b[0] < 0x80 ? 1 : b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
    if (b[0] < 0x20 || b[0] == 0x7f || (b[0] >= 0x80 && b[0] < 0xc2) || b[0] > 0xf4) {
        return 0;
    }
    if (b[0] == 0xc2 && b[1] < 0xa0) { /* C1 controls: some terminals obey them */
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((b[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n;
}

/* Walk over text; with out print it. Returns its width. */
static uint32_t walk(const char *text, FILE *out)
{
    uint32_t width = 0;
    while (*text != '\0') {
        size_t n = plain_character(text);
        if (n == 0) {
            char shown[8];
            if (*text == '\n' || *text == '\t') {
                snprintf(shown, sizeof shown, "\\%c", *text == '\n' ? 'n' : 't');
            } else {
                snprintf(shown, sizeof shown, "\\x%02x", (unsigned char)*text);
            }
            if (out != NULL) {
                fputs(shown, out);
            }
            width += (uint32_t)strlen(shown);
            text++;
            continue;
        }
        if (out != NULL) {
            fwrite(text, 1, n, out);
        }
        width++;
        text += n;
    }
    return width;
}

uint32_t table_text_width(const char *text)
{
    return walk(text, NULL);
}

void table_put_safe(const char *text, FILE *out)
{
    (void)walk(text, out);
}

/* ---- layout ---- */

static const char *cell_at(const struct table *table, size_t row, uint32_t column)
{
    const char *text = table->cells[row * table->n_columns + column];
    return text == NULL ? "" : text;
}

static void measure(const struct table *table, uint32_t *ret_widths)
{
    for (uint32_t c = 0; c < table->n_columns; c++) {
        ret_widths[c] = table_text_width(table->columns[c].name);
        for (size_t r = 0; r < table_rows(table); r++) {
            uint32_t width = table_text_width(cell_at(table, r, c));
            ret_widths[c] = width > ret_widths[c] ? width : ret_widths[c];
        }
    }
}

/* Hide columns, least worth first, until the rest fits. Returns how many are hidden. */
static uint32_t fit(const struct table *table, const uint32_t *widths, uint32_t width,
                    bool *ret_hidden)
{
    uint32_t total = 0;
    uint32_t n_hidden = 0;
    for (uint32_t c = 0; c < table->n_columns; c++) {
        total += widths[c] + (c > 0 ? GAP : 0);
        ret_hidden[c] = false;
    }
    while (width > 0 && total > width) {
        uint32_t worst = table->n_columns;
        for (uint32_t c = 0; c < table->n_columns; c++) {
            if (!ret_hidden[c] && table->columns[c].rank > 0 &&
                (worst == table->n_columns ||
                 table->columns[c].rank >= table->columns[worst].rank)) {
                worst = c;
            }
        }
        if (worst == table->n_columns) {
            break; /* what is left always stands */
        }
        ret_hidden[worst] = true;
        n_hidden++;
        total -= widths[worst] + GAP;
    }
    return n_hidden;
}

static void pad(FILE *out, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        fputc(' ', out);
    }
}

/* One line of texts; no blanks at its end. */
static void print_line(const struct table *table, const uint32_t *widths, const bool *hidden,
                       int64_t row, FILE *out)
{
    uint32_t owed = 0; /* blanks that only text to come makes worth printing */
    bool first = true;
    for (uint32_t c = 0; c < table->n_columns; c++) {
        if (hidden[c]) {
            continue;
        }
        const char *text = row < 0 ? table->columns[c].name : cell_at(table, (size_t)row, c);
        uint32_t room = widths[c] - table_text_width(text);
        owed += first ? 0 : GAP;
        first = false;
        if (table->columns[c].align == TABLE_RIGHT) {
            owed += room;
            room = 0;
        }
        if (*text == '\0') {
            owed += room;
            continue;
        }
        pad(out, owed);
        table_put_safe(text, out);
        owed = room;
    }
    fputc('\n', out);
}

static void print_rule(const struct table *table, const uint32_t *widths, const bool *hidden,
                       FILE *out)
{
    bool first = true;
    for (uint32_t c = 0; c < table->n_columns; c++) {
        if (hidden[c]) {
            continue;
        }
        pad(out, first ? 0 : GAP);
        first = false;
        for (uint32_t i = 0; i < widths[c]; i++) {
            fputc('-', out);
        }
    }
    fputc('\n', out);
}

static void print_hidden(const struct table *table, const bool *hidden, uint32_t n_hidden,
                         FILE *out)
{
    const char *separator = " ";
    fprintf(out, "(%u column%s left out for width:", n_hidden, n_hidden == 1 ? "" : "s");
    for (uint32_t c = 0; c < table->n_columns; c++) {
        if (hidden[c]) {
            fputs(separator, out);
            table_put_safe(table->columns[c].name, out);
            separator = ", ";
        }
    }
    fputs(")\n", out);
}

int table_print(const struct table *table, FILE *out, uint32_t width)
{
    uint32_t *widths = calloc(table->n_columns + 1, sizeof *widths);
    bool *hidden = calloc(table->n_columns + 1, sizeof *hidden);
    if (table->out_of_memory || widths == NULL || hidden == NULL) {
        free(widths);
        free(hidden);
        return ERROR_NO_MEMORY;
    }
    measure(table, widths);
    uint32_t n_hidden = fit(table, widths, width, hidden);
    print_line(table, widths, hidden, -1, out);
    print_rule(table, widths, hidden, out);
    for (int64_t row = 0; row < table_rows(table); row++) {
        print_line(table, widths, hidden, row, out);
    }
    if (n_hidden > 0) {
        print_hidden(table, hidden, n_hidden, out);
    }
    free(widths);
    free(hidden);
    return ferror(out) ? ERROR_IO : 0;
}

static void put_csv(const char *text, bool last, FILE *out)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, out);
    } else {
        fputc('"', out);
        for (; *text != '\0'; text++) {
            if (*text == '"') {
                fputc('"', out);
            }
            fputc(*text, out);
        }
        fputc('"', out);
    }
    fputs(last ? "\r\n" : ",", out);
}

int table_print_csv(const struct table *table, FILE *out)
{
    if (table->out_of_memory) {
        return ERROR_NO_MEMORY;
    }
    for (uint32_t c = 0; c < table->n_columns; c++) {
        put_csv(table->columns[c].name, c + 1 == table->n_columns, out);
    }
    for (size_t r = 0; r < table_rows(table); r++) {
        for (uint32_t c = 0; c < table->n_columns; c++) {
            put_csv(cell_at(table, r, c), c + 1 == table->n_columns, out);
        }
    }
    return ferror(out) ? ERROR_IO : 0;
}
