-- The store of qzd: state_dir/qzd.db. People query this file directly, so these tables are an
-- interface: named plainly, documented here, stable. Migrations only add.
--
-- Times are integer Unix milliseconds. Values (z, q, v, ...) are from the view of the side to move at
-- the position unless the name says otherwise: +1 a win, 0 a draw, -1 a loss. "_d" is the probability
-- of a draw in the same view. A NULL is "not known", never 0.
--
-- storage/migrations.c runs this file for user_version 1; PRAGMAs of the connection stand there.

-- Networks. Weights are files beside the store: nets/<sha256>.safetensors.
CREATE TABLE nets(
    id          INTEGER PRIMARY KEY,
    line        TEXT    NOT NULL,              -- 'main', or a side line
    generation  INTEGER NOT NULL,              -- trainings of its line that made it; 0 = new
    parent_id   INTEGER REFERENCES nets(id),
    sha256      TEXT    NOT NULL UNIQUE,       -- of the file, lower-case hex
    game        TEXT    NOT NULL,
    arch        TEXT    NOT NULL,              -- JSON: blocks, filters, se_ratio, value, ...
    origin      TEXT    NOT NULL,              -- 'new', 'training', 'import'
    created_at  INTEGER NOT NULL,
    file        TEXT    NOT NULL,              -- relative to the state directory
    state       TEXT    NOT NULL               -- 'current', 'old', 'rejected', 'removed' (file gone)
) STRICT;
CREATE UNIQUE INDEX nets_line_generation ON nets(line, generation) WHERE state <> 'rejected';

-- The circumstances of a search, shared by many positions.
CREATE TABLE searches(
    id       INTEGER PRIMARY KEY,
    net_id   INTEGER NOT NULL REFERENCES nets(id),
    build    TEXT    NOT NULL,                 -- of the program that searched
    kernel   TEXT    NOT NULL,                 -- of the inference
    settings TEXT    NOT NULL,                 -- JSON of every key that shapes a record
    UNIQUE(net_id, build, kernel, settings)
) STRICT;

CREATE TABLE games(
    id                   INTEGER PRIMARY KEY,
    uid                  TEXT    NOT NULL UNIQUE,  -- 32 hex digits, drawn when the game begins
    seq                  INTEGER UNIQUE,           -- given in the commit that ends the game, rising without gaps
    kind                 TEXT    NOT NULL CHECK(kind IN ('selfplay', 'match', 'import', 'human')),
    game                 TEXT    NOT NULL,
    host                 TEXT    NOT NULL,
    worker               INTEGER NOT NULL,
    seed                 INTEGER NOT NULL,         -- with net and settings it determines every move
    opening              TEXT    NOT NULL,         -- where play began, '' = the usual start
    first_side           INTEGER NOT NULL CHECK(first_side IN (0, 1)), -- to move at ply 0; 0 = the first player
    started_at           INTEGER NOT NULL,
    finished_at          INTEGER,
    plies                INTEGER NOT NULL,         -- moves played after the opening
    full_positions       INTEGER,                  -- of full searches (and imports), set at the end
    first_player_outcome INTEGER CHECK(first_player_outcome IN (-1, 0, 1)),
    reason               TEXT,                     -- 'rules', 'resign', 'plies' (longer than allowed)
    state                TEXT    NOT NULL CHECK(state IN ('playing', 'finished', 'abandoned')),
    held_out             INTEGER NOT NULL CHECK(held_out IN (0, 1)), -- by hash of uid: not trained on, judges losses
    would_resign_ply     INTEGER,                  -- first ply at which a side would have resigned
    would_resign_side    INTEGER CHECK(would_resign_side IN (0, 1))  -- 0 = the first player
) STRICT;
CREATE INDEX games_unfinished ON games(id) WHERE state = 'playing';
CREATE INDEX games_finished_at ON games(finished_at) WHERE state = 'finished';

-- One row a position, written as its move is played, with z NULL; z is set for the whole game in the
-- commit that ends it. States are not stored: replaying the actions from the opening gives them.
CREATE TABLE positions(
    game_id     INTEGER NOT NULL REFERENCES games(id),
    ply         INTEGER NOT NULL,              -- 0 = the first position after the opening
    search_id   INTEGER REFERENCES searches(id), -- NULL: imported
    action      INTEGER NOT NULL,              -- the move played
    best_action INTEGER,                       -- the move with most visits
    q           REAL, d        REAL,           -- root mean
    best_q      REAL, best_d   REAL,           -- best child
    greedy_q    REAL, greedy_d REAL,           -- end of the best line
    played_q    REAL, played_d REAL,           -- the child played
    v           REAL, v_d      REAL,           -- the net alone
    m           REAL,                          -- moves left, where the net has that head
    z           INTEGER CHECK(z IN (-1, 0, 1)),
    nodes       INTEGER NOT NULL,              -- root N, its own evaluation included
    kld         REAL,                          -- KL(visits || prior), nats
    proven      INTEGER CHECK(proven IN (-1, 0, 1)), -- proven value of the root, NULL = not proven
    kind        TEXT    NOT NULL CHECK(kind IN ('full', 'fast', 'forced', 'import')),
    policy      BLOB,                          -- visits: see storage/policy.h; policy_json() in qzctl sql
    PRIMARY KEY(game_id, ply)
) STRICT, WITHOUT ROWID;

CREATE TABLE trainings(
    id              INTEGER PRIMARY KEY,
    net_id          INTEGER REFERENCES nets(id),      -- the net it made; NULL while running or failed
    parent_id       INTEGER NOT NULL REFERENCES nets(id),
    generation      INTEGER NOT NULL,                 -- of the net being made
    started_at      INTEGER NOT NULL,
    finished_at     INTEGER,
    state           TEXT    NOT NULL CHECK(state IN ('running', 'finished', 'failed')),
    failure         TEXT,                             -- why, where failed
    first_seq       INTEGER NOT NULL,                 -- window: games of seq first_seq .. last_seq
    last_seq        INTEGER NOT NULL,
    positions       INTEGER NOT NULL,                 -- in the window
    new_positions   INTEGER NOT NULL,                 -- finished since the last training
    all_positions   INTEGER NOT NULL,                 -- full searches finished ever, when it began
    samples         INTEGER NOT NULL,                 -- drawn
    q_ratio         REAL    NOT NULL,
    lambda          REAL    NOT NULL,
    q_kind          TEXT    NOT NULL CHECK(q_kind IN ('root', 'best', 'greedy')),
    teacher_id      INTEGER REFERENCES nets(id),
    teacher_policy  REAL    NOT NULL,
    teacher_value   REAL    NOT NULL,
    steps           INTEGER NOT NULL,
    rows_without_q  INTEGER NOT NULL,
    policy_loss     REAL,   -- cross-entropy, nats, mean over the last tenth of the steps
    policy_entropy  REAL,   -- of the targets of the same samples: the loss cannot fall below it
    value_loss      REAL,
    held_out_positions      INTEGER,
    held_out_policy_loss    REAL,   -- the finished (averaged) net on held-out games of the window
    held_out_policy_entropy REAL,
    held_out_value_loss     REAL,
    grad_norm       REAL,   -- mean before clipping
    learning_rate   REAL,   -- last
    samples_per_s   REAL,
    settings        TEXT    NOT NULL                  -- JSON of the whole job
) STRICT;

CREATE TABLE training_steps(
    training_id   INTEGER NOT NULL REFERENCES trainings(id),
    step          INTEGER NOT NULL,             -- means over the steps since the row before
    samples       INTEGER NOT NULL,             -- drawn so far
    policy_loss   REAL NOT NULL,
    value_loss    REAL NOT NULL,
    grad_norm     REAL NOT NULL,
    learning_rate REAL NOT NULL,
    PRIMARY KEY(training_id, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE matches(
    id          INTEGER PRIMARY KEY,
    net_a       INTEGER NOT NULL REFERENCES nets(id),
    net_b       INTEGER NOT NULL REFERENCES nets(id),
    nodes       INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    pairs       INTEGER NOT NULL,
    wins        INTEGER NOT NULL,               -- games, net_a's view
    draws       INTEGER NOT NULL,
    losses      INTEGER NOT NULL,
    distinct_games INTEGER NOT NULL,
    settings    TEXT    NOT NULL
) STRICT;

CREATE TABLE ratings(
    net_id INTEGER PRIMARY KEY REFERENCES nets(id),
    elo    REAL    NOT NULL,                    -- generation 0 = 0
    error  REAL    NOT NULL,                    -- one standard error
    games  INTEGER NOT NULL,
    at     INTEGER NOT NULL
) STRICT;

-- What the suites say of a net. nodes 0 = the net alone.
-- metrics of move suites: mistakes, mistakes_decisive (share of positions whose chosen move throws the
-- game value away: of all, of those where that is possible); of value suites: value_accuracy,
-- value_brier, value_cross_entropy (nats).
CREATE TABLE evaluations(
    net_id  INTEGER NOT NULL REFERENCES nets(id),
    suite   TEXT    NOT NULL,
    nodes   INTEGER NOT NULL,
    metric  TEXT    NOT NULL,
    value   REAL    NOT NULL,
    n       INTEGER NOT NULL,                   -- positions behind it
    at      INTEGER NOT NULL,
    seconds REAL    NOT NULL,                   -- core-seconds that the suite took
    PRIMARY KEY(net_id, suite, nodes, metric)
) STRICT, WITHOUT ROWID;

CREATE TABLE settings_log(
    id  INTEGER PRIMARY KEY,
    at  INTEGER NOT NULL,
    key TEXT    NOT NULL,                       -- 'targets.q_ratio'
    old TEXT,                                   -- JSON; NULL: first start
    new TEXT    NOT NULL,
    by  TEXT    NOT NULL                        -- 'start', 'SIGHUP', 'qzctl uid 1000', ...
) STRICT;

CREATE TABLE events(
    id       INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    severity TEXT    NOT NULL CHECK(severity IN ('info', 'warning', 'error')),
    what     TEXT    NOT NULL,                  -- a word or two to search for: 'worker exited'
    detail   TEXT    NOT NULL
) STRICT;

-- What only the run itself knows: numbers to go on with after a restart.
CREATE TABLE run(
    key   TEXT PRIMARY KEY,                     -- 'game', 'seed', 'next_game', 'created_at'
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Counters that rows cannot give, as workers report them, by the net that evaluated.
CREATE TABLE net_usage(
    net_id       INTEGER PRIMARY KEY REFERENCES nets(id),
    evaluations  INTEGER NOT NULL,              -- positions that the net computed
    lookups      INTEGER NOT NULL,              -- positions that searches asked for
    cache_hits   INTEGER NOT NULL,
    positions    INTEGER NOT NULL,              -- root searches finished
    busy_ms      INTEGER NOT NULL               -- worker time
) STRICT;
CREATE TABLE core_time(                         -- where the machine's time went
    what TEXT PRIMARY KEY,                      -- 'selfplay', 'training', 'evaluation'
    ms   INTEGER NOT NULL                       -- core-milliseconds
) STRICT, WITHOUT ROWID;

-- Tallies, kept in the commits that finish games, so that the views below are fast at any size.
-- "qzctl check" rebuilds them from the rows and compares. Sums are integers in millionths
-- (round(x * 1e6) a row), so that they do not depend on the order of adding. They count full
-- searches of finished self-play games; fast ones only where the name says so.
CREATE TABLE game_tallies(                      -- finished games, of every kind
    kind      TEXT PRIMARY KEY,                 -- as games.kind
    games     INTEGER NOT NULL,
    plies     INTEGER NOT NULL,
    positions INTEGER NOT NULL                  -- sum of full_positions
) STRICT, WITHOUT ROWID;
CREATE TABLE net_tallies(
    net_id          INTEGER PRIMARY KEY REFERENCES nets(id),
    games           INTEGER NOT NULL,           -- whose last position this net played
    plies           INTEGER NOT NULL,           -- of these games
    first_wins      INTEGER NOT NULL,
    draws           INTEGER NOT NULL,
    positions       INTEGER NOT NULL,           -- full searches of this net
    fast_positions  INTEGER NOT NULL,
    proven          INTEGER NOT NULL,
    nodes           INTEGER NOT NULL,
    sum_kld         INTEGER NOT NULL,
    first_finished_at INTEGER,                  -- of these games; NULL: none
    last_finished_at  INTEGER
) STRICT;
CREATE TABLE value_tallies(
    net_id  INTEGER NOT NULL REFERENCES nets(id),
    ply     INTEGER NOT NULL,
    proven  INTEGER NOT NULL CHECK(proven IN (0, 1)),
    n       INTEGER NOT NULL,                   -- with q, v and z
    abs_qz  INTEGER NOT NULL,                   -- sum |q - z|
    q  INTEGER NOT NULL, qq INTEGER NOT NULL,   -- sums of q, q q, ...
    z  INTEGER NOT NULL, zz INTEGER NOT NULL,
    qz INTEGER NOT NULL,
    v  INTEGER NOT NULL, vv INTEGER NOT NULL,
    vz INTEGER NOT NULL,
    PRIMARY KEY(net_id, ply, proven)
) STRICT, WITHOUT ROWID;

-- q against z, by generation, ply and whether the search proved the value. slope and bias are the
-- calibration: regressing z on q gives `slope` (1 = q is as sure as it should be, below 1 = too sure),
-- bias is mean z - mean q.
CREATE VIEW value_targets AS
SELECT nets.generation, t.ply, t.proven, t.n,
       round(t.abs_qz / 1e6 / t.n, 4) AS mean_abs_qz,
       round((1.0 * t.n * t.qz - t.q * (t.z / 1e6)) /
             nullif(sqrt(max(0, (1.0 * t.n * t.qq - t.q * (t.q / 1e6)) *
                                (1.0 * t.n * t.zz - t.z * (t.z / 1e6)))), 0), 4) AS corr_qz,
       round((1.0 * t.n * t.vz - t.v * (t.z / 1e6)) /
             nullif(sqrt(max(0, (1.0 * t.n * t.vv - t.v * (t.v / 1e6)) *
                                (1.0 * t.n * t.zz - t.z * (t.z / 1e6)))), 0), 4) AS corr_vz,
       round((1.0 * t.n * t.qz - t.q * (t.z / 1e6)) /
             nullif(1.0 * t.n * t.qq - t.q * (t.q / 1e6), 0), 4) AS slope,
       round((t.z - t.q) / 1e6 / t.n, 4) AS bias
FROM value_tallies t JOIN nets ON nets.id = t.net_id
WHERE nets.line = 'main' AND nets.state <> 'rejected';

-- One row a generation of the main line.
CREATE VIEW progress AS
WITH v AS (
    SELECT net_id, sum(n) AS n, sum(abs_qz) AS abs_qz,
           1.0 * sum(q) AS q, 1.0 * sum(qq) AS qq, 1.0 * sum(z) AS z, 1.0 * sum(zz) AS zz,
           1.0 * sum(qz) AS qz, 1.0 * sum(v) AS v, 1.0 * sum(vv) AS vv, 1.0 * sum(vz) AS vz
    FROM value_tallies GROUP BY net_id),
e AS (
    SELECT net_id,
           sum(value * n) FILTER (WHERE metric = 'mistakes' AND nodes = 0) /
               sum(n) FILTER (WHERE metric = 'mistakes' AND nodes = 0) AS mistakes_net,
           sum(value * n) FILTER (WHERE metric = 'mistakes' AND nodes > 0) /
               sum(n) FILTER (WHERE metric = 'mistakes' AND nodes > 0) AS mistakes_search,
           sum(value * n) FILTER (WHERE metric = 'value_accuracy' AND nodes = 0) /
               sum(n) FILTER (WHERE metric = 'value_accuracy' AND nodes = 0) AS value_accuracy,
           sum(value * n) FILTER (WHERE metric = 'value_brier' AND nodes = 0) /
               sum(n) FILTER (WHERE metric = 'value_brier' AND nodes = 0) AS value_brier
    FROM evaluations GROUP BY net_id)
SELECT nets.generation,
       nets.id AS net_id,
       nets.created_at,
       t.games, coalesce(t.positions, 0) AS positions,
       round(1.0 * t.plies / nullif(t.games, 0), 2) AS plies,
       round((t.first_wins + 0.5 * t.draws) / nullif(t.games, 0), 4) AS first_player_score,
       round(1.0 * t.draws / nullif(t.games, 0), 4) AS draws,
       r.q_ratio,
       round(r.policy_loss - r.policy_entropy, 4) AS policy_gap,
       round(r.held_out_policy_loss - r.held_out_policy_entropy, 4) AS policy_gap_held_out,
       round(r.value_loss, 4) AS value_loss,
       round(r.held_out_value_loss, 4) AS value_loss_held_out,
       round(v.abs_qz / 1e6 / nullif(v.n, 0), 4) AS mean_abs_qz,
       round((v.n * v.qz - v.q * (v.z / 1e6)) /
             nullif(sqrt(max(0, (v.n * v.qq - v.q * (v.q / 1e6)) * (v.n * v.zz - v.z * (v.z / 1e6)))), 0), 4) AS corr_qz,
       round((v.n * v.vz - v.v * (v.z / 1e6)) /
             nullif(sqrt(max(0, (v.n * v.vv - v.v * (v.v / 1e6)) * (v.n * v.zz - v.z * (v.z / 1e6)))), 0), 4) AS corr_vz,
       round(t.sum_kld / 1e6 / nullif(t.positions, 0), 4) AS kld,
       round(e.mistakes_net, 4) AS mistakes_net,
       round(e.mistakes_search, 4) AS mistakes_search,
       round(e.value_accuracy, 4) AS value_accuracy,
       round(e.value_brier, 4) AS value_brier,
       round(ratings.elo, 0) AS elo, round(ratings.error, 0) AS elo_error,
       round(u.evaluations * 1000.0 / nullif(u.busy_ms, 0), 0) AS evaluations_per_s,
       round(1.0 * u.evaluations / nullif(u.positions, 0), 1) AS evaluations_per_position,
       round(1.0 * u.cache_hits / nullif(u.lookups, 0), 4) AS cache_hits,
       round(1.0 * t.proven / nullif(t.positions, 0), 4) AS proven,
       round(u.busy_ms / 60000.0, 2) AS core_minutes
FROM nets
LEFT JOIN net_tallies t ON t.net_id = nets.id
LEFT JOIN trainings r ON r.net_id = nets.id
LEFT JOIN v ON v.net_id = nets.id
LEFT JOIN e ON e.net_id = nets.id
LEFT JOIN ratings ON ratings.net_id = nets.id
LEFT JOIN net_usage u ON u.net_id = nets.id
WHERE nets.line = 'main' AND nets.state <> 'rejected'
ORDER BY nets.generation;
