-- user_version 3: what the doctor said.

-- One row a check at the end of each generation, and one whenever a check of the hour (the disk, workers, ...)
-- changes its state in between. "qzctl doctor" shows the newest; qzd(8) says what to do.
CREATE TABLE diagnoses(
    at         INTEGER NOT NULL,
    generation INTEGER NOT NULL,                -- the newest net then
    name       TEXT    NOT NULL,                -- 'value sign', 'exploration', ...
    state      TEXT    NOT NULL CHECK(state IN ('unknown', 'green', 'yellow', 'red')),
    figure     REAL,
    detail     TEXT    NOT NULL,                -- the figure in words
    bound      TEXT    NOT NULL,                -- what would be yellow and red
    PRIMARY KEY(name, at)
) STRICT, WITHOUT ROWID;
