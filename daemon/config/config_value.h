/* One value of a configuration file: from a YAML node, by its key's type, into struct config. */
#ifndef DAEMON_CONFIG_VALUE_H
#define DAEMON_CONFIG_VALUE_H

#include "daemon/config/config_schema.h"
#include "daemon/config/config_yaml.h"

struct config_reader {
    yaml_document_t *document;
    struct config_list *list;
    struct config *config;                  /* being filled */
    struct config_mark at[CONFIG_MAX_KEYS]; /* of each key's value; line 0: not in the file */
};

/* What is wrong goes into the list; the field is then as it was. */
void config_read_value(struct config_reader *reader, const struct config_key *key,
                       yaml_node_t *node);

#endif
