-- Matches in pairs, and gates.
--
-- nets.state may be 'candidate' too: trained, and not playing before its match has been won; and
-- 'rejected' if it was not. nets.line 'uniform' is the net that says "all moves alike, an even game".
-- A rejected net's generation is given again to the next one that is trained.

ALTER TABLE matches ADD COLUMN purpose TEXT NOT NULL DEFAULT 'rating' CHECK(purpose IN ('rating', 'gate'));
ALTER TABLE matches ADD COLUMN planned_pairs INTEGER NOT NULL DEFAULT 0;
-- NULL while it is played. 'counts': played to its end. 'refused': under nine tenths of the games are
-- distinct, so it says nothing and no rating uses it. Of a gate: 'accepted', 'rejected' or 'refused'.
ALTER TABLE matches ADD COLUMN verdict TEXT CHECK(verdict IN ('counts', 'refused', 'accepted', 'rejected'));
ALTER TABLE matches ADD COLUMN llr REAL;             -- of the sequential test, where a gate asks for it
CREATE INDEX matches_net_a ON matches(net_a);
CREATE INDEX matches_net_b ON matches(net_b);

-- One row a pair of games: the same opening, both colours. Rows come in the order of pairs.
CREATE TABLE match_pairs(
    match_id           INTEGER NOT NULL REFERENCES matches(id),
    pair               INTEGER NOT NULL,             -- from 0
    opening            TEXT    NOT NULL,
    first_half_points  INTEGER NOT NULL CHECK(first_half_points BETWEEN 0 AND 2),  -- net_a's, moving first
    second_half_points INTEGER NOT NULL CHECK(second_half_points BETWEEN 0 AND 2), -- net_a's, moving second
    first_game         INTEGER NOT NULL,             -- games.id; retention may have dropped the row
    second_game        INTEGER NOT NULL,
    first_fingerprint  INTEGER NOT NULL,             -- equal games (or mirror images) have equal ones
    second_fingerprint INTEGER NOT NULL,
    PRIMARY KEY(match_id, pair)
) STRICT, WITHOUT ROWID;

-- One row a match: who against whom, and its pairs by net_a's points (pairs_0 = lost both games, pairs_2 =
-- won both).
CREATE VIEW match_results AS
SELECT m.id, m.purpose, a.line AS line_a, a.generation AS generation_a,
       b.line AS line_b, b.generation AS generation_b, m.net_a, m.net_b, m.nodes,
       m.pairs, m.planned_pairs, m.wins, m.draws, m.losses, m.distinct_games, m.verdict,
       round((m.wins + 0.5 * m.draws) / nullif(2 * m.pairs, 0), 4) AS score,
       coalesce(p.n0, 0) AS pairs_0, coalesce(p.n1, 0) AS pairs_half, coalesce(p.n2, 0) AS pairs_1,
       coalesce(p.n3, 0) AS pairs_one_and_half, coalesce(p.n4, 0) AS pairs_2,
       m.llr, m.started_at, m.finished_at
FROM matches m JOIN nets a ON a.id = m.net_a JOIN nets b ON b.id = m.net_b
LEFT JOIN (SELECT match_id,
                  sum(first_half_points + second_half_points = 0) AS n0,
                  sum(first_half_points + second_half_points = 1) AS n1,
                  sum(first_half_points + second_half_points = 2) AS n2,
                  sum(first_half_points + second_half_points = 3) AS n3,
                  sum(first_half_points + second_half_points = 4) AS n4
           FROM match_pairs GROUP BY match_id) p ON p.match_id = m.id
ORDER BY m.id;
