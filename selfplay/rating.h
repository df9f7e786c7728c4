/* How strong players are, from matches between them. Pure arithmetic: no nets, games or files.
 *
 * Games come in pairs: one opening, both colours. The two games of a pair are not independent (an opening
 * favours one colour), pairs are; so a match is kept as the counts of its pairs by points, the pentanomial of
 * chess engine testing, and errors are computed from the variance of pairs.
 *
 * The model (Bradley & Terry 1952; Elo's scale): a player expects 1 / (1 + 10^(-difference / 400)) of a game
 * against another; a draw is half a win. One likelihood over all matches is maximised; each two players
 * that met have drawn one game more, so that a difference is finite even where one side won all. A
 * standard error is that of the sandwich (Huber 1967; White 1982): the curvature of the likelihood on both
 * sides of the observed variance of pairs, times N / (N - parameters) for N pairs. To what was observed
 * between two players that drawn game is added, and one pair of two independent games: ten pairs that
 * all came out 1 : 1 (frequent between neighbours) do not prove that the eleventh will. */
#ifndef SELFPLAY_RATING_H
#define SELFPLAY_RATING_H

#include <stdbool.h>
#include <stdint.h>

enum { PAIR_OUTCOMES = 5 };

/* Pairs by half points of the first player: 0 = lost both games, 2 = one point of two, 4 = won both. */
struct pentanomial {
    uint64_t pairs[PAIR_OUTCOMES];
};
uint64_t pentanomial_n(const struct pentanomial *p);
double pentanomial_score(const struct pentanomial *p); /* 0 .. 1 a game; NaN without a pair */

/* A match says something only if its games differ: where two players repeat themselves, the number of
 * games is not what it seems. True if at least nine tenths of them are distinct. */
bool rating_counts(uint64_t distinct_games, uint64_t games);

struct rating_match {
    uint32_t a, b;             /* players; a != b */
    struct pentanomial result; /* a's view */
};
struct rating {
    double elo;   /* NaN: no chain of matches leads to the reference */
    double error; /* one standard error; 0 of the reference, NaN with elo */
    uint64_t games;
};
/* Rate n_players from all matches (in any order, the same two players as often as they met). ret[n_players]; the
 * reference's elo is 0. ERROR_INVALID: a player that is none, or plays itself; ERROR_NO_MEMORY; ERROR_DIVERGED never
 * for finite counts. Time is about n^2 x (opponents a player) where players meet mostly their neighbours in
 * number, as the nets of a line do. */
int rating_fit(uint32_t n_players, uint32_t reference, const struct rating_match *matches,
               uint64_t n_matches, struct rating *ret);

/* One match alone: the first player's Elo above the second, the same way. */
struct rating rating_of_match(const struct pentanomial *result);

#endif
