/* Reads facts from JSON. */
#include "harbor/facts_file.h"

#include "base/map.h"
#include "json/scanner.h"

#include <stdlib.h>

struct harbor_facts {
    enum harbor_health health;
    struct map artifacts; /* key as written → struct artifact_fact * */
};

struct facts_file {
    struct arena arena;
    struct map harbors; /* name → struct harbor_facts * */
};

struct reader {
    struct json_scanner s;
    struct facts_file *file;
    struct error *error;
    bool failed;
};

/* --- reading --- */

static void fail_here(struct reader *r, const char *what, const char *expected)
{
    if (!r->failed)
        error_set(r->error, "%s at byte %zu, expected %s", what, (size_t)(r->s.at - r->s.begin),
                  expected);
    r->failed = true;
}

/* The same, and passes the value over. */
static void fail(struct reader *r, const char *what, const char *expected)
{
    fail_here(r, what, expected);
    json_skip(&r->s);
}

static bool enter(struct reader *r, const char *what)
{
    if (json_peek(&r->s) == JSON_OBJECT)
        return json_object_begin(&r->s);
    fail(r, what, "an object");
    return false;
}

static enum truth read_truth(struct reader *r, const char *what)
{
    bool value = false;
    enum json_type type = json_peek(&r->s);
    if (type == JSON_TRUE || type == JSON_FALSE) {
        json_read_bool(&r->s, &value);
        return value ? TRUTH_YES : TRUTH_NO;
    }
    fail(r, what, "true or false");
    return TRUTH_UNKNOWN;
}

static void read_pull_gate(struct reader *r, struct artifact_fact *fact)
{
    struct json_string value;
    if (json_peek(&r->s) != JSON_STRING) {
        fail(r, "`pullGate`", "\"refused\" or \"passed\"");
    } else if (json_read_string(&r->s, &value)) {
        fact->refused_by_gate = json_string_is(value, SLICE("refused"));
        if (!fact->refused_by_gate && !json_string_is(value, SLICE("passed")))
            fail_here(r, "`pullGate`", "\"refused\" or \"passed\"");
    }
}

static void read_artifact(struct reader *r, struct artifact_fact *fact)
{
    struct json_string key;
    fact->present = TRUTH_NO;
    fact->public_ = TRUTH_YES; /* a file that does not say so was written by hand */
    if (!enter(r, "an artifact"))
        return;
    while (json_object_next(&r->s, &key)) {
        if (json_string_is(key, SLICE("present")))
            fact->present = read_truth(r, "`present`");
        else if (json_string_is(key, SLICE("servable")))
            fact->servable = read_truth(r, "`servable`");
        else if (json_string_is(key, SLICE("public")))
            fact->public_ = read_truth(r, "`public`");
        else if (json_string_is(key, SLICE("authorized")))
            fact->unauthorized = read_truth(r, "`authorized`") == TRUTH_NO;
        else if (json_string_is(key, SLICE("inProxyFilter")))
            fact->outside_filter = read_truth(r, "`inProxyFilter`") == TRUTH_NO;
        else if (json_string_is(key, SLICE("pullGate")))
            read_pull_gate(r, fact);
        else
            json_skip(&r->s); /* digest, scan, scannable: the gate's */
    }
    if (fact->servable == TRUTH_UNKNOWN)
        fact->servable = fact->present;
}

static void read_artifacts(struct reader *r, struct harbor_facts *harbor)
{
    struct arena *arena = &r->file->arena;
    struct json_string key;
    if (!enter(r, "`artifacts`"))
        return;
    while (json_object_next(&r->s, &key)) {
        struct artifact_fact *fact = arena_allocate(arena, sizeof(*fact));
        *map_put(&harbor->artifacts, arena_copy(arena, json_string_decode(key, arena))) = fact;
        read_artifact(r, fact);
    }
}

static void read_harbor(struct reader *r, struct harbor_facts *harbor)
{
    struct json_string key;
    bool healthy = true, authorized = true;
    if (!enter(r, "a Harbor"))
        return;
    while (json_object_next(&r->s, &key)) {
        if (json_string_is(key, SLICE("healthy")))
            healthy = read_truth(r, "`healthy`") == TRUTH_YES;
        else if (json_string_is(key, SLICE("authorized")))
            authorized = read_truth(r, "`authorized`") == TRUTH_YES;
        else if (json_string_is(key, SLICE("artifacts")))
            read_artifacts(r, harbor);
        else
            json_skip(&r->s);
    }
    harbor->health = !healthy ? HEALTH_DOWN : !authorized ? HEALTH_UNAUTHORIZED : HEALTH_UP;
}

static void read_harbors(struct reader *r)
{
    struct arena *arena = &r->file->arena;
    struct json_string key;
    if (!enter(r, "`harbors`"))
        return;
    while (json_object_next(&r->s, &key)) {
        struct slice name = arena_copy(arena, json_string_decode(key, arena));
        struct harbor_facts *harbor = map_get(&r->file->harbors, name);
        if (!harbor) { /* else it stands there twice: what the second says is added */
            harbor = arena_allocate(arena, sizeof(*harbor));
            *map_put(&r->file->harbors, name) = harbor;
        }
        read_harbor(r, harbor);
    }
}

bool facts_file_parse(struct slice text, struct facts_file **ret, struct error *reterr)
{
    struct reader r = {.file = memory_allocate_zeroed(1, sizeof(*r.file)), .error = reterr};
    struct json_string key;
    bool found = false;
    json_scanner_init(&r.s, text);
    if (enter(&r, "the facts"))
        while (json_object_next(&r.s, &key)) {
            if (json_string_is(key, SLICE("harbors"))) {
                read_harbors(&r);
                found = true;
            } else {
                json_skip(&r.s);
            }
        }
    if (!json_finish(&r.s)) {
        error_set(reterr, "no JSON: at byte %zu, expected %s", (size_t)(r.s.error_at - r.s.begin),
                  r.s.expected);
        r.failed = true;
    } else if (!found && !r.failed) {
        error_set(reterr, "there is no `harbors`, expected what `plan --live --record` writes");
        r.failed = true;
    }
    if (r.failed) {
        facts_file_free(r.file);
        return false;
    }
    *ret = r.file;
    return true;
}

void facts_file_free(struct facts_file *file)
{
    if (!file)
        return;
    for (size_t i = 0; i < file->harbors.capacity; i++) {
        struct harbor_facts *harbor = file->harbors.entries[i].value;
        if (harbor)
            map_done(&harbor->artifacts);
    }
    map_done(&file->harbors);
    arena_done(&file->arena);
    free(file);
}

/* --- asking --- */

enum harbor_health facts_file_health(const struct facts_file *file, struct slice harbor)
{
    const struct harbor_facts *facts = map_get(&file->harbors, harbor);
    return facts ? facts->health : HEALTH_UNKNOWN;
}

bool facts_file_artifact(const struct facts_file *file, struct slice harbor,
                         const struct artifact_key *key, struct artifact_fact *ret)
{
    const struct harbor_facts *facts = map_get(&file->harbors, harbor);
    if (!facts)
        return false;
    struct arena arena = {0};
    struct slice text = arena_join(
        &arena,
        (struct slice[]){key->project, SLICE("/"), key->repository,
                         artifact_is_by_digest(key) ? SLICE("@") : SLICE(":"), key->reference},
        5);
    const struct artifact_fact *fact = map_get(&facts->artifacts, text);
    arena_done(&arena);
    if (!fact)
        return false;
    *ret = *fact;
    return true;
}
