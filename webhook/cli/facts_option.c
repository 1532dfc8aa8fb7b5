/* Reads a facts file for a command. */
#include "webhook/cli/facts_option.h"

#include "webhook/common/files.h"
#include "webhook/common/policy_files.h"

#include <time.h>

bool facts_option_read(struct facts_option *option, const char *path, struct error *reterr)
{
    struct buffer text = {0};
    struct error error;
    bool read = file_read(path, FACTS_MAX_SIZE, &text, &error) &&
                facts_file_parse(buffer_slice(&text), &option->file, &error);
    buffer_done(&text);
    if (!read)
        error_set(reterr, "%s: %s", path, error.text);
    return read;
}

long long facts_option_now(const struct facts_option *option)
{
    long long recorded = option->file ? facts_file_recorded(option->file) : 0;
    return recorded ? recorded : (long long)time(NULL);
}

bool facts_option_discover(const struct facts_option *option, const struct text_list *paths,
                           struct policies **set)
{
    struct arena arena = {0};
    size_t count = 0, harbors = policies_harbor_count(*set);
    struct discovered *found = arena_allocate(&arena, harbors * sizeof(*found));
    for (size_t i = 0; option->file && i < harbors; i++) {
        const struct harbor *harbor = policies_harbor_at(*set, i);
        size_t registries;
        const struct facts_registry *known =
            facts_file_registries(option->file, harbor->name, &registries);
        if (!harbor->discover || registries == 0)
            continue;
        struct discovered *d = &found[count++];
        *d = (struct discovered){harbor->name, NULL, registries};
        d->registries = arena_allocate(&arena, registries * sizeof(*d->registries));
        for (size_t j = 0; j < registries; j++)
            d->registries[j] =
                (struct registry){.upstream.domain = known[j].domain, .project = known[j].project};
    }
    bool loaded = count == 0 || policy_files_discover(paths, found, count, set);
    arena_done(&arena);
    return loaded;
}

void facts_option_done(struct facts_option *option)
{
    facts_file_free(option->file);
    *option = (struct facts_option){0};
}
