/* Tables of text for terminals, pipes and spreadsheets. Cells are added row by row; what a terminal would
 * obey (escape sequences, newlines) is shown, not sent. An allocation that fails is remembered and told by
 * table_print(), so that callers check once. */
#ifndef DAEMON_TABLE_H
#define DAEMON_TABLE_H

#include "storage/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum table_align { TABLE_LEFT, TABLE_RIGHT };

struct table;

struct table *table_create(void);        /* NULL: out of memory */
void table_destroy(struct table *table); /* NULL is allowed */
/* Columns come before cells. rank says how much a column is worth where not all fit: those of rank 0 always stand, of the
 * others the highest goes first. */
void table_column(struct table *table, const char *name, enum table_align align, uint32_t rank);
/* The next cell (copied), left to right, row by row; NULL or "" is shown as nothing. */
void table_cell(struct table *table, const char *text);
void table_cellf(struct table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
uint32_t table_rows(const struct table *table);

/* Print a head, a rule and the rows. width: of the terminal in characters, 0 = any; columns that do
 * not fit are left out and named in a last line. Returns 0, ERROR_NO_MEMORY or ERROR_IO. */
int table_print(const struct table *table, FILE *out, uint32_t width);
/* RFC 4180: CRLF, quotes where needed; cells as they are. */
int table_print_csv(const struct table *table, FILE *out);

/* Columns that text takes on a terminal (UTF-8; each character one). */
uint32_t table_text_width(const char *text);
/* Print text with control characters and broken bytes made visible. */
void table_put_safe(const char *text, FILE *out);

#endif
