/* Parses options by their table, and prints --help from it. */
#include "webhook/options.h"

#include "base/duration.h"
#include "base/memory.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VARIABLE_PREFIX "HARBOR_PILOT_"

int usage_error(const char *format, ...)
{
    va_list args;
    fputs("harbor-pilot: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return EXIT_USAGE;
}

void text_list_add(struct text_list *list, const char *text)
{
    list->items = memory_resize(list->items, (list->count + 1) * sizeof(*list->items));
    list->items[list->count++] = text;
}

static bool set_word(const struct option_spec *option, const char *value)
{
    for (int i = 0; option->words[i]; i++)
        if (strcmp(option->words[i], value) == 0) {
            *(int *)option->target = i;
            return true;
        }
    fprintf(stderr, "harbor-pilot: --%s is `%s`, expected ", option->name, value);
    for (int i = 0; option->words[i]; i++)
        fprintf(stderr, "%s`%s`", i ? " or " : "", option->words[i]);
    fputc('\n', stderr);
    return false;
}

static bool set_number(const struct option_spec *option, const char *value)
{
    char *end;
    errno = 0;
    long number = strtol(value, &end, 10);
    bool plain = isdigit((unsigned char)*value) || (*value == '-' && option->least < 0);
    if (plain && !*end && !errno && number >= option->least && number <= option->most) {
        *(long *)option->target = number;
        return true;
    }
    usage_error("--%s is `%s`, expected a whole number from %ld to %ld", option->name, value,
                option->least, option->most);
    return false;
}

static bool set_duration(const struct option_spec *option, const char *value)
{
    enum { MOST_MS = 24 * 3600 * 1000 };
    long long milliseconds;
    if (duration_parse(value, &milliseconds) && milliseconds >= option->least &&
        milliseconds <= MOST_MS) {
        *(long *)option->target = (long)milliseconds;
        return true;
    }
    usage_error(
        "--%s is `%s`, expected a duration from %ldms to 24h, such as `10s`, `1m30s` or `500ms`",
        option->name, value, option->least);
    return false;
}

static bool is_not_empty(const struct option_spec *option, const char *value)
{
    if (*value)
        return true;
    usage_error("--%s is empty, expected %s", option->name, option->value);
    return false;
}

static bool set_option(const struct option_spec *option, const char *value)
{
    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)option->target = true;
        return true;
    case OPTION_TEXT:
        *(const char **)option->target = value;
        return is_not_empty(option, value);
    case OPTION_TEXTS:
        text_list_add(option->target, value);
        return is_not_empty(option, value);
    case OPTION_NUMBER:
        return set_number(option, value);
    case OPTION_DURATION:
        return set_duration(option, value);
    case OPTION_WORD:
        return set_word(option, value);
    }
    return false;
}

void option_variable(const struct option_spec *option, char ret[static OPTION_VARIABLE_SIZE])
{
    snprintf(ret, OPTION_VARIABLE_SIZE, VARIABLE_PREFIX "%s", option->name);
    for (char *c = ret; *c; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

static bool is_known_variable(const struct command_spec *command, struct slice name)
{
    char variable[OPTION_VARIABLE_SIZE];
    for (size_t i = 0; i < command->option_count; i++) {
        option_variable(&command->options[i], variable);
        if (slice_equal(slice_from(variable), name))
            return true;
    }
    return slice_equal(name, SLICE(VARIABLE_PREFIX "NAMESPACE")); /* see policy_files.h */
}

static bool is_of_service(struct slice name)
{
    struct slice host = SLICE("_SERVICE_HOST");
    return memmem(name.base, name.len, "_PORT", strlen("_PORT")) ||
           (name.len >= host.len && slice_equal(slice_from_index(name, name.len - host.len), host));
}

void options_unknown_variables(const struct command_spec *command, struct text_list *ret)
{
    for (char **variable = environ; *variable; variable++) {
        struct slice text = slice_from(*variable), name = slice_head(text, slice_find(text, '='));
        if (slice_starts_with(name, SLICE(VARIABLE_PREFIX)) && !is_known_variable(command, name) &&
            !is_of_service(name))
            text_list_add(ret, *variable);
    }
}

/* Other variables of the prefix are ignored: see options_unknown_variables. */
static bool set_from_environment(const struct option_spec *option, bool *ret_given)
{
    char name[OPTION_VARIABLE_SIZE];
    option_variable(option, name);
    const char *value = getenv(name);
    if (!value || !*value)
        return true;
    *ret_given = true;
    if (option->kind != OPTION_FLAG)
        return set_option(option, value);
    if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0) {
        *(bool *)option->target = *value == 't';
        return true;
    }
    usage_error("%s is `%s`, expected `true` or `false`", name, value);
    return false;
}

static void print_help(const struct command_spec *command)
{
    printf("harbor-pilot %s: %s\n\nUsage: harbor-pilot %s [options]%s%s\n\nOptions:\n",
           command->name, command->summary, command->name, command->arguments ? " " : "",
           command->arguments ? command->arguments : "");
    for (size_t i = 0; i < command->option_count; i++) {
        const struct option_spec *option = &command->options[i];
        char left[80], text[4] = {'-', option->short_name, ',', 0};
        snprintf(left, sizeof(left), "%s %s%s%s%s", option->short_name ? text : "   ", "--",
                 option->name, option->value ? " " : "", option->value ? option->value : "");
        if (strlen(left) > 34)
            printf("  %s\n  %-34s ", left, "");
        else
            printf("  %-34s ", left);
        printf("%s", option->help);
        if (option->preset)
            printf(" Default: %s.", option->preset);
        putchar('\n');
    }
    printf("  %-34s %s\n", "    --help", "Show this text.");
    if (command->environment)
        puts("\nEvery option can also be an environment variable: HARBOR_PILOT_BIND_ADDRESS for\n"
             "--bind-address. An option on the command line wins.");
    printf("\nExample:\n%s\n", command->example);
}

static const struct option_spec *find_option(const struct command_spec *command, const char *name,
                                             size_t len)
{
    for (size_t i = 0; i < command->option_count; i++)
        if (strlen(command->options[i].name) == len &&
            memcmp(command->options[i].name, name, len) == 0)
            return &command->options[i];
    return NULL;
}

static const struct option_spec *find_short(const struct command_spec *command, char name)
{
    for (size_t i = 0; i < command->option_count; i++)
        if (command->options[i].short_name == name)
            return &command->options[i];
    return NULL;
}

struct parsing {
    const struct command_spec *command;
    int argc;
    char **argv;
    int at;
    bool *given;
};

/* Takes one option, with its value, from argv. */
static bool take_option(struct parsing *p)
{
    const char *text = p->argv[p->at], *value = NULL;
    const struct option_spec *option;
    if (text[1] == '-') {
        const char *equals = strchr(text, '=');
        size_t len = equals ? (size_t)(equals - text - 2) : strlen(text) - 2;
        option = find_option(p->command, text + 2, len);
        value = equals ? equals + 1 : NULL;
    } else {
        option = find_short(p->command, text[1]);
        value = text[2] ? text + 2 : NULL;
    }
    if (!option) {
        usage_error("`%s` is not an option of `%s`; `harbor-pilot %s --help` lists them", text,
                    p->command->name, p->command->name);
        return false;
    }
    if (option->kind == OPTION_FLAG && value) {
        usage_error("--%s takes no value, but there is `%s`", option->name, value);
        return false;
    }
    if (option->kind != OPTION_FLAG && !value) {
        if (p->at + 1 == p->argc) {
            usage_error("--%s has no value, expected %s", option->name, option->value);
            return false;
        }
        value = p->argv[++p->at];
    }
    p->given[option - p->command->options] = true;
    return set_option(option, value);
}

static bool finish(const struct parsing *p)
{
    const struct command_spec *command = p->command;
    for (size_t i = 0; i < command->option_count; i++) {
        const struct option_spec *option = &command->options[i];
        if (command->environment && !p->given[i] && !set_from_environment(option, &p->given[i]))
            return false;
        if (option->required && !p->given[i]) {
            usage_error("--%s is missing, expected --%s %s; `harbor-pilot %s --help` shows an "
                        "example",
                        option->name, option->name, option->value, command->name);
            return false;
        }
    }
    return true;
}

static struct {
    void (*visit)(const struct command_spec *command, void *context);
    void *context;
} describing;

void options_describe_to(void (*visit)(const struct command_spec *command, void *context),
                         void *context)
{
    describing.visit = visit;
    describing.context = context;
}

enum options_result options_parse(const struct command_spec *command, int argc, char **argv,
                                  struct text_list *positionals)
{
    if (describing.visit) {
        describing.visit(command, describing.context);
        return OPTIONS_HELP_SHOWN;
    }
    bool *given = memory_allocate_zeroed(command->option_count, sizeof(*given));
    struct parsing p = {command, argc, argv, 1, given};
    enum options_result result = OPTIONS_GO;
    bool only_positionals = false;
    for (; p.at < argc && result == OPTIONS_GO; p.at++) {
        const char *text = argv[p.at];
        if (!only_positionals && strcmp(text, "--") == 0) {
            only_positionals = true;
        } else if (!only_positionals && (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0)) {
            print_help(command);
            result = OPTIONS_HELP_SHOWN;
        } else if (!only_positionals && text[0] == '-' && text[1]) {
            if (!take_option(&p))
                result = OPTIONS_USAGE;
        } else if (positionals) {
            text_list_add(positionals, text);
        } else {
            usage_error("`%s` is not expected here; `harbor-pilot %s --help` shows how it is used",
                        text, command->name);
            result = OPTIONS_USAGE;
        }
    }
    if (result == OPTIONS_GO && !finish(&p))
        result = OPTIONS_USAGE;
    free(given);
    return result;
}
