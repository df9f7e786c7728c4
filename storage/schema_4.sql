-- user_version 4: what retention has dropped.

-- The share of the tallies whose rows are gone: what the rows give, plus these, is what the tallies say. Columns as
-- those of game_tallies, net_tallies and value_tallies. run.removed_seq is the newest seq that was dropped.
CREATE TABLE removed_game_tallies(
    kind      TEXT PRIMARY KEY,
    games     INTEGER NOT NULL,
    plies     INTEGER NOT NULL,
    positions INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE removed_net_tallies(
    net_id          INTEGER PRIMARY KEY REFERENCES nets(id),
    games           INTEGER NOT NULL,
    plies           INTEGER NOT NULL,
    first_wins      INTEGER NOT NULL,
    draws           INTEGER NOT NULL,
    positions       INTEGER NOT NULL,
    fast_positions  INTEGER NOT NULL,
    proven          INTEGER NOT NULL,
    nodes           INTEGER NOT NULL,
    sum_kld         INTEGER NOT NULL,
    first_finished_at INTEGER,
    last_finished_at  INTEGER
) STRICT;
CREATE TABLE removed_value_tallies(
    net_id  INTEGER NOT NULL REFERENCES nets(id),
    ply     INTEGER NOT NULL,
    proven  INTEGER NOT NULL CHECK(proven IN (0, 1)),
    n       INTEGER NOT NULL,
    abs_qz  INTEGER NOT NULL,
    q  INTEGER NOT NULL, qq INTEGER NOT NULL,
    z  INTEGER NOT NULL, zz INTEGER NOT NULL,
    qz INTEGER NOT NULL,
    v  INTEGER NOT NULL, vv INTEGER NOT NULL,
    vz INTEGER NOT NULL,
    PRIMARY KEY(net_id, ply, proven)
) STRICT, WITHOUT ROWID;
