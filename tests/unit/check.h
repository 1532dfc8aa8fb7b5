/* What the unit tests share: comparisons that name the case in their message, policies from a text,
 * and files of tests/data (read relative to the repository's root). */
#pragma once

#include "base/buffer.h"
#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* cmocka cuts its messages at 1,024 bytes; these are whole. */
#define CHECK_FAIL(...)                                                                            \
    do {                                                                                           \
        fprintf(stderr, "\n");                                                                     \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fprintf(stderr, "\n");                                                                     \
        fail();                                                                                    \
    } while (0)

__attribute__((unused)) static void check_slice(const char *name, const char *what,
                                                struct slice got, struct slice expected)
{
    if (!slice_equal(got, expected))
        CHECK_FAIL("%s: %s is\n  %.*s\nexpected\n  %.*s", name, what, SLICE_ARGS(got),
                   SLICE_ARGS(expected));
}

__attribute__((unused)) static void check_text(const char *name, const char *what, struct slice got,
                                               const char *expected)
{
    check_slice(name, what, got, slice_from(expected));
}

__attribute__((unused)) static void check_number(const char *name, const char *what, long long got,
                                                 long long expected)
{
    if (got != expected)
        CHECK_FAIL("%s: %s is %lld, expected %lld", name, what, got, expected);
}

/* A copy on the heap of exactly its size, so that the address sanitizer sees a read past the end.
 */
__attribute__((unused)) static struct slice copy_exact(struct slice text)
{
    char *copy = malloc(text.len);
    if (text.len)
        memcpy(copy, text.base, text.len);
    return slice_of(copy, text.len);
}

__attribute__((unused)) static struct slice read_file(const char *path, struct arena *arena)
{
    struct buffer text = {0};
    char chunk[4096];
    size_t n;
    FILE *f = fopen(path, "rb");
    if (!f)
        CHECK_FAIL("cannot open %s (tests run in the repository's root)", path);
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buffer_append(&text, slice_of(chunk, n));
    fclose(f);
    struct slice all = arena_copy(arena, buffer_slice(&text));
    buffer_done(&text);
    return all;
}

/* All findings, one a line, each with a '\n'. */
__attribute__((unused)) static struct slice all_findings(const struct diagnostics *diagnostics,
                                                         struct arena *arena)
{
    struct buffer lines = {0};
    for (size_t i = 0; i < diagnostics->count; i++) {
        buffer_append(&lines, diagnostic_format(&diagnostics->items[i], arena));
        buffer_append_char(&lines, '\n');
    }
    struct slice all = arena_copy(arena, buffer_slice(&lines));
    buffer_done(&lines);
    return all;
}

/* Loads one text as the file `p.yaml`; NULL and its findings in `arena` where it has errors. */
__attribute__((unused)) static struct policies *load_text(const char *text,
                                                          const char *own_namespace,
                                                          struct arena *arena,
                                                          struct slice *ret_findings)
{
    struct diagnostics diagnostics = {0};
    struct policies *policies = NULL;
    struct policy_source source = {SLICE("p.yaml"), SLICE("p.yaml"), slice_from(text)};
    bool ok = policies_load(&source, 1, slice_from(own_namespace), &diagnostics, &policies);
    *ret_findings = all_findings(&diagnostics, arena);
    check_number(text, "success of policies_load", ok, diagnostics.errors == 0);
    check_number(text, "a set on success only", ok, policies != NULL);
    diagnostics_done(&diagnostics);
    return policies;
}

/* Loads a text that is right, warnings included. */
__attribute__((unused)) static struct policies *load_right(const char *text)
{
    struct arena arena = {0};
    struct slice findings;
    struct policies *policies = load_text(text, NULL, &arena, &findings);
    check_text(text, "all findings", findings, "");
    arena_done(&arena);
    return policies;
}
