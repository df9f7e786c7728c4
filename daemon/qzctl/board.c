#include "daemon/qzctl/board.h"

#include <string.h>

enum { GAP = 3 }; /* columns between board and notes */

static void print_line(const char *line, size_t n, bool color, FILE *out)
{
    for (size_t i = 0; i < n; i++) {
        if (color && (line[i] == 'X' || line[i] == 'O')) {
            fprintf(out, "\033[1;%sm%c\033[0m", line[i] == 'X' ? "31" : "33", line[i]);
        } else {
            fputc(line[i], out);
        }
    }
}

static size_t widest(const char *text)
{
    size_t width = 0;
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");
        width = n > width ? n : width;
        text += n + (text[n] == '\n');
    }
    return width;
}

void board_print(const struct game *game, const void *state, bool color,
                 char (*notes)[BOARD_NOTE_BYTES], uint32_t n_notes, FILE *out)
{
    char drawing[GAME_MAX_DRAWING];
    game->draw(state, drawing);
    const char *line = drawing;
    size_t width = widest(drawing);
    for (uint32_t i = 0; *line != '\0' || i < n_notes; i++) {
        size_t n = strcspn(line, "\n");
        print_line(line, n, color, out);
        if (i < n_notes) {
            fprintf(out, "%*s%s", (int)(width - n) + GAP, "", notes[i]);
        }
        fputc('\n', out);
        line += n + (line[n] == '\n');
    }
}
