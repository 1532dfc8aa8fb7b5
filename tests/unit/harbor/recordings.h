/* Recorded exchanges with a real Harbor (tests/data/harbor) as the unit tests read them. */
#pragma once

#include "harbor/api.h"

#include "tests/unit/check.h"

#include <glob.h>

#define JSON     "application/json"
#define MANIFEST "application/vnd.oci.image.index.v1+json"

static struct slice header(struct slice head, const char *name)
{
    size_t len = strlen(name);
    while (head.len) {
        struct slice line = slice_head(head, slice_find(head, '\n'));
        head = slice_from_index(head, line.len + 1);
        if (line.len > len && strncasecmp(line.base, name, len) == 0 && line.base[len] == ':') {
            line = slice_from_index(line, len + 1);
            while (line.len && *line.base == ' ')
                line = slice_from_index(line, 1);
            return line.len && line.base[line.len - 1] == '\r' ? slice_head(line, line.len - 1)
                                                               : line;
        }
    }
    return (struct slice){0};
}

static bool has_type(struct slice head, const char *prefix)
{
    return slice_starts_with(header(head, "Content-Type"), slice_from(prefix));
}

/* The text before and behind the first `mark`, which has to be there. */
static void split(struct slice text, struct slice mark, struct slice *ret_before,
                  struct slice *ret_after)
{
    const char *at = memmem(text.base, text.len, mark.base, mark.len);
    assert_non_null(at);
    *ret_before = slice_head(text, (size_t)(at - text.base));
    *ret_after = slice_from_index(text, ret_before->len + mark.len);
}

/* The request and the answer of tests/data/harbor/NUMBER-*.http. */
static void read_recording(int number, struct arena *arena, struct slice *ret_request,
                           struct slice *ret_answer)
{
    glob_t found;
    struct slice pattern = arena_format(arena, "tests/data/harbor/%d-*.http", number);
    if (glob(pattern.base, 0, NULL, &found) != 0 || found.gl_pathc != 1)
        CHECK_FAIL("%s: expected one file", pattern.base);
    struct slice text = read_file(found.gl_pathv[0], arena);
    globfree(&found);
    split(text, SLICE("\n=== RESPONSE ===\n"), ret_request, ret_answer);
}

/* The recorded answer; the header's text is in `ret_challenge`. */
static struct harbor_reply recorded(int number, struct arena *arena, struct slice *ret_challenge)
{
    struct slice request, answer, head, body;
    read_recording(number, arena, &request, &answer);
    split(answer, SLICE("\r\n\r\n"), &head, &body);
    *ret_challenge = header(head, "Www-Authenticate");
    return (struct harbor_reply){
        .status = strtol(head.base + strlen("HTTP/1.1 "), NULL, 10),
        .json = has_type(head, JSON),
        .manifest = has_type(head, "application/vnd."),
        .challenge = *ret_challenge,
        .body = copy_exact(body),
    };
}

static void done(struct harbor_reply *reply)
{
    free((char *)reply->body.base);
}

__attribute__((unused)) static struct harbor_reply reply_of(long status, const char *type,
                                                            const char *body)
{
    return (struct harbor_reply){
        .status = status,
        .json = strncmp(type, JSON, strlen(JSON)) == 0,
        .manifest = strncmp(type, "application/vnd.", 16) == 0,
        .body = slice_from(body),
    };
}
