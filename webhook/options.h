/* Command lines: one table per command drives parsing, environment variables, --help and the test
 * that compares the man pages with it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Exit statuses, the same for every command (see the man pages). */
enum exit_status {
    EXIT_FINE = 0,
    EXIT_BAD_ANSWER = 1, /* the question was answered and the answer is bad */
    EXIT_USAGE = 2,      /* usage, unreadable input, invalid policy */
    EXIT_UNKNOWN = 3,    /* it could not be found out */
};

enum option_kind {
    OPTION_FLAG,     /* bool *; takes no value */
    OPTION_TEXT,     /* const char ** */
    OPTION_TEXTS,    /* struct text_list *; may be given several times */
    OPTION_NUMBER,   /* long *; from least to most */
    OPTION_DURATION, /* long *; milliseconds; "10s", "1m30s", "500ms" */
    OPTION_WORD,     /* int *; index in words */
};

/* Pointers into the command line; free items with free(). */
struct text_list {
    const char **items;
    size_t count;
};

struct option_spec {
    const char *name; /* without the dashes */
    char short_name;  /* or NUL */
    enum option_kind kind;
    void *target;       /* set when the option is given; else it keeps its default */
    const char *value;  /* what stands for the value in --help: "FILE" */
    const char *help;   /* one sentence */
    const char *preset; /* what holds where it is not given, for --help; or NULL */
    bool required;
    long least, most;         /* of OPTION_NUMBER; least also of OPTION_DURATION, in ms */
    const char *const *words; /* of OPTION_WORD, NULL-terminated */
};

/* Options that commands share. */
#define OPTION_POLICIES(list)                                                                      \
    {                                                                                              \
        .name = "policies", .kind = OPTION_TEXTS, .target = (list), .value = "PATH",               \
        .required = true,                                                                          \
        .help = "A policy file, or a directory of *.yaml; may be given several times."             \
    }
#define OPTION_OUTPUT(index, form, names, text)                                                    \
    {                                                                                              \
        .name = "output", .short_name = 'o', .kind = OPTION_WORD, .target = (index),               \
        .value = (form), .words = (names), .preset = (names)[0], .help = (text)                    \
    }
#define OPTION_FACTS(file)                                                                         \
    {                                                                                              \
        .name = "facts", .kind = OPTION_TEXT, .target = (file), .value = "FILE",                   \
        .preset = "as if nothing had to be known", .help = "What Harbor knows, from a file."       \
    }
#define OPTION_REQUIRE_GATE(flag)                                                                  \
    {                                                                                              \
        .name = "require-gate", .kind = OPTION_FLAG, .target = (flag),                             \
        .help = "Exit with 3 where a Policy has findings and Harbor was not asked about an image." \
    }
#define OPTION_LIVE(flag)                                                                          \
    {                                                                                              \
        .name = "live", .kind = OPTION_FLAG, .target = (flag), .help = "Ask Harbor."               \
    }

/* Of commands that talk to the API server, and of those that change something there. */
#define OPTION_KUBECONFIG(text)                                                                    \
    {                                                                                              \
        .name = "kubeconfig", .kind = OPTION_TEXT, .target = (text), .value = "FILE",              \
        .help = "For kubectl, which leads to the API server from outside a Pod."                   \
    }
#define OPTION_CONTEXT(text)                                                                       \
    {                                                                                              \
        .name = "context", .kind = OPTION_TEXT, .target = (text), .value = "NAME",                 \
        .help = "The kubeconfig's context."                                                        \
    }
#define OPTION_AS(text)                                                                            \
    {                                                                                              \
        .name = "as", .kind = OPTION_TEXT, .target = (text), .value = "USER",                      \
        .help = "Ask as that user, where yours may impersonate it."                                \
    }
#define OPTION_NAMESPACES(list)                                                                    \
    {                                                                                              \
        .name = "namespace", .short_name = 'n', .kind = OPTION_TEXTS, .target = (list),            \
        .value = "NAMESPACE", .preset = "all of them",                                             \
        .help = "Only this namespace; may be given several times."                                 \
    }
#define OPTION_DRY_RUN(flag)                                                                       \
    {                                                                                              \
        .name = "dry-run", .kind = OPTION_FLAG, .target = (flag),                                  \
        .help = "Say what would be done, and do nothing."                                          \
    }
#define OPTION_YES(flag)                                                                           \
    {                                                                                              \
        .name = "yes", .kind = OPTION_FLAG, .target = (flag),                                      \
        .help = "Do not ask first; needed where there is no terminal."                             \
    }

struct command_spec {
    const char *name;      /* "serve", "certs init" */
    const char *summary;   /* one line */
    const char *arguments; /* what follows the options in the usage line, or NULL */
    const char *example;   /* lines that can be typed as they are */
    bool environment;      /* options can also be HARBOR_PILOT_NAME variables */
    const struct option_spec *options;
    size_t option_count;
};

enum options_result {
    OPTIONS_GO,
    OPTIONS_HELP_SHOWN,
    OPTIONS_USAGE, /* a message is on stderr */
};

/* Parses argv[1] on. `positionals` takes what is no option, or is NULL where the command has none.
 * Shows --help itself. */
enum options_result options_parse(const struct command_spec *command, int argc, char **argv,
                                  struct text_list *positionals);

/* From now on options_parse hands the command to `visit` in place of parsing, and returns
 * OPTIONS_HELP_SHOWN; NULL ends it. For `help --dump-interface`. */
void options_describe_to(void (*visit)(const struct command_spec *command, void *context),
                         void *context);

/* HARBOR_PILOT_BIND_ADDRESS for bind-address. */
enum { OPTION_VARIABLE_SIZE = 100 };
void option_variable(const struct option_spec *option, char ret[static OPTION_VARIABLE_SIZE]);

/* Adds the names of variables HARBOR_PILOT_… that say nothing to the command and come of no Service
 * (Kubernetes tells every container of those in its namespace: HARBOR_PILOT_SERVICE_HOST, …_PORT…):
 * misspelled ones. They live as long as the environment is left alone. */
void options_unknown_variables(const struct command_spec *command, struct text_list *ret);

void text_list_add(struct text_list *list, const char *text);

/* A message on stderr that starts with "harbor-pilot: ", and EXIT_USAGE to return. */
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
