/* exp, log and friends of our own: libm's differ between versions and processors, and a search must
 * replay bit for bit (rule 6). Compiled without contraction; accurate to a few ulp. */
#ifndef MCTS_NUMERIC_H
#define MCTS_NUMERIC_H

double numeric_exp(double x); /* 0 below -745, +inf above 709.78 */
double numeric_log(double x); /* natural; x > 0 */
double numeric_exp2(double x);
double numeric_sqrt(double x); /* the processor's, which IEEE 754 fixes; x >= 0 */
double numeric_sin(double x);  /* |x| <= 2 pi, for random_normal */
double numeric_cos(double x);

#endif
