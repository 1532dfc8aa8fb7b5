/* The program's own tables as JSON. */
#include "webhook/interface.h"

#include "decide/decide.h"
#include "decide/operators.h"
#include "harbor/inquiry.h"
#include "kube/pod_kinds.h"
#include "policy/fields.h"
#include "webhook/common/log.h"
#include "webhook/memory_shares.h"
#include "webhook/serve/connections.h"
#include "webhook/serve/metrics.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>

static const char *const kinds[] = {
    [OPTION_FLAG] = "flag",     [OPTION_TEXT] = "text",         [OPTION_TEXTS] = "texts",
    [OPTION_NUMBER] = "number", [OPTION_DURATION] = "duration", [OPTION_WORD] = "word",
};

static json_t *describe_option(const struct option_spec *option, bool environment)
{
    char variable[OPTION_VARIABLE_SIZE], short_name[2] = {option->short_name, 0};
    option_variable(option, variable);
    return json_pack("{s:s, s:s*, s:s, s:s*, s:s*, s:b, s:s*, s:s}", "name", option->name, "short",
                     option->short_name ? short_name : NULL, "kind", kinds[option->kind], "value",
                     option->value, "default", option->preset, "required", option->required,
                     "environment", environment ? variable : NULL, "help", option->help);
}

static void describe_command(const struct command_spec *command, void *list)
{
    json_t *options = json_array();
    for (size_t i = 0; i < command->option_count; i++)
        json_array_append_new(options, describe_option(&command->options[i], command->environment));
    json_array_append_new(list,
                          json_pack("{s:s, s:s, s:s*, s:s, s:o}", "name", command->name, "summary",
                                    command->summary, "arguments", command->arguments, "example",
                                    command->example, "options", options));
}

/* Each command's table of options is its own; it shows it where it would parse. `init` is for
 * certs, the one with a command below it; the others do not come to look at it. */
static json_t *describe_commands(const struct command *commands, size_t count)
{
    json_t *list = json_array();
    options_describe_to(describe_command, list);
    for (size_t i = 0; i < count; i++)
        commands[i].run(2, (char *[]){(char *)commands[i].name, "init", NULL});
    options_describe_to(NULL, NULL);
    return list;
}

/* Words by their number. */
static json_t *describe_words(const char *(*name)(int index), int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_string(name(i)));
    return list;
}

static const char *reason(int index)
{
    return decide_reason_name((enum rewrite_reason)index);
}

static const char *gate_reason(int index)
{
    return gate_reason_name((enum gate_reason)index);
}

static const char *connection_end(int index)
{
    return connection_end_name((enum connection_end)index);
}

static const char *operator_name(int index)
{
    return compared_by[index].operator_name;
}

static const char *pod_kind(int index)
{
    return pod_kinds[index].kind;
}

static const char *pod_kind_group(int index)
{
    return pod_kinds[index].group;
}

static const char *pod_kind_pointer(int index)
{
    return pod_kinds[index].pointer;
}

/* "" stands for the object itself. */
static const char *pod_kind_owner(int index)
{
    return pod_kinds[index].owner ? pod_kinds[index].owner : "";
}

/* Texts up to NULL, at most `most`. */
static json_t *describe_texts(const char *const *texts, int most)
{
    json_t *list = json_array();
    for (int i = 0; i < most && texts[i]; i++)
        json_array_append_new(list, json_string(texts[i]));
    return list;
}

/* Fields with those below them, as `findings.allow.id`. */
static void describe_fields(const struct field_table *table, const char *above, json_t *list)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct field *field = &table->fields[i];
        json_t *name = json_sprintf("%s%s", above, field->key);
        json_array_append_new(
            list, json_pack("{s:O, s:b}", "name", name, "required", (int)field->required));
        json_t *below = field->fields ? json_sprintf("%s.", json_string_value(name)) : NULL;
        if (below)
            describe_fields(field->fields, json_string_value(below), list);
        json_decref(below);
        json_decref(name);
    }
}

static json_t *describe_kind(const struct field_table *table)
{
    json_t *list = json_array();
    describe_fields(table, "", list);
    return list;
}

static json_t *describe_metrics(void)
{
    json_t *list = json_array();
    for (const struct metric *m = metric_table; m->name; m++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}", "name", m->name, "type",
                                              m->type, "help", m->help, "labels",
                                              describe_texts(m->labels, INT_MAX)));
    return list;
}

static json_t *describe_events(void)
{
    json_t *list = json_array();
    for (int i = 0; i < EVENT_COUNT; i++)
        json_array_append_new(list, json_pack("{s:s, s:o}", "name", log_events[i].name, "members",
                                              describe_texts(log_events[i].members, INT_MAX)));
    return list;
}

int interface_dump(const struct command *commands, size_t count)
{
    json_t *all = json_pack(
        "{s:o, s:[i,i,i,i], s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:o}",
        "commands", describe_commands(commands, count), "exitStatuses", EXIT_FINE, EXIT_BAD_ANSWER,
        EXIT_USAGE, EXIT_UNKNOWN, "reasons", describe_words(reason, REASON_COUNT), "gateReasons",
        describe_words(gate_reason, GATE_REASONS), "gateOutcomes",
        describe_texts(gate_outcome_names, GATE_OUTCOMES), "harborFields",
        describe_kind(&harbor_fields), "policyFields", describe_kind(&policy_fields), "metrics",
        describe_metrics(), "events", describe_events(), "questionKinds",
        describe_texts(request_kind_names, REQUEST_COUNT), "questionAnswers",
        describe_texts(harbor_answer_names, ANSWER_COUNT), "connectionEnds",
        describe_words(connection_end, CONNECTION_ENDS), "comparedBy",
        describe_words(operator_name, (int)compared_by_count), "podKinds",
        describe_words(pod_kind, (int)pod_kinds_count), "podKindGroups",
        describe_words(pod_kind_group, (int)pod_kinds_count), "podKindPointers",
        describe_words(pod_kind_pointer, (int)pod_kinds_count), "podKindOwners",
        describe_words(pod_kind_owner, (int)pod_kinds_count));
    json_t *memory = json_object();
    for (int i = 0; i < memory_share_count; i++)
        json_object_set_new(memory, memory_shares[i].key, json_integer(memory_shares[i].bytes));
    json_object_set_new(all, "memory", memory);
    bool written = all && json_dumpf(all, stdout, JSON_INDENT(2)) == 0;
    json_decref(all);
    if (!written)
        return usage_error("cannot write the interface");
    putchar('\n');
    return EXIT_FINE;
}
