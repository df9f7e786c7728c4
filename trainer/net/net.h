/* A network as data: its architecture and its parameters, in one block of floats with a table that
 * says what stands where. The function that it computes is defined by trainer/net/reference.c, slow
 * and obvious; inference.h is the fast form of the same; the trainer adds the way back.
 *
 *   input   conv3x3 planes->F, BN, relu
 *   blocks  x B: conv3x3, BN, relu, conv3x3, BN, [SE], + skip, relu
 *           SE: mean over cells -> dense F->S, relu -> dense S->2F = (gamma, beta);
 *               out = sigmoid(gamma) * x + beta                       (as lc0's SE units)
 *   policy  conv3x3 F->F, BN, relu, conv3x3 F->policy_planes + bias   = logits [policy_planes][h][w]
 *   value   conv1x1 F->value_filters, BN, relu, dense -> value_hidden, relu, dense -> 3 (wdl) | 1 (scalar)
 * wdl: softmax over (win, draw, loss) for the side to move; scalar: tanh. Convolutions have no bias
 * where a BN follows; BN epsilon is NET_BN_EPSILON. Tensor layouts are PyTorch's: conv weights
 * [out][in][ky][kx], dense weights [out][in]; the value head flattens [value_filters][h][w]. */
#ifndef TRAINER_NET_NET_H
#define TRAINER_NET_NET_H

#include "mcts/game.h"
#include "storage/error.h"
#include "storage/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_BN_EPSILON 1e-5F

enum net_value_head { NET_VALUE_WDL, NET_VALUE_SCALAR };

struct net_arch {
    char game[32]; /* the game whose planes and actions it was made for */
    uint32_t n_planes, height, width, policy_planes; /* that game's */
    uint32_t blocks;                                 /* 1 .. 64 */
    uint32_t filters;                                /* 1 .. 1024 */
    uint32_t se_channels;                            /* S above; 0 = no SE */
    uint32_t value_filters;                          /* 1 .. 256 */
    uint32_t value_hidden;                           /* 1 .. 1024 */
    enum net_value_head value;
};
/* Fill in the game's part; 0 or ERROR_INVALID with the first impossible number named. */
int net_arch_for_game(struct net_arch *arch, const struct game *game, struct error *err);
/* Every number in its range? 0 or ERROR_INVALID with the first impossible number named. */
int net_arch_check(const struct net_arch *arch, struct error *err);
bool net_arch_equal(const struct net_arch *a, const struct net_arch *b);
/* JSON object {"game":..., "blocks":..., ...}; malloced, NULL: out of memory. */
char *net_arch_json(const struct net_arch *arch);
/* The reverse: 0 or ERROR_INVALID; an unknown, missing or double key is refused. */
int net_arch_parse(const char *json, struct net_arch *ret, struct error *err);
uint32_t net_value_outputs(const struct net_arch *arch); /* 3 or 1 */
uint32_t net_policy_size(const struct net_arch *arch);   /* policy_planes * height * width */
size_t net_arch_params(const struct net_arch *arch);     /* floats of such a net */
/* Multiply-adds of one evaluation by direct convolution. */
double net_arch_macs(const struct net_arch *arch);

enum net_tensor_kind {
    NET_CONV,  /* [out][in][k][k] */
    NET_DENSE, /* [out][in] */
    NET_BIAS,
    NET_BN_GAMMA,
    NET_BN_BETA,
    NET_BN_MEAN, /* running statistics: not trained by gradient */
    NET_BN_VAR,
};

struct net_tensor {
    char name[48]; /* "block0.conv1.weight": see net.c for the list */
    enum net_tensor_kind kind;
    uint32_t n_dims;
    uint32_t dims[4];
    size_t offset; /* first float in params */
    size_t count;
};

struct net {
    struct net_arch arch;
    uint32_t n_tensors;
    struct net_tensor *tensors;
    size_t n_params; /* floats in params */
    float *params;   /* 64-byte aligned */
};

/* A net with all parameters 0 but BN gamma and var 1. NULL: out of memory, or an arch that
 * net_arch_check() refuses. */
struct net *net_create(const struct net_arch *arch);
struct net *net_copy(const struct net *net);
void net_destroy(struct net *net); /* NULL is allowed */
/* He-normal weights by counter-based random numbers from the seed; the last layer of each head is 0,
 * so that a new net says "all moves alike, an even game" (v = 0, d = 1/3 for wdl). */
void net_init(struct net *net, uint64_t seed);
const struct net_tensor *net_find(const struct net *net, const char *name); /* NULL: none */
static inline float *net_tensor_data(const struct net *net, const struct net_tensor *tensor)
{
    return net->params + tensor->offset;
}

/* Files: safetensors (F32 only) with the architecture and format version in __metadata__. A file that is truncated,
 * oversized, mistyped, of another shape or holding NaN or infinity is refused with what and where.
 * net_save writes whole, fsyncs, renames and fsyncs the directory; the bytes depend on the net only.
 * ret_sha256 may be NULL. */
int net_load(const char *path, struct net **ret, char ret_sha256[RECORD_SHA256_BYTES],
             struct error *err);
int net_save(const struct net *net, const char *path, char ret_sha256[RECORD_SHA256_BYTES],
             struct error *err);
/* Save as <directory>/<sha256>.safetensors; an equal file that is there already is kept. */
int net_save_by_hash(const struct net *net, const char *directory,
                     char ret_sha256[RECORD_SHA256_BYTES], struct error *err);
/* Decode from memory: what net_load does behind the file; `name` stands in messages. */
int net_decode(const uint8_t *bytes, size_t size, const char *name, struct net **ret,
               struct error *err);

#endif
