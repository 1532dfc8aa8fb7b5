/* Finds and reads policy files. */
#include "webhook/common/policy_files.h"

#include "base/digest.h"
#include "policy/limits.h"
#include "webhook/common/files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct reading {
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
            .path = slice_from(path),
            .file = arena_copy(&r->arena, slice_from(file)),
            .text = arena_copy(&r->arena, buffer_slice(&text)),
        };
    } else {
        fail(r, file, error.text);
    }
    buffer_done(&text);
}

/* Hidden names are Kubernetes' own: a ConfigMap's files are links through `..data`. */
static int is_policy_file(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".yaml") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name); /* alphasort would follow the locale */
}

static void read_directory(struct reading *r, const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, is_policy_file, by_name);
    if (count < 0) {
        fail(r, path, strerror(errno));
        return;
    }
    size_t len = strlen(path);
    for (int i = 0; i < count; i++) {
        const char *slash = len && path[len - 1] == '/' ? "" : "/";
        struct slice file = arena_format(&r->arena, "%s%s%s", path, slash, entries[i]->d_name);
        struct stat
            status; /* what is no regular file is not ours to read; a dead link is an error */
        if (stat(file.base, &status) != 0 || S_ISREG(status.st_mode))
            read_one(r, path, file.base);
        free(entries[i]);
    }
    free(entries);
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
    struct diagnostics diagnostics = {0};
    struct policies *policies = NULL;
    bool loaded = policy_files_load_discovered(paths, getenv("HARBOR_PILOT_NAMESPACE"), discovered,
                                               discovered_count, &diagnostics, &policies);
    if (!loaded)
        diagnostics_print(&diagnostics);
    diagnostics_done(&diagnostics);
    if (!loaded)
        return false;
    policies_unref(*set);
    *set = policies;
    return true;
}

void policy_files_digest(const struct text_list *paths, char ret[static 65])
{
    struct reading r = {0};
    struct buffer all = {0};
    read_paths(&r, paths);
    for (size_t i = 0; i < r.count; i++) {
        buffer_append_format(&all, "%.*s %zu\n", SLICE_ARGS(r.sources[i].file),
                             r.sources[i].text.len);
        buffer_append(&all, r.sources[i].text);
    }
    buffer_append_text(&all, r.failed ? "?" : "");
    digest_sha256_hex(buffer_slice(&all), ret);
    buffer_done(&all);
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
