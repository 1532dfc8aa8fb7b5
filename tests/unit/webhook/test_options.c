/* Command lines and durations: what is taken, and each message word for word. */
#include "webhook/options.h"

#include "tests/unit/webhook/capture.h"

/* --- one command with an option of each kind --- */

static struct values {
    bool flag;
    const char *text;
    struct text_list texts;
    long number, duration;
    int word;
} values;

static const char *const words[] = {"json", "text", NULL};
static const struct option_spec options[] = {
    {.name = "flag",
     .short_name = 'f',
     .kind = OPTION_FLAG,
     .target = &values.flag,
     .help = "A flag."},
    {.name = "text",
     .short_name = 't',
     .kind = OPTION_TEXT,
     .target = &values.text,
     .value = "FILE",
     .help = "A text.",
     .required = true},
    {.name = "texts",
     .kind = OPTION_TEXTS,
     .target = &values.texts,
     .value = "PATH",
     .help = "Several."},
    {.name = "the-number",
     .kind = OPTION_NUMBER,
     .target = &values.number,
     .value = "N",
     .help = "A number.",
     .least = -1,
     .most = 100},
    {.name = "wait",
     .kind = OPTION_DURATION,
     .target = &values.duration,
     .value = "DURATION",
     .help = "A time."},
    {.name = "format",
     .kind = OPTION_WORD,
     .target = &values.word,
     .value = "json|text",
     .help = "A word.",
     .words = words},
};
static const struct command_spec command = {.name = "try",
                                            .summary = "is tried",
                                            .example = "  harbor-pilot try --text x",
                                            .environment = true,
                                            .options = options,
                                            .option_count = COUNT(options)};

static enum options_result parse(const char *const *arguments, struct text_list *positionals,
                                 struct arena *arena, struct slice *ret_stderr)
{
    char *argv[16] = {"try"};
    int argc = 1;
    for (; arguments[argc - 1]; argc++)
        argv[argc] = (char *)arguments[argc - 1];
    free(values.texts.items);
    values = (struct values){.number = 7, .duration = 8, .word = 1};
    struct capture capture;
    capture_begin(&capture, STDERR_FILENO);
    enum options_result result = options_parse(&command, argc, argv, positionals);
    *ret_stderr = capture_end(&capture, arena);
    return result;
}

static void test_taken(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct slice text;
    struct text_list rest = {0};
    const char *const all[] = {"-f",           "--text=a=b", "--texts", "x",        "file",
                               "--texts=y",    "--wait",     "1m",      "--format", "json",
                               "--the-number", "-1",         "--",      "--flag",   NULL};
    enum options_result result = parse(all, &rest, &arena, &text);
    check_text("options", "stderr", text, "");
    assert_int_equal(result, OPTIONS_GO);
    assert_true(values.flag);
    assert_string_equal(values.text, "a=b");
    assert_int_equal(values.texts.count, 2);
    assert_string_equal(values.texts.items[0], "x");
    assert_string_equal(values.texts.items[1], "y");
    assert_int_equal(values.number, -1);
    assert_int_equal(values.duration, 60000);
    assert_int_equal(values.word, 0);
    assert_int_equal(rest.count, 2);
    assert_string_equal(rest.items[0], "file");
    assert_string_equal(rest.items[1], "--flag");
    free(rest.items);

    const char *const few[] = {"-tx", NULL};
    assert_int_equal(parse(few, NULL, &arena, &text), OPTIONS_GO);
    assert_string_equal(values.text, "x");
    assert_false(values.flag);
    assert_int_equal(values.number, 7); /* what is not given keeps its default */
    assert_int_equal(values.duration, 8);
    assert_int_equal(values.word, 1);
    arena_done(&arena);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *arguments[4], *text;
    } cases[] = {
        {{NULL},
         "--text is missing, expected --text FILE; `harbor-pilot try --help` shows an example"},
        {{"--txt", "x"}, "`--txt` is not an option of `try`; `harbor-pilot try --help` lists them"},
        {{"-x"}, "`-x` is not an option of `try`; `harbor-pilot try --help` lists them"},
        {{"--flag=1"}, "--flag takes no value, but there is `1`"},
        {{"--text"}, "--text has no value, expected FILE"},
        {{"--text="}, "--text is empty, expected FILE"},
        {{"--texts", "", "-tx"}, "--texts is empty, expected PATH"},
        {{"-tx", "more"},
         "`more` is not expected here; `harbor-pilot try --help` shows how it is used"},
        {{"-tx", "--the-number", "101"},
         "--the-number is `101`, expected a whole number from -1 to 100"},
        {{"-tx", "--the-number", "-2"},
         "--the-number is `-2`, expected a whole number from -1 to 100"},
        {{"-tx", "--the-number", "1x"},
         "--the-number is `1x`, expected a whole number from -1 to 100"},
        {{"-tx", "--the-number="}, "--the-number is ``, expected a whole number from -1 to 100"},
        {{"-tx", "--wait", "10"},
         "--wait is `10`, expected a duration from 0ms to 24h, such as `10s`, `1m30s` or `500ms`"},
        {{"-tx", "--format", "yaml"}, "--format is `yaml`, expected `json` or `text`"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct slice text;
        check_number(cases[i].text, "the result", parse(cases[i].arguments, NULL, &arena, &text),
                     OPTIONS_USAGE);
        check_slice(cases[i].text, "the message", text,
                    arena_format(&arena, "harbor-pilot: %s\n", cases[i].text));
        arena_done(&arena);
    }
}

static void test_environment(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct slice text;
    const char *const none[] = {NULL}, *const given[] = {"--text", "y", "--the-number", "5", NULL};
    setenv("HARBOR_PILOT_TEXT", "from", 1);
    setenv("HARBOR_PILOT_THE_NUMBER", "42", 1);
    setenv("HARBOR_PILOT_FLAG", "true", 1);
    setenv("HARBOR_PILOT_PORT_443_TCP", "tcp://10.0.0.1:443", 1); /* Kubernetes makes some */
    assert_int_equal(parse(none, NULL, &arena, &text), OPTIONS_GO);
    check_text("environment", "stderr", text, "");
    assert_string_equal(values.text, "from");
    assert_int_equal(values.number, 42);
    assert_true(values.flag);
    assert_int_equal(parse(given, NULL, &arena, &text), OPTIONS_GO);
    assert_string_equal(values.text, "y"); /* the command line wins */
    assert_int_equal(values.number, 5);
    setenv("HARBOR_PILOT_FLAG", "yes", 1);
    assert_int_equal(parse(given, NULL, &arena, &text), OPTIONS_USAGE);
    check_text("environment", "stderr", text,
               "harbor-pilot: HARBOR_PILOT_FLAG is `yes`, expected `true` or `false`\n");
    setenv("HARBOR_PILOT_FLAG", "", 1); /* empty is not set */
    assert_int_equal(parse(given, NULL, &arena, &text), OPTIONS_GO);
    assert_false(values.flag);
    unsetenv("HARBOR_PILOT_TEXT");
    unsetenv("HARBOR_PILOT_THE_NUMBER");
    unsetenv("HARBOR_PILOT_FLAG");
    unsetenv("HARBOR_PILOT_PORT_443_TCP");
    arena_done(&arena);
}

static void test_help(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct capture capture;
    struct slice errors;
    const char *const arguments[] = {"--bogus-after-help-is-not-read", NULL};
    const char *const help[] = {"--help", arguments[0], NULL};
    capture_begin(&capture, STDOUT_FILENO);
    enum options_result result = parse(help, NULL, &arena, &errors);
    const char *text = arena_copy(&arena, capture_end(&capture, &arena)).base;
    assert_int_equal(result, OPTIONS_HELP_SHOWN);
    check_text("help", "stderr", errors, "");
    for (size_t i = 0; i < COUNT(options); i++)
        if (!strstr(text, options[i].name) || !strstr(text, options[i].help))
            CHECK_FAIL("--%s is not in\n%s", options[i].name, text);
    assert_non_null(strstr(text, "harbor-pilot try --text x"));
    free(values.texts.items);
    values.texts.items = NULL;
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
