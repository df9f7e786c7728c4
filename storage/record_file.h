/* A file of games. It begins with the 8 bytes "qzdgame1"; each game is a frame: length of the packed
 * Qzd__Game and CRC-32 of length and content (both 4 bytes, little-endian), then the content. A
 * position without `search` has the one of the position before it in the file. */
#ifndef STORAGE_RECORD_FILE_H
#define STORAGE_RECORD_FILE_H

#include "storage/record.h"
#include "storage/record.pb-c.h"

struct record_file;

/* Open for appending; made if it is not there. A file that is damaged or ends within a frame is refused as
 * by record_file_next() and stays as it is. */
int record_file_append_to(const char *path, struct record_file **ret, struct error *err);
/* ERROR_FULL and the like: the file ends with the game before. */
int record_file_append(struct record_file *file, const Qzd__Game *game, struct error *err);
/* fsync what was appended. */
int record_file_sync(struct record_file *file, struct error *err);

int record_file_read(const char *path, struct record_file **ret, struct error *err);
/* The next game: 1, and *ret is freed by qzd__game__free_unpacked(*ret, NULL); 0 at the end of the file; or
 * ERROR_CORRUPT with the offset of the bad frame: cut off, of a wrong checksum, or no game. The
 * games before it were good. Its messages are well-formed only; what they say is checked by
 * record_..._from_message(). */
int record_file_next(struct record_file *file, Qzd__Game **ret, struct error *err);

/* NULL is allowed. A power cut may take what was appended and not synced. */
void record_file_close(struct record_file *file);

#endif
