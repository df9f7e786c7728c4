/* The bytes of a net file (safetensors: https://github.com/huggingface/safetensors): 8 bytes of header
 * length (little-endian), a JSON header padded with blanks to a multiple of 8, the tensors' floats.
 * Ours: dtype F32 only; "__metadata__" holds format "qzd", version "1" and arch, the architecture's
 * JSON in a string. Tensors may stand in any order, but must fill the data without gap or overlap. */
#ifndef TRAINER_NET_SAFETENSORS_H
#define TRAINER_NET_SAFETENSORS_H

#include "trainer/net/net.h"

#define NET_FILE_FORMAT  "qzd"
#define NET_FILE_VERSION "1"

/* The file's bytes, malloced; they depend on the net only. 0 or ERROR_NO_MEMORY, or ERROR_INVALID
 * where a parameter is NaN or infinite or a variance negative. The reverse is net_decode(). */
int net_encode(const struct net *net, uint8_t **ret, size_t *ret_size, struct error *err);

#endif
