/* Finds and reads policy files. */
#include "webhook/common/policy_files.h"

#include "base/digest.h"
#include "policy/limits.h"
#include "webhook/common/files.h"
#include "webhook/common/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct reading {
    const char *directory; /* that is being read */
    struct arena arena;
    struct diagnostics *diagnostics; /* or NULL: nobody wants to know */
    struct policy_source *sources;
    size_t count, capacity;
    bool failed;
};

static void fail(struct reading *r, const char *path, const char *text)
{
    r->failed = true;
    if (r->diagnostics)
        diagnostics_error(r->diagnostics, (struct position){.file = slice_from(path)}, "%s", text);
}

static void read_one(struct reading *r, const char *path, const char *file)
{
    struct buffer text = {0};
    struct error error;
    if (file_read_regular(file, POLICY_MAX_FILE_SIZE, &text, &error)) {
        r->sources = arena_grow(&r->arena, r->sources, r->count, &r->capacity, sizeof(*r->sources));
        r->sources[r->count++] = (struct policy_source){
            .path = arena_copy(&r->arena, slice_from(path)),
            .file = arena_copy(&r->arena, slice_from(file)),
            .text = arena_copy(&r->arena, buffer_slice(&text)),
        };
    } else {
        fail(r, file, error.text);
    }
    buffer_done(&text);
}

/* A file of a directory. Others than regular files are left alone; a dead link is an error. */
static void read_listed(void *reading, const char *file)
{
    struct reading *r = reading;
    struct stat status;
    if (stat(file, &status) != 0 || S_ISREG(status.st_mode))
        read_one(r, r->directory, file);
}

static void read_directory(struct reading *r, const char *path)
{
    static const char *const endings[] = {".yaml", ".yml", NULL};
    r->directory = path;
    int count = directory_each(path, endings, read_listed, r);
    if (count < 0)
        fail(r, path, strerror(errno));
    if (count == 0)
        fail(r, path,
             "there is no *.yaml file here, expected policy documents (is the right "
             "ConfigMap mounted here?)");
}

static void read_paths(struct reading *r, const struct text_list *paths)
{
    for (size_t i = 0; i < paths->count; i++) {
        struct stat status;
        if (stat(paths->items[i], &status) != 0)
            fail(r, paths->items[i], strerror(errno));
        else if (S_ISDIR(status.st_mode))
            read_directory(r, paths->items[i]);
        else
            read_one(r, paths->items[i], paths->items[i]);
    }
}

const char *policy_files_own_namespace(void)
{
    const char *told = getenv("HARBOR_PILOT_NAMESPACE");
    return told ? told : "harbor-pilot";
}

bool policy_files_load(const struct text_list *paths, const char *namespace_,
                       struct diagnostics *diagnostics, struct policies **ret)
{
    return policy_files_load_discovered(paths, namespace_, NULL, 0, diagnostics, ret);
}

bool policy_files_load_discovered(const struct text_list *paths, const char *namespace_,
                                  const struct discovered *discovered, size_t discovered_count,
                                  struct diagnostics *diagnostics, struct policies **ret)
{
    struct reading r = {.diagnostics = diagnostics};
    read_paths(&r, paths);
    struct policies *policies = NULL;
    bool loaded = policies_load_discovered(r.sources, r.count, slice_from(namespace_), discovered,
                                           discovered_count, diagnostics, &policies);
    arena_done(&r.arena);
    if (loaded && !r.failed) {
        *ret = policies;
        return true;
    }
    policies_unref(policies);
    return false;
}

bool policy_files_discover(const struct text_list *paths, const struct discovered *discovered,
                           size_t discovered_count, struct policies **set)
{
    CLEANUP_DIAGNOSTICS struct diagnostics diagnostics = {0};
    struct policies *policies = NULL;
    bool loaded = policy_files_load_discovered(paths, policy_files_own_namespace(), discovered,
                                               discovered_count, &diagnostics, &policies);
    if (!loaded) {
        diagnostics_print(&diagnostics);
        return false;
    }
    policies_unref(*set);
    *set = policies;
    return true;
}

void policy_files_digest(const struct text_list *paths, char ret[static 65])
{
    struct reading r = {0};
    CLEANUP_BUFFER struct buffer all = {0};
    read_paths(&r, paths);
    for (size_t i = 0; i < r.count; i++) {
        buffer_append_format(&all, "%.*s %zu\n", SLICE_ARGS(r.sources[i].file),
                             r.sources[i].text.len);
        buffer_append(&all, r.sources[i].text);
    }
    buffer_append_text(&all, r.failed ? "?" : "");
    digest_sha256_hex(buffer_slice(&all), ret);
    arena_done(&r.arena);
}

void diagnostics_print(const struct diagnostics *diagnostics)
{
    struct arena arena = {0};
    for (size_t i = 0; i < diagnostics->count; i++) {
        struct slice line = diagnostic_format(&diagnostics->items[i], &arena);
        fprintf(stderr, "%.*s\n", SLICE_ARGS(line));
    }
    size_t all = diagnostics->errors + diagnostics->warnings;
    if (all > diagnostics->count)
        fprintf(stderr, "and %zu more\n", all - diagnostics->count);
    arena_done(&arena);
}

void diagnostics_log(const struct diagnostics *diagnostics)
{
    for (size_t i = 0; i < diagnostics->count; i++) {
        const struct diagnostic *d = &diagnostics->items[i];
        struct arena arena = {0};
        struct slice text = diagnostic_format(d, &arena);
        struct log_line line;
        log_begin(&line, d->warning ? LOG_WARNING : LOG_ERROR, EVENT_POLICY, text.base);
        json_member(&line.w, "file", d->at.file);
        json_member_number(&line.w, "line", d->at.line);
        json_member_number(&line.w, "column", d->at.column);
        log_end(&line);
        arena_done(&arena);
    }
}

void diagnostics_write(const struct diagnostics *diagnostics, bool warnings, bool with_document,
                       struct json_writer *w)
{
    struct arena arena = {0};
    json_key(w, warnings ? "warnings" : "errors");
    json_begin_array(w);
    for (size_t i = 0; i < diagnostics->count; i++) {
        const struct diagnostic *d = &diagnostics->items[i];
        if (d->warning != warnings)
            continue;
        json_begin_object(w);
        if (with_document)
            json_member(w, "document",
                        arena_format(&arena, "%.*s:%d", SLICE_ARGS(d->at.file), d->at.line));
        json_member(w, "file", d->at.file);
        json_member_number(w, "line", d->at.line);
        json_member_number(w, "column", d->at.column);
        json_member(w, "message", d->message);
        json_end_object(w);
    }
    json_end_array(w);
    arena_done(&arena);
}
