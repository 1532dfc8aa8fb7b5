/* The program's own tables as JSON. */
#include "webhook/interface.h"

#include "webhook/memory_shares.h"
#include "webhook/names.h"

#include <jansson.h>
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

int interface_dump(const struct command *commands, size_t count)
{
    json_t *all = json_pack("{s:o, s:[i,i,i,i]}", "commands", describe_commands(commands, count),
                            "exitStatuses", EXIT_FINE, EXIT_BAD_ANSWER, EXIT_USAGE, EXIT_UNKNOWN);
    for (int i = 0; i < name_table_count; i++) {
        json_t *list = json_array();
        const char *name;
        for (int j = 0; j < name_tables[i].most && (name = name_tables[i].name(j)); j++)
            json_array_append_new(list, json_string(name));
        json_object_set_new(all, name_tables[i].key, list);
    }
    json_t *memory = json_object();
    for (int i = 0; i < memory_share_count; i++)
        json_object_set_new(memory, memory_shares[i].key, json_integer(memory_shares[i].bytes));
    json_object_set_new(all, "memory", memory);
    bool written = all && json_dumpf(all, stdout, JSON_INDENT(2)) == 0;
    json_decref(all);
    if (!written)
        return usage_error("cannot write what the program knows of itself");
    putchar('\n');
    return EXIT_FINE;
}
