-- user_version 5: the figures of value_targets are stored beside their sums.

-- Computed where the view is read they took nearly all of its time: 180 ms for the 53,000 rows of 10 million positions.
-- (Stored generated columns would say the same in fewer words, but SQLite 3.40 cannot VACUUM INTO a copy of them on a
-- connection that may only read.)
ALTER TABLE value_tallies ADD COLUMN mean_abs_qz REAL;  -- mean |q - z|
ALTER TABLE value_tallies ADD COLUMN corr_qz     REAL;
ALTER TABLE value_tallies ADD COLUMN corr_vz     REAL;
ALTER TABLE value_tallies ADD COLUMN slope       REAL;
ALTER TABLE value_tallies ADD COLUMN bias        REAL;

-- Whoever adds to the sums changes n. (x * 1e4 + 1.5 2^52) - 1.5 2^52 is x * 1e4 rounded to a whole number, at a tenth of the
-- time of round(), which goes through text. Dividing by 0, and the root of less than 0, give NULL.
CREATE TRIGGER value_figures AFTER UPDATE OF n ON value_tallies BEGIN
    UPDATE value_tallies SET
        mean_abs_qz = (abs_qz / 1e2 / n + 6755399441055744.0 - 6755399441055744.0) / 1e4,
        corr_qz = ((1e6 * n * qz - 1.0 * q * z) /
                   sqrt((1e6 * n * qq - 1.0 * q * q) * (1e6 * n * zz - 1.0 * z * z)) * 1e4
                   + 6755399441055744.0 - 6755399441055744.0) / 1e4,
        corr_vz = ((1e6 * n * vz - 1.0 * v * z) /
                   sqrt((1e6 * n * vv - 1.0 * v * v) * (1e6 * n * zz - 1.0 * z * z)) * 1e4
                   + 6755399441055744.0 - 6755399441055744.0) / 1e4,
        slope = ((1e6 * n * qz - 1.0 * q * z) / (1e6 * n * qq - 1.0 * q * q) * 1e4
                 + 6755399441055744.0 - 6755399441055744.0) / 1e4,
        bias = ((z - q) / 1e2 / n + 6755399441055744.0 - 6755399441055744.0) / 1e4
    WHERE net_id = NEW.net_id AND ply = NEW.ply AND proven = NEW.proven;
END;
CREATE TRIGGER value_figures_of_the_first AFTER INSERT ON value_tallies BEGIN
    UPDATE value_tallies SET n = n
    WHERE net_id = NEW.net_id AND ply = NEW.ply AND proven = NEW.proven;
END;
UPDATE value_tallies SET n = n;

-- q against z, by generation, ply and whether the search proved the value. slope and bias are the
-- calibration: regressing z on q gives `slope` (1 = q is as sure as it should be, below 1 = too sure),
-- bias is mean z - mean q.
DROP VIEW value_targets;
CREATE VIEW value_targets AS
SELECT nets.generation, t.ply, t.proven, t.n, t.mean_abs_qz, t.corr_qz, t.corr_vz, t.slope, t.bias
FROM value_tallies t JOIN nets ON nets.id = t.net_id
WHERE nets.line = 'main' AND nets.state <> 'rejected';
