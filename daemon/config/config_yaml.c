#include "daemon/config/config_yaml.h"

#include <string.h>

/* libyaml's reader counts bytes where its parser has lines. */
static struct config_mark mark_of_offset(const char *text, size_t size, size_t offset)
{
    struct config_mark mark = {1, 1};
    for (size_t i = 0; i < offset && i < size; i++) {
        if (text[i] == '\n') {
            mark = (struct config_mark){mark.line + 1, 1};
        } else if (((unsigned char)text[i] & 0xC0) != 0x80) { /* not inside a UTF-8 character */
            mark.column++;
        }
    }
    return mark;
}

static void add_yaml_problem(const yaml_parser_t *parser, const char *text, size_t size,
                             struct config_list *list)
{
    switch (parser->error) {
    case YAML_MEMORY_ERROR:
        list->no_memory = true;
        break;
    case YAML_READER_ERROR:
        config_list_add(list, mark_of_offset(text, size, parser->problem_offset),
                        "not a text file: %s; write the file in UTF-8", parser->problem);
        break;
    default: {
        struct config_mark mark = config_mark_of(&parser->problem_mark);
        size_t at = parser->problem_mark.index;
        if (at < size && text[at] == '\t') {
            config_list_add(list, mark, "not YAML: a tab stands here; indent with blanks");
        } else {
            config_list_add(list, mark,
                            "not YAML: %s%s%s; look at indentation, colons, quotes and brackets "
                            "here and just above",
                            parser->problem, parser->context != NULL ? " " : "",
                            parser->context != NULL ? parser->context : "");
        }
    }
    }
}

static const yaml_char_t *anchor_of(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return event->data.alias.anchor;
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor;
    default:
        return NULL;
    }
}

static const yaml_char_t *tag_of(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.tag;
    default:
        return NULL;
    }
}

static void check_event(const yaml_event_t *event, size_t *n_documents, struct config_list *list)
{
    struct config_mark mark = config_mark_of(&event->start_mark);
    if (event->type == YAML_DOCUMENT_START_EVENT && ++*n_documents == 2) {
        config_list_add(list, mark, "a second document begins; a configuration is one document");
    }
    if (anchor_of(event) != NULL) {
        config_list_add(list, mark,
                        "%s %c%s; anchors and aliases are not used here: write the "
                        "value out",
                        event->type == YAML_ALIAS_EVENT ? "an alias" : "an anchor",
                        event->type == YAML_ALIAS_EVENT ? '*' : '&', anchor_of(event));
    }
    if (tag_of(event) != NULL) {
        config_list_add(list, mark, "a tag, %s; tags are not used here: leave it out",
                        tag_of(event));
    }
}

/* The document API forgets anchors and stops behind the first document, so the events are looked at
 * before. Returns false if the text is not YAML. */
static bool check_events(const char *text, size_t size, struct config_list *list)
{
    yaml_parser_t parser;
    if (yaml_parser_initialize(&parser) == 0) {
        list->no_memory = true;
        return false;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    size_t n_documents = 0;
    bool ok = true;
    for (bool end = false; !end;) {
        yaml_event_t event;
        ok = yaml_parser_parse(&parser, &event) != 0;
        if (!ok) {
            add_yaml_problem(&parser, text, size, list);
            break;
        }
        end = event.type == YAML_STREAM_END_EVENT;
        check_event(&event, &n_documents, list);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return ok;
}

bool config_yaml_read(const char *text, size_t size, struct config_list *list, yaml_document_t *ret)
{
    if (!check_events(text, size, list)) {
        return false;
    }
    yaml_parser_t parser;
    if (yaml_parser_initialize(&parser) == 0) {
        list->no_memory = true;
        return false;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    bool ok = yaml_parser_load(&parser, ret) != 0;
    if (!ok && (list->n == 0 || parser.error == YAML_MEMORY_ERROR)) {
        /* else it is an alias of nothing, which has been told already */
        add_yaml_problem(&parser, text, size, list);
    }
    yaml_parser_delete(&parser);
    return ok;
}

const char *config_scalar(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE) {
        return NULL;
    }
    const char *text = (const char *)node->data.scalar.value;
    return strlen(text) == node->data.scalar.length ? text : NULL;
}
