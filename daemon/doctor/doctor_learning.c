/* What trainings and suites say. */
#include "daemon/doctor/doctor.h"

#include <math.h>

/* A training's losses are means over the last tenth of its steps: with fewer samples than this they are too noisy to be
 * compared from one training to the next. */
enum { ENOUGH_SAMPLES = 10000 };

/* The newest trainings that made a net, at most `most`, behind the first `skip` of them. Returns how many. */
static uint32_t finished(const struct doctor_learning *l, uint32_t skip, uint32_t most,
                         const struct doctor_training *ret[])
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < l->n_trainings && n < most; i++) {
        if (l->trainings[i].failed) {
            continue;
        }
        if (skip > 0) {
            skip--;
            continue;
        }
        ret[n++] = &l->trainings[i];
    }
    return n;
}

/* ---- KataGo draws a position 4 to 8 times, AlphaZero less; more than that learns games by heart */
static void samples_per_position(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_training *t[3];
    uint32_t n = finished(&f->learning, 0, 3, t);
    double samples = 0;
    double positions = 0;

    for (uint32_t i = 0; i < n; i++) {
        samples += (double)t[i]->samples;
        positions += (double)t[i]->new_positions;
    }
    ret->figure = positions > 0 ? samples / positions : NAN;
    ret->state = doctor_judge(ret->figure, 8, 16, true);
    doctor_text(ret, "%.1f samples a new position in the last %u trainings", ret->figure, n);
    doctor_bound(ret, "yellow > 8, red > 16");
}

/* ---- where play is faster than trainings can follow, training.max_samples keeps each of them short and fewer samples are
 * drawn than samples_per_position says: fresh games count for less than was asked for */
static void training_pace(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_training *t[4];
    uint32_t n = finished(&f->learning, 0, 4, t);
    double drawn = 0;
    double wanted = 0;

    for (uint32_t i = 0; i < n; i++) {
        drawn += (double)t[i]->samples;
        wanted += (double)t[i]->new_positions * t[i]->samples_per_position;
    }
    doctor_bound(ret, "samples drawn over those of samples_per_position: yellow < 0.75, red < 0.2");
    if (n < 4 || !(wanted > 0)) { /* the first ones meet whatever had been played before */
        doctor_text(ret, "fewer than four trainings");
        return;
    }
    ret->figure = drawn / wanted;
    ret->state = doctor_judge(ret->figure, 0.75, 0.2, false);
    doctor_text(
        ret, "%.0f %% of the samples of samples_per_position were drawn in the last %u trainings",
        100 * ret->figure, n);
}

/* ---- held-out value loss over the trained one: healthy at most 1.33 (generation 4 of a 2x16 net), 0.94 to 1.2 later;
 * held-out policy gap less the trained one: healthy at most 0.07 nats */
static void overtraining(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_training *t[3];
    uint32_t n = finished(&f->learning, 0, 3, t);
    double ratio = 0;
    double policy = 0;

    bool enough = n == 3;

    for (uint32_t i = 0; i < n; i++) {
        enough = enough && t[i]->samples >= ENOUGH_SAMPLES;
        ratio += t[i]->held_out_value_loss / t[i]->value_loss / n;
        policy += (t[i]->held_out_policy_gap - (t[i]->policy_loss - t[i]->policy_entropy)) / n;
    }
    doctor_bound(ret, "value ratio: yellow > 1.5, red > 2; policy: yellow > 0.2, red > 0.4 nats");
    if (!enough || isnan(ratio) || isnan(policy)) {
        doctor_text(ret, "fewer than three trainings of %d samples with held-out games",
                    ENOUGH_SAMPLES);
        return;
    }
    enum doctor_state value_state = doctor_judge(ratio, 1.5, 2, true);
    enum doctor_state policy_state = doctor_judge(policy, 0.2, 0.4, true);
    ret->figure = ratio;
    ret->state = value_state > policy_state ? value_state : policy_state;
    doctor_text(ret,
                "held-out value loss is %.2f of the trained one, held-out policy loss %+.3f nats "
                "against it (last 3 trainings)",
                ratio, policy);
}

/* ---- loss */
static uint32_t failed_in_a_row(const struct doctor_learning *l)
{
    uint32_t n = 0;

    while (n < l->n_trainings && l->trainings[n].failed) {
        n++;
    }
    return n;
}

/* A net that says nothing has a value loss of ln 3 (three equal chances; a scalar head with squared error stays
 * below it too) and a policy loss of ln(moves). */
static void loss(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_learning *l = &f->learning;
    const struct doctor_training *t[1];
    uint32_t failed = failed_in_a_row(l);
    double nothing_policy = f->games.n_entropy == 0 ? NAN : f->games.log_moves;

    doctor_bound(ret, "red: a training that failed, a loss that is no number or worse than a net "
                      "that says nothing (from generation 3 on)");
    if (failed > 0) {
        ret->state = DOCTOR_RED;
        doctor_text(ret, "%u trainings in a row failed: %.130s", failed, l->failure);
        return;
    }
    if (finished(l, 0, 1, t) == 0) {
        doctor_text(ret, "no training yet");
        return;
    }
    ret->figure = t[0]->value_loss;
    doctor_text(ret, "policy %.3f, value %.3f (a net that says nothing: %.3f, %.3f)",
                t[0]->policy_loss, t[0]->value_loss, nothing_policy, log(3));
    if (!isfinite(t[0]->policy_loss) || !isfinite(t[0]->value_loss)) {
        ret->state = DOCTOR_RED;
        return;
    }
    bool late = t[0]->generation >= 3;
    bool bad = t[0]->value_loss > log(3) * 1.05 || t[0]->policy_loss > nothing_policy * 1.05;
    ret->state = late && bad ? DOCTOR_RED : DOCTOR_GREEN;
}

/* ---- learning rate: AdamW moves a weight by about the rate in every step, so rates beyond 0.01 are beyond what
 * anybody uses (lc0, KataGo, leela-zero's successors: 0.00005 to 0.003); SGD with momentum stays below 0.3. Healthy policy gap:
 * at most 1.2 of the mean of the three before it. */
static void learning_rate(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_training *t[1];
    const struct doctor_training *before[3];
    uint32_t n = finished(&f->learning, 0, 1, t);
    uint32_t n_before = finished(&f->learning, 1, 3, before);
    double gap = 0;

    doctor_bound(ret, "AdamW: yellow > 0.01, red > 0.03 (SGD: 0.3, 1); loss above entropy, against "
                      "the 3 trainings before: yellow > 1.5, red > 2");
    if (n == 0) {
        doctor_text(ret, "no training yet");
        return;
    }
    double scale = t[0]->sgd ? 0.03 : 1;
    double rate = t[0]->learning_rate * scale;
    double now = t[0]->policy_loss - t[0]->policy_entropy;
    enum doctor_state high = doctor_judge(rate, 0.01, 0.03, true);
    enum doctor_state worse = DOCTOR_UNKNOWN;
    for (uint32_t i = 0; i < n_before; i++) {
        gap += (before[i]->policy_loss - before[i]->policy_entropy) / n_before;
    }
    if (n_before == 3 && t[0]->samples >= ENOUGH_SAMPLES) {
        worse = doctor_judge(now / fmax(gap, 0.05), 1.5, 2, true);
    }
    ret->figure = t[0]->learning_rate;
    ret->state = high > worse ? high : worse;
    doctor_text(ret,
                "rate %.2g; policy loss above its targets' entropy %.3f, %.3f in the three "
                "trainings before",
                t[0]->learning_rate, now, n_before == 0 ? NAN : gap);
}

/* ---- mistakes of the net alone: mean of the newest three judged nets against the three before them */
static double mean_mistakes(const struct doctor_learning *l, uint32_t from, uint32_t to,
                            double *ret_n)
{
    double sum = 0;

    *ret_n = 0;
    for (uint32_t i = from; i < to; i++) {
        sum += l->judged[i].mistakes_net;
        *ret_n += (double)l->judged[i].n_net;
    }
    return sum / (to - from);
}

static void strength(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_learning *l = &f->learning;
    double n_new;
    double n_old;

    doctor_bound(ret, "yellow: 2 standard errors worse, red 4; from generation 6 on red if no "
                      "better than generation 0");
    if (l->n_judged < 6 || isnan(l->first.mistakes_net)) {
        doctor_text(ret, "fewer than six judged nets");
        return;
    }
    double now = mean_mistakes(l, 0, 3, &n_new);
    double old = mean_mistakes(l, 3, 6, &n_old);
    /* The nets are asked the same positions, so that this is an upper bound of the error of one suite's
     * mean; three nets of a line err alike, so they count as one. */
    double error = sqrt(2 * old * (1 - old) / (n_old / 3 > 1 ? n_old / 3 : 1));
    double worse = (now - old) / fmax(error, 1e-4);
    ret->figure = now;
    ret->state = doctor_judge(worse, 2, 4, true);
    if (now >= l->first.mistakes_net) {
        ret->state = DOCTOR_RED;
    }
    doctor_text(ret,
                "mistakes of the net alone %.1f %%, three nets before %.1f %%, generation 0 "
                "%.1f %%",
                100 * now, 100 * old, 100 * l->first.mistakes_net);
}

/* ---- resume damage: OpenSpiel's users saw models get worse after each resumption. The losses around the last start,
 * by the spread of the trainings before it; and no position counted twice or not at all. */
static double gap_of(const struct doctor_training *t)
{
    return t->policy_loss - t->policy_entropy;
}

static void resume(const struct doctor_figures *f, struct diagnosis *ret)
{
    const struct doctor_learning *l = &f->learning;
    const struct doctor_training *t[DOCTOR_TRAININGS];
    uint32_t n = finished(l, 0, DOCTOR_TRAININGS, t);
    uint32_t at = 0;

    doctor_bound(ret,
                 "first loss after a start: yellow > 3 sigma, red > 5 sigma and 0.1 nats above "
                 "the last; red: positions miscounted");
    for (uint32_t i = 0; i + 1 < n; i++) {
        if (t[i]->new_positions != t[i]->all_positions - t[i + 1]->all_positions) {
            ret->state = DOCTOR_RED;
            doctor_text(ret, "generation %u counted %lld new positions, %lld were",
                        t[i]->generation, (long long)t[i]->new_positions,
                        (long long)(t[i]->all_positions - t[i + 1]->all_positions));
            return;
        }
    }
    while (at < n && t[at]->started_at > l->started_at) {
        at++; /* t[at - 1] is the first one after the start */
    }
    if (l->started_at == 0 || at == 0 || n < at + 5) {
        ret->state = n > 0 ? DOCTOR_GREEN : DOCTOR_UNKNOWN;
        doctor_text(ret, l->started_at == 0 ? "the run has not been interrupted"
                                            : "too few trainings around the last start to compare");
        return;
    }
    double sum = 0;
    uint32_t n_steps = n - at - 1;
    for (uint32_t i = at; i + 1 < n; i++) {
        sum += pow(gap_of(t[i]) - gap_of(t[i + 1]), 2);
    }
    double sigma = fmax(sqrt(sum / n_steps), 0.01);
    double jump = gap_of(t[at - 1]) - gap_of(t[at]);
    ret->figure = jump / sigma;
    ret->state = jump < 0.1 ? DOCTOR_GREEN : doctor_judge(ret->figure, 3, 5, true);
    doctor_text(ret, "policy loss above entropy moved by %+.3f over the last start (%.1f sigma)",
                jump, ret->figure);
}

/* ---- gate starvation */
static void gate(const struct doctor_figures *f, struct diagnosis *ret)
{
    doctor_bound(ret, "nets rejected in a row: yellow from 3 on, red from 5 on");
    if (!f->learning.gate) {
        ret->state = DOCTOR_GREEN;
        doctor_text(ret, "there is no gate");
        return;
    }
    ret->figure = f->learning.rejected;
    ret->state = doctor_judge(ret->figure, 2.5, 4.5, true);
    doctor_text(ret, "the newest %u nets were rejected", f->learning.rejected);
}

const struct doctor_check doctor_learning_checks[] = {
    {"samples per position", samples_per_position,
     "each position is drawn too often: lower training.samples_per_position (4)", false},
    {"training pace", training_pace,
     "play is faster than trainings can follow: lower training.samples_per_position, raise "
     "training.threads, training.max_samples or search.nodes",
     false},
    {"overtraining", overtraining,
     "the net knows its games by heart: lower training.samples_per_position, raise "
     "training.window.c or training.optimizer.weight_decay",
     false},
    {"loss", loss,
     "trainings fail or teach nothing: lower training.learning_rate; see the failure in "
     "`qzctl events`; the old net stays until one succeeds",
     false},
    {"learning rate", learning_rate, "lower training.learning_rate (0.002 with adamw)", false},
    {"strength", strength,
     "nets get worse by the suites: lower training.learning_rate, look at the checks above and at "
     "what changed (`qzctl sql \"SELECT * FROM settings_log\"`)",
     false},
    {"resume", resume,
     "the line went on worse than it ended: is checkpoints/ whole? Were nets or the store put back "
     "from different backups?",
     false},
    {"gate", gate, "nothing passes the gate any more: evaluation.gate: none, or a larger net",
     false},
    {.name = NULL},
};
