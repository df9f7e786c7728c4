#include "trainer/net/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors are little-endian; this processor would need its floats swapped here"
#endif

enum { LENGTH_BYTES = 8, MAX_HEADER = 4 << 20 };

/* The values a net may hold, in words if it does not. NULL: all is well. */
static const char *what_is_wrong(const struct net_tensor *tensor, const float *data, size_t *ret_at)
{
    for (size_t i = 0; i < tensor->count; i++) {
        *ret_at = i;
        if (isnan(data[i])) {
            return "NaN";
        }
        if (isinf(data[i])) {
            return "infinite";
        }
        if (tensor->kind == NET_BN_VAR && data[i] < 0.0F) {
            return "a negative variance";
        }
    }
    return NULL;
}

static int check_values(const struct net *net, const char *name, struct error *err)
{
    for (uint32_t i = 0; i < net->n_tensors; i++) {
        size_t at = 0;
        const struct net_tensor *tensor = &net->tensors[i];
        const char *what = what_is_wrong(tensor, net_tensor_data(net, tensor), &at);
        if (what != NULL) {
            return error_set(err, ERROR_INVALID, "%s: tensor %s holds %s at index %zu", name,
                             tensor->name, what, at);
        }
    }
    return 0;
}

/* ---- encoding ---- */

static json_t *metadata_json(const struct net *net)
{
    char *arch = net_arch_json(&net->arch);
    json_t *metadata = json_object();
    int bad = arch == NULL || metadata == NULL;
    if (bad == 0) {
        bad |= json_object_set_new(metadata, "format", json_string(NET_FILE_FORMAT));
        bad |= json_object_set_new(metadata, "version", json_string(NET_FILE_VERSION));
        bad |= json_object_set_new(metadata, "arch", json_string(arch));
    }
    free(arch);
    if (bad != 0) {
        json_decref(metadata);
        return NULL;
    }
    return metadata;
}

static json_t *tensor_json(const struct net_tensor *tensor)
{
    json_t *shape = json_array();
    int bad = shape == NULL;
    for (uint32_t i = 0; i < tensor->n_dims && bad == 0; i++) {
        bad |= json_array_append_new(shape, json_integer(tensor->dims[i]));
    }
    json_int_t begin = (json_int_t)tensor->offset * (json_int_t)sizeof(float);
    json_int_t end = begin + (json_int_t)tensor->count * (json_int_t)sizeof(float);
    if (bad != 0) {
        json_decref(shape);
        return NULL;
    }
    /* "o" takes the shape over, on failure too. */
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape, "data_offsets", begin,
                     end);
}

/* The header's text, malloced. jansson keeps the order of insertion, so it is always the same. */
static char *header_text(const struct net *net)
{
    json_t *header = json_object();
    int bad = header == NULL || json_object_set_new(header, "__metadata__", metadata_json(net)) < 0;
    for (uint32_t i = 0; i < net->n_tensors && bad == 0; i++) {
        bad = json_object_set_new(header, net->tensors[i].name, tensor_json(&net->tensors[i])) < 0;
    }
    char *text = bad ? NULL : json_dumps(header, JSON_COMPACT);
    json_decref(header);
    return text;
}

int net_encode(const struct net *net, uint8_t **ret, size_t *ret_size, struct error *err)
{
    int r = check_values(net, "the net to be saved", err);
    if (r < 0) {
        return r;
    }
    char *text = header_text(net);
    if (text == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "no memory for a net's file");
    }
    size_t length = strlen(text);
    size_t padded = (length + 7) / 8 * 8;
    size_t data_size = net->n_params * sizeof(float);
    uint8_t *bytes = malloc(LENGTH_BYTES + padded + data_size);
    if (bytes == NULL) {
        free(text);
        return error_set(err, ERROR_NO_MEMORY, "no memory for a net's file");
    }
    uint64_t header_size = padded;
    memcpy(bytes, &header_size, LENGTH_BYTES);
    memset(bytes + LENGTH_BYTES, ' ', padded);
    memcpy(bytes + LENGTH_BYTES, text, length); /* NOLINT(bugprone-not-null-terminated-result) */
    memcpy(bytes + LENGTH_BYTES + padded, net->params, data_size);
    free(text);
    *ret = bytes;
    *ret_size = LENGTH_BYTES + padded + data_size;
    return 0;
}

/* ---- decoding ---- */

struct decoder {
    const char *name; /* stands in messages */
    const uint8_t *data;
    size_t data_size;
    json_t *header;
    struct error *err;
};

static int open_header(struct decoder *decoder, const uint8_t *bytes, size_t size)
{
    uint64_t length;
    json_error_t why;
    if (size < LENGTH_BYTES) {
        return error_set(decoder->err, ERROR_CORRUPT,
                         "%s: %zu bytes are too few for a net file; it is truncated", decoder->name,
                         size);
    }
    memcpy(&length, bytes, LENGTH_BYTES);
    if (length > MAX_HEADER) {
        return error_set(decoder->err, ERROR_CORRUPT,
                         "%s: a header of %" PRIu64
                         " bytes where at most %d are allowed; not a net "
                         "file (safetensors)",
                         decoder->name, length, MAX_HEADER);
    }
    if (length > size - LENGTH_BYTES) {
        return error_set(decoder->err, ERROR_CORRUPT,
                         "%s: a header of %" PRIu64 " bytes in a file of %zu; it is truncated",
                         decoder->name, length, size);
    }
    decoder->header = json_loadb((const char *)bytes + LENGTH_BYTES, (size_t)length,
                                 JSON_REJECT_DUPLICATES, &why);
    if (decoder->header == NULL) {
        return error_set(decoder->err, ERROR_CORRUPT, "%s: header, byte %d: %s", decoder->name,
                         LENGTH_BYTES + why.position, why.text);
    }
    if (!json_is_object(decoder->header)) {
        return error_set(decoder->err, ERROR_CORRUPT, "%s: the header is not a JSON object",
                         decoder->name);
    }
    decoder->data = bytes + LENGTH_BYTES + length;
    decoder->data_size = size - LENGTH_BYTES - (size_t)length;
    return 0;
}

static int read_arch(const struct decoder *decoder, struct net_arch *ret)
{
    const json_t *metadata = json_object_get(decoder->header, "__metadata__");
    const char *format = json_string_value(json_object_get(metadata, "format"));
    const char *version = json_string_value(json_object_get(metadata, "version"));
    const char *arch = json_string_value(json_object_get(metadata, "arch"));
    if (format == NULL || strcmp(format, NET_FILE_FORMAT) != 0) {
        return error_set(
            decoder->err, ERROR_INVALID,
            "%s: a safetensors file, but not a net of ours (__metadata__.format is not "
            "\"" NET_FILE_FORMAT "\"); train or import one",
            decoder->name);
    }
    if (version == NULL || strcmp(version, NET_FILE_VERSION) != 0) {
        return error_set(decoder->err, ERROR_VERSION,
                         "%s: a net file of version %.20s, this program reads " NET_FILE_VERSION,
                         decoder->name, version == NULL ? "(none)" : version);
    }
    if (arch == NULL) {
        return error_set(decoder->err, ERROR_INVALID, "%s: no architecture in __metadata__.arch",
                         decoder->name);
    }
    int r = net_arch_parse(arch, ret, decoder->err);
    return r < 0 ? error_prefix(decoder->err, r, "%s", decoder->name) : 0;
}

static bool has_shape(const json_t *shape, const struct net_tensor *tensor)
{
    if (!json_is_array(shape) || json_array_size(shape) != tensor->n_dims) {
        return false;
    }
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        const json_t *dim = json_array_get(shape, i);
        if (!json_is_integer(dim) || json_integer_value(dim) != (json_int_t)tensor->dims[i]) {
            return false;
        }
    }
    return true;
}

static void print_dims(const struct net_tensor *tensor, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < tensor->n_dims && used < size; i++) {
        used += (size_t)snprintf(text + used, size - used, "%s%" PRIu32, i == 0 ? "" : ",",
                                 tensor->dims[i]);
    }
}

struct extent { /* bytes of one tensor in the data */
    size_t begin, end;
    const struct net_tensor *tensor;
};

static int read_extent(const struct decoder *decoder, const struct net_tensor *tensor,
                       struct extent *ret)
{
    const json_t *entry = json_object_get(decoder->header, tensor->name);
    if (!json_is_object(entry)) {
        return error_set(decoder->err, ERROR_INVALID, "%s: tensor %s is missing", decoder->name,
                         tensor->name);
    }
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    if (dtype == NULL || strcmp(dtype, "F32") != 0) {
        return error_set(decoder->err, ERROR_INVALID,
                         "%s: tensor %s has dtype %.16s, only F32 is read", decoder->name,
                         tensor->name, dtype == NULL ? "(none)" : dtype);
    }
    if (!has_shape(json_object_get(entry, "shape"), tensor)) {
        char dims[64];
        print_dims(tensor, dims, sizeof dims);
        return error_set(decoder->err, ERROR_INVALID,
                         "%s: tensor %s has another shape than its architecture's [%s]",
                         decoder->name, tensor->name, dims);
    }
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0);
    const json_t *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end)) {
        return error_set(decoder->err, ERROR_CORRUPT,
                         "%s: tensor %s has no data_offsets [begin, end]", decoder->name,
                         tensor->name);
    }
    json_int_t from = json_integer_value(begin);
    json_int_t to = json_integer_value(end);
    if (from < 0 || to < from || (uint64_t)to > decoder->data_size) {
        return error_set(decoder->err, ERROR_CORRUPT,
                         "%s: tensor %s at bytes %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT
                         " is outside the %zu bytes of data; the file is truncated or damaged",
                         decoder->name, tensor->name, from, to, decoder->data_size);
    }
    if ((size_t)(to - from) != tensor->count * sizeof(float)) {
        return error_set(decoder->err, ERROR_CORRUPT,
                         "%s: tensor %s has %" JSON_INTEGER_FORMAT " bytes, its shape needs %zu",
                         decoder->name, tensor->name, to - from, tensor->count * sizeof(float));
    }
    *ret = (struct extent){(size_t)from, (size_t)to, tensor};
    return 0;
}

static int compare_extents(const void *a, const void *b)
{
    const struct extent *x = a;
    const struct extent *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

/* Sorted by begin, every tensor must start where the last one ended. */
static int check_extents(const struct decoder *decoder, struct extent *extents, uint32_t n)
{
    size_t at = 0;
    qsort(extents, n, sizeof *extents, compare_extents);
    for (uint32_t i = 0; i < n; i++) {
        if (extents[i].begin != at) {
            return error_set(decoder->err, ERROR_CORRUPT, "%s: tensor %s at byte %zu %s %zu",
                             decoder->name, extents[i].tensor->name, extents[i].begin,
                             extents[i].begin < at ? "overlaps the one before, which ends at"
                                                   : "leaves a gap after byte",
                             at);
        }
        at = extents[i].end;
    }
    if (at != decoder->data_size) {
        return error_set(decoder->err, ERROR_CORRUPT, "%s: %zu bytes too many at the end",
                         decoder->name, decoder->data_size - at);
    }
    return 0;
}

/* With all expected tensors there, a header of another size holds unknown ones. */
static int refuse_unknown(const struct decoder *decoder, const struct net *net)
{
    const char *key;
    json_t *entry;
    if (json_object_size(decoder->header) == (size_t)net->n_tensors + 1) {
        return 0;
    }
    json_object_foreach(decoder->header, key, entry)
    {
        if (strcmp(key, "__metadata__") != 0 && net_find(net, key) == NULL) {
            return error_set(decoder->err, ERROR_INVALID, "%s: unknown tensor %.60s", decoder->name,
                             key);
        }
    }
    return 0;
}

static int read_tensors(const struct decoder *decoder, struct net *net)
{
    struct extent *extents = calloc(net->n_tensors, sizeof *extents);
    if (extents == NULL) {
        return error_set(decoder->err, ERROR_NO_MEMORY, "%s: no memory to read it", decoder->name);
    }
    int r = 0;
    for (uint32_t i = 0; i < net->n_tensors && r == 0; i++) {
        r = read_extent(decoder, &net->tensors[i], &extents[i]);
    }
    if (r == 0) {
        r = refuse_unknown(decoder, net);
    }
    if (r == 0) {
        r = check_extents(decoder, extents, net->n_tensors);
    }
    for (uint32_t i = 0; i < net->n_tensors && r == 0; i++) {
        memcpy(net_tensor_data(net, extents[i].tensor), decoder->data + extents[i].begin,
               extents[i].end - extents[i].begin);
    }
    free(extents);
    return r == 0 ? check_values(net, decoder->name, decoder->err) : r;
}

int net_decode(const uint8_t *bytes, size_t size, const char *name, struct net **ret,
               struct error *err)
{
    struct decoder decoder = {.name = name, .data = bytes, .err = err};
    struct net_arch arch;
    struct net *net = NULL;
    int r = open_header(&decoder, bytes, size);
    if (r == 0) {
        r = read_arch(&decoder, &arch);
    }
    if (r == 0 && net_arch_params(&arch) > decoder.data_size / sizeof(float)) {
        /* Before any memory is asked for: an architecture of many gigabytes is a few bytes of JSON. */
        r = error_set(err, ERROR_CORRUPT,
                      "%s: the architecture needs %zu bytes of tensors, the file has %zu; it is "
                      "truncated",
                      name, net_arch_params(&arch) * sizeof(float), decoder.data_size);
    }
    if (r != 0) {
        goto out;
    }
    net = net_create(&arch);
    r = net == NULL ? error_set(err, ERROR_NO_MEMORY, "%s: no memory for the net", name)
                    : read_tensors(&decoder, net);
    if (r < 0) {
        goto out;
    }
    *ret = net;
    net = NULL;
out:
    net_destroy(net);
    json_decref(decoder.header);
    return r;
}
