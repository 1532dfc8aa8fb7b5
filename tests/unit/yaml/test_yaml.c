/* YAML trees: kinds, places, several documents, aliases, and what is no YAML. */
#include "yaml/yaml.h"

#include "tests/unit/check.h"

/* Writes a tree as text: KIND@LINE:COLUMN for every node. */
static void show(const struct yaml_value *value, struct buffer *out, int depth)
{
    static const char *const kinds[] = {"null", "plain", "quoted", "list", "map"};
    if (depth > 6) {
        buffer_append_text(out, "…");
        return;
    }
    buffer_append_format(out, "%s@%d:%d", kinds[value->kind], value->at.line, value->at.column);
    if (value->kind == YAML_PLAIN || value->kind == YAML_QUOTED)
        buffer_append_format(out, "`%.*s`", SLICE_ARGS(value->text));
    if (value->kind != YAML_LIST && value->kind != YAML_MAP)
        return;
    buffer_append_char(out, value->kind == YAML_LIST ? '[' : '{');
    for (size_t i = 0; i < value->count; i++) {
        buffer_append_text(out, i ? ", " : "");
        if (value->kind == YAML_LIST) {
            show(value->items[i], out, depth + 1);
        } else {
            show(value->pairs[i].key, out, depth + 1);
            buffer_append_text(out, ": ");
            show(value->pairs[i].value, out, depth + 1);
        }
    }
    buffer_append_char(out, value->kind == YAML_LIST ? ']' : '}');
}

static const struct {
    const char *text, *trees; /* one a line, then the findings */
} cases[] = {
    {"", ""},
    {"# only a comment\n", ""},
    {"---\n---\n~\n---\n...\n", ""},
    {"a", "plain@1:1`a`\n"},
    {"'a'", "quoted@1:1`a`\n"},
    {"\"\"", "quoted@1:1``\n"},
    {"'null'", "quoted@1:1`null`\n"},
    {"[~, null, Null, NULL, nULL, '~', ]",
     "list@1:1[null@1:2, null@1:5, null@1:11, null@1:17, plain@1:23`nULL`, quoted@1:29`~`]\n"},
    {"[]", "list@1:1[]\n"},
    {"{}", "map@1:1{}\n"},
    {"a:\n  - b: 1\n    c:\n  - |\n   text\n",
     "map@1:1{plain@1:1`a`: list@2:3[map@2:5{plain@2:5`b`: plain@2:8`1`, plain@3:5`c`: "
     "null@3:7}, quoted@4:5`text\n`]}\n"},
    {"a: 1\na: 2\n", "map@1:1{plain@1:1`a`: plain@1:4`1`, plain@2:1`a`: plain@2:4`2`}\n"},
    {"\xc3\xbc: x\n", "map@1:1{plain@1:1`\xc3\xbc`: plain@1:4`x`}\n"}, /* columns are characters */
    {"a\n---\nb\n...\n---\nc\n", "plain@1:1`a`\nplain@3:1`b`\nplain@6:1`c`\n"},
    {"x: &y [1]\nz: *y\n",
     "map@1:1{plain@1:1`x`: list@1:4[plain@1:8`1`], plain@2:1`z`: list@1:4[plain@1:8`1`]}\n"},
    {"a\n---\nb: [\n", "plain@1:1`a`\nf:4:1: not YAML: did not find expected node content (while "
                       "parsing a flow node from line 4 on)\n"},
    {"a: b: c\n", "f:1:5: not YAML: mapping values are not allowed in this context\n"},
};

static void test_trees(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct buffer out = {0};
        struct diagnostics diagnostics = {0};
        struct yaml_value *root;
        struct slice text = copy_exact(slice_from(cases[i].text));
        struct yaml_reader *reader = yaml_reader_new(text, SLICE("f"), 1, &arena);
        while (yaml_next(reader, &diagnostics, &root)) {
            show(root, &out, 0);
            buffer_append_char(&out, '\n');
        }
        assert_false(yaml_next(reader, &diagnostics, &root)); /* the end stays the end */
        yaml_reader_free(reader);
        buffer_append(&out, all_findings(&diagnostics, &arena));
        check_text(cases[i].text, "the trees", buffer_slice(&out), cases[i].trees);
        buffer_done(&out);
        diagnostics_done(&diagnostics);
        arena_done(&arena);
        free((char *)text.base);
    }
    yaml_reader_free(NULL);
}

static void test_kind_names(void **state)
{
    (void)state;
    static const char *const names[] = {"nothing", "a single value", "a single value", "a list",
                                        "a map"};
    for (int kind = YAML_NULL; kind <= YAML_MAP; kind++) {
        struct yaml_value value = {.kind = (enum yaml_kind)kind};
        assert_string_equal(yaml_kind_name(&value), names[kind]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_kind_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
