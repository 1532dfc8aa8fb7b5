/* Fuzzes what Harbor says: an HTTP answer as it comes from the socket, read as the answer to each
 * kind of question. Only a clear yes is a yes and only a clear no is a no; nothing leaves its
 * bounds; what goes into a header or a path cannot end it. The body is also read as a facts file,
 * and the whole text as the names of an artifact. */
#include "base/map.h"
#include "harbor/api.h"
#include "harbor/facts_file.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- the answer as http_client.c takes it apart --- */

static struct slice take_line(struct slice *text)
{
    struct slice line = slice_head(*text, slice_find(*text, '\n'));
    *text = slice_from_index(*text, line.len + 1);
    return line.len && line.base[line.len - 1] == '\r' ? slice_head(line, line.len - 1) : line;
}

static bool header_value(struct slice line, struct slice name, struct slice *ret)
{
    if (line.len <= name.len || line.base[name.len] != ':' ||
        strncasecmp(line.base, name.base, name.len) != 0)
        return false;
    *ret = slice_from_index(line, name.len + 1);
    while (ret->len && *ret->base == ' ')
        *ret = slice_from_index(*ret, 1);
    return true;
}

static struct harbor_reply parse(struct slice text, struct slice *ret_challenge)
{
    struct harbor_reply reply = {0};
    struct slice type = {0}, line = take_line(&text);
    for (size_t i = 9; i < line.len && i < 12 && line.base[i] >= '0' && line.base[i] <= '9'; i++)
        reply.status = reply.status * 10 + (line.base[i] - '0');
    *ret_challenge = (struct slice){0};
    while (text.len && (line = take_line(&text)).len) {
        header_value(line, SLICE("Content-Type"), &type);
        header_value(line, SLICE("Www-Authenticate"), ret_challenge);
    }
    reply.json = slice_starts_with(type, SLICE("application/json"));
    reply.manifest = slice_starts_with(type, SLICE("application/vnd."));
    reply.challenge = *ret_challenge;
    reply.body = text;
    return reply;
}

/* --- the checks --- */

/* Reads every byte, so that the address sanitizer sees one that is not ours. */
static void touch(struct slice text)
{
    CHECK(map_hash(text, 0) == map_hash(text, 0));
}

static void check_answers(const struct harbor_reply *reply)
{
    enum harbor_answer artifact = harbor_read_artifact(reply),
                       manifest = harbor_read_manifest(reply);
    CHECK(artifact <= ANSWER_FAILED && manifest <= ANSWER_FAILED);
    CHECK(artifact != ANSWER_YES || (reply->status == 200 && reply->json && reply->body.len > 10));
    CHECK(artifact != ANSWER_NO || (reply->status == 404 && reply->json && reply->body.len > 20));
    CHECK(artifact != ANSWER_REFUSED);
    CHECK(manifest != ANSWER_YES || (reply->status == 200 && reply->manifest));
    CHECK(manifest != ANSWER_NO || (reply->status == 404 && reply->json));
    CHECK(manifest != ANSWER_UNAUTHORIZED || reply->status == 403 || reply->challenge.len);
    CHECK((manifest == ANSWER_REFUSED) == (reply->status == 412));
    CHECK((artifact == ANSWER_LATER) == (reply->status == 429));
    CHECK(reply->status < 500 || (artifact == ANSWER_FAILED && manifest == ANSWER_FAILED));
    CHECK(reply->status != 0 || (artifact == ANSWER_FAILED && manifest == ANSWER_FAILED));
}

static void check_polls(const struct harbor_reply *reply, struct arena *arena)
{
    bool healthy = true;
    struct harbor_project project = {.public_ = TRUTH_UNKNOWN};
    struct slice version = SLICE("untouched");
    bool read = harbor_read_health(reply, &healthy);
    CHECK(!read || reply->status == 200);
    CHECK(read || healthy);
    if (harbor_read_project(reply, arena, &project) == ANSWER_YES) {
        CHECK(reply->status == 200 && project.public_ != TRUTH_UNKNOWN);
        touch(project.filter);
        touch(project.filter_kind);
        for (size_t i = 0; i < project.allowlist.count; i++)
            touch(project.allowlist.ids[i]);
    } else {
        CHECK(project.public_ == TRUTH_UNKNOWN);
    }
    bool known = false;
    CHECK(!harbor_read_systeminfo(reply, arena, &known, &version) || reply->status == 200);
    CHECK(!known || reply->status == 200);
    touch(version);
}

static void check_scan_request(const struct harbor_reply *reply)
{
    enum scan_request_answer answer = harbor_read_scan_request(reply);
    CHECK(answer <= SCAN_REQUEST_FAILED);
    CHECK((answer == SCAN_REQUEST_ACCEPTED) == (reply->status == 202));
    CHECK(answer != SCAN_REQUEST_UNDER_WAY || (reply->status == 409 && reply->json));
    CHECK(answer != SCAN_REQUEST_NO_SCANNER || (reply->status == 412 && reply->json));
    CHECK(answer != SCAN_REQUEST_NOT_FOUND || (reply->status == 404 && reply->json));
    CHECK(answer != SCAN_REQUEST_UNAUTHORIZED || reply->status == 401 || reply->status == 403);
    CHECK((reply->status >= 200 && reply->status < 500) || answer == SCAN_REQUEST_FAILED);
}

static void check_token(const struct harbor_reply *reply, struct slice challenge,
                        struct arena *arena)
{
    struct slice realm, service, token;
    long seconds;
    if (harbor_read_challenge(challenge, arena, &realm, &service)) {
        CHECK(realm.len > 0 && slice_find(realm, '"') == realm.len);
        CHECK(slice_find(service, '"') == service.len);
        CHECK(realm.base[realm.len] == '\0');
    }
    if (harbor_read_token(reply, arena, &token, &seconds)) {
        CHECK(reply->status == 200 && token.len > 0 && seconds > 0);
        for (size_t i = 0; i < token.len; i++)
            CHECK(token.base[i] > ' ' && token.base[i] < 0x7f);
    }
}

static void check_path(struct slice path, size_t slashes)
{
    for (size_t i = 0; i < path.len; i++) {
        char c = path.base[i];
        CHECK(c > ' ' && c < 0x7f && !strchr("?#\\\"<>@", c));
        slashes -= c == '/';
    }
    CHECK(slashes == 0);
}

/* Three names out of the text, one a third of it: none of them leaves its place in the path. */
static void check_paths(struct slice text)
{
    size_t third = text.len / 3, inner = 0;
    const struct artifact_key key = {slice_head(text, third),
                                     slice_head(slice_from_index(text, third), third),
                                     slice_from_index(text, 2 * third)};
    struct buffer path = {0};
    harbor_artifact_path(&key, &path);
    check_path(buffer_slice(&path), 8);
    buffer_clear(&path);
    harbor_report_path(&key, &path);
    check_path(buffer_slice(&path), 10);
    buffer_clear(&path);
    harbor_scan_path(&key, &path);
    check_path(buffer_slice(&path), 9);
    buffer_clear(&path);
    harbor_project_path(key.project, &path);
    check_path(buffer_slice(&path), 4);
    buffer_clear(&path);
    for (size_t i = 0; i < key.repository.len; i++)
        inner += key.repository.base[i] == '/';
    harbor_manifest_path(&key, &path);
    check_path(buffer_slice(&path), 5 + inner);
    buffer_done(&path);
}

static void check_facts_file(struct slice text, struct slice names)
{
    struct facts_file *file = NULL;
    struct error error = {""};
    if (!facts_file_parse(text, &file, &error)) {
        CHECK(!file && error.text[0]);
        return;
    }
    struct artifact_fact fact = {0};
    const struct artifact_key known = {SLICE("docker-hub-proxy"), SLICE("library/nginx"),
                                       SLICE("1.27")};
    const struct artifact_key any = {names, names, names};
    if (facts_file_artifact(file, SLICE("default"), &known, &fact))
        CHECK(fact.present != TRUTH_UNKNOWN && fact.servable != TRUTH_UNKNOWN);
    CHECK(fact.scan.finding_count <= SCAN_MAX_FINDINGS);
    for (size_t i = 0; i < fact.scan.finding_count; i++) {
        CHECK(fact.scan.findings[i].severity < SEVERITY_COUNT && fact.scan.findings[i].id.len > 0);
        CHECK(i == 0 || fact.scan.findings[i - 1].severity >= fact.scan.findings[i].severity);
        touch(fact.scan.findings[i].fix);
    }
    facts_file_artifact(file, SLICE("default"), &any, &fact);
    CHECK(facts_file_health(file, SLICE("no such Harbor")) <= HEALTH_UNAUTHORIZED);
    facts_file_free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of((const char *)data, size), challenge;
    struct arena arena = {0};
    struct harbor_reply reply = parse(text, &challenge);
    check_answers(&reply);
    check_polls(&reply, &arena);
    check_scan_request(&reply);
    check_token(&reply, challenge, &arena);
    check_paths(slice_head(text, 3000));
    check_facts_file(reply.body, slice_head(text, 20));
    arena_done(&arena);
    return 0;
}
