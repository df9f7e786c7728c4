/* What a statement of a person may do on a connection: read. */
#ifndef DAEMON_QUERY_ACCESS_H
#define DAEMON_QUERY_ACCESS_H

struct sqlite3;

struct query_access {
    char refused[160]; /* what was refused first, for a message; "" = nothing yet */
};

/* Set SQLite's authorizer and limits. *access must live as long as the authorizer does. */
void query_access_restrict(struct sqlite3 *db, struct query_access *access);

#endif
