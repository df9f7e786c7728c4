#include "daemon/config/config_problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nobody reads more, and a hostile file must not make us write more. */
enum { MAX_PROBLEMS = 100 };

struct config_problem {
    struct config_mark at; /* line 0: the file as a whole */
    size_t order;          /* in which it was found, for places with two problems */
    char text[640];
};

void config_list_init(struct config_list *list, const char *name)
{
    *list = (struct config_list){.name = name};
}

static void add(struct config_list *list, struct config_mark at, const char *format,
                va_list arguments)
{
    if (list->n >= MAX_PROBLEMS) {
        list->n_left_out++;
        return;
    }
    if (list->problems == NULL) {
        list->problems = calloc(MAX_PROBLEMS, sizeof *list->problems);
    }
    if (list->problems == NULL) {
        list->no_memory = true;
        return;
    }
    struct config_problem *problem = &list->problems[list->n];
    *problem = (struct config_problem){.at = at, .order = list->n};
    vsnprintf(problem->text, sizeof problem->text, format, arguments);
    for (char *c = problem->text; *c != '\0';
         c++) { /* one line a problem, whatever the file holds */
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = '?';
        }
    }
    list->n++;
}

void config_list_add(struct config_list *list, struct config_mark at, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(list, at, format, arguments);
    va_end(arguments);
}

void config_list_add_file(struct config_list *list, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(list, (struct config_mark){0, 0}, format, arguments);
    va_end(arguments);
}

static int by_place(const void *left, const void *right)
{
    const struct config_problem *a = left;
    const struct config_problem *b = right;
    size_t x[] = {a->at.line, a->at.column, a->order};
    size_t y[] = {b->at.line, b->at.column, b->order};
    for (size_t i = 0; i < sizeof x / sizeof x[0]; i++) {
        if (x[i] != y[i]) {
            return x[i] < y[i] ? -1 : 1;
        }
    }
    return 0;
}

static char *write_all(const struct config_list *list)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < list->n; i++) {
        const struct config_problem *problem = &list->problems[i];
        if (problem->at.line == 0) {
            fprintf(out, "%s: %s\n", list->name, problem->text);
        } else {
            fprintf(out, "%s:%zu:%zu: %s\n", list->name, problem->at.line, problem->at.column,
                    problem->text);
        }
    }
    if (list->n_left_out > 0) {
        fprintf(out, "%s: %zu more problems; put these right first\n", list->name,
                list->n_left_out);
    }
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}

int config_list_finish(struct config_list *list, struct config_problems *ret)
{
    int r = 0;
    char *text = NULL;
    size_t n = list->n + (list->n_left_out > 0);
    if (list->no_memory) {
        r = ERROR_NO_MEMORY;
    } else if (n > 0) {
        qsort(list->problems, list->n, sizeof *list->problems, by_place);
        text = write_all(list);
        r = text == NULL ? ERROR_NO_MEMORY : ERROR_INVALID;
    }
    free(list->problems);
    config_list_init(list, list->name);
    if (ret != NULL) {
        *ret = (struct config_problems){.n = text == NULL ? 0 : (uint32_t)n, .text = text};
    } else {
        free(text);
    }
    return r;
}

void config_problems_finish(struct config_problems *problems)
{
    free(problems->text);
    *problems = (struct config_problems){0};
}
