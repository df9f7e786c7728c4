/* Between the plain structs of record.h and the protobuf messages of record.proto. A message made here
 * borrows every string and byte of the struct; a struct made here borrows those of the message. What
 * comes from outside is checked whole: uid, kinds, ranges (|q| <= 1, 0 <= d <= 1, ply, nodes, proven), a
 * policy that decodes. */
#ifndef STORAGE_RECORD_MESSAGE_H
#define STORAGE_RECORD_MESSAGE_H

#include "storage/record.h"
#include "storage/record.pb-c.h"

void record_search_to_message(const struct record_search *search, Qzd__Search *ret);
void record_start_to_message(const struct record_start *start, Qzd__GameStart *ret);
/* ret->search is left NULL. */
void record_position_to_message(const char *uid, const struct record_position *position,
                                Qzd__Position *ret);
void record_end_to_message(const char *uid, const struct record_end *end, Qzd__GameEnd *ret);

/* 0 or ERROR_INVALID with the field named. */
int record_search_from_message(const Qzd__Search *message, struct record_search *ret,
                               struct error *err);
int record_start_from_message(const Qzd__GameStart *message, struct record_start *ret,
                              struct error *err);
int record_position_from_message(const Qzd__Position *message, struct record_position *ret,
                                 struct error *err);
int record_end_from_message(const Qzd__GameEnd *message, struct record_end *ret, struct error *err);

#endif
