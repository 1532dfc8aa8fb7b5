/* Reads what -f names, and says where that is no manifest. */
#include "webhook/cli/inputs.h"

#include "webhook/common/files.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define EXPECTED                                                                                   \
    "expected objects of Kubernetes, YAML or JSON, as `kubectl get pods -A -o json` prints them"

struct input {
    struct slice name;
    struct buffer text;
};

struct reading {
    struct inputs *inputs;
    struct diagnostics *diagnostics;
};

static void read_one(void *context, const char *name)
{
    struct reading *r = context;
    struct inputs *inputs = r->inputs;
    struct error error;
    struct input input = {.name = arena_copy(&inputs->arena, slice_from(name))};
    bool standard = strcmp(name, "-") == 0;
    if (standard ? !file_read_stdin(MANIFESTS_MAX_SIZE, &input.text, &error)
                 : !file_read(name, MANIFESTS_MAX_SIZE, &input.text, &error)) {
        diagnostics_error(r->diagnostics, (struct position){.file = input.name}, "%s", error.text);
        return;
    }
    inputs->items = arena_grow(&inputs->arena, inputs->items, inputs->count, &inputs->capacity,
                               sizeof(*inputs->items));
    inputs->items[inputs->count++] = input;
}

static void read_directory(struct reading *r, const char *name)
{
    static const char *const endings[] = {".yaml", ".yml", ".json", NULL};
    struct position at = {.file = arena_copy(&r->inputs->arena, slice_from(name))};
    int count = directory_each(name, endings, read_one, r);
    if (count < 0)
        diagnostics_error(r->diagnostics, at, "%s", strerror(errno));
    if (count == 0)
        diagnostics_error(r->diagnostics, at,
                          "no *.yaml, *.yml or *.json is in this directory, expected manifests");
}

void inputs_read(struct inputs *inputs, const struct text_list *names,
                 struct diagnostics *diagnostics)
{
    struct reading r = {inputs, diagnostics};
    for (size_t i = 0; i < names->count; i++) {
        struct stat status;
        if (stat(names->items[i], &status) == 0 && S_ISDIR(status.st_mode))
            read_directory(&r, names->items[i]);
        else
            read_one(&r, names->items[i]);
    }
}

void inputs_each(const struct inputs *inputs, struct diagnostics *diagnostics,
                 manifest_handler *handle, void *context, struct manifests_seen *ret_seen)
{
    struct manifests_seen all = {0};
    size_t errors = diagnostics->errors;
    for (size_t i = 0; i < inputs->count; i++) {
        struct manifests_seen seen = {0};
        manifests_read(buffer_slice(&inputs->items[i].text), inputs->items[i].name, diagnostics,
                       handle, context, &seen);
        if (seen.texts && seen.objects + seen.maps == 0)
            diagnostics_error(diagnostics, seen.first_other, "this is text, " EXPECTED);
        if (all.maps + all.texts == 0)
            all.first_other = seen.first_other;
        all.objects += seen.objects;
        all.maps += seen.maps;
        all.texts += seen.texts;
    }
    if (all.objects == 0 && all.maps && diagnostics->errors == errors)
        diagnostics_error(diagnostics, all.first_other, "nothing here has a `kind`, " EXPECTED);
    *ret_seen = all;
}

void inputs_done(struct inputs *inputs)
{
    for (size_t i = 0; i < inputs->count; i++)
        buffer_done(&inputs->items[i].text);
    arena_done(&inputs->arena);
    *inputs = (struct inputs){0};
}
