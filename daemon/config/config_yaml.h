/* libyaml for configuration files: one document without anchors, aliases and tags, and the places of its
 * nodes. */
#ifndef DAEMON_CONFIG_YAML_H
#define DAEMON_CONFIG_YAML_H

#include "daemon/config/config_problems.h"

#include <yaml.h>

/* Read a text. True: *ret is a document, to be deleted by yaml_document_delete, and the problems found so far
 * (anchors, a second document) are in the list. False: it is not YAML; the list says where. */
bool config_yaml_read(const char *text, size_t size, struct config_list *list,
                      yaml_document_t *ret);

static inline struct config_mark config_mark_of(const yaml_mark_t *mark)
{
    return (struct config_mark){mark->line + 1, mark->column + 1};
}
static inline struct config_mark config_node_mark(const yaml_node_t *node)
{
    return config_mark_of(&node->start_mark);
}
/* The text of a scalar, NULL where it is none or holds a NUL byte. */
const char *config_scalar(const yaml_node_t *node);

#endif
