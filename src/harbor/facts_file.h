/* Facts written to a file (`plan --live --record`) and read back (`--facts`): a gate or a migration
 * can be tried without a Harbor.
 *
 *     {"harbors": {"default": {"healthy": true, "artifacts": {
 *       "docker-hub-proxy/library/nginx:1.27": {"present": true, "servable": true, "public":
 * true}}}}}
 *
 * The key is PROJECT/REPOSITORY:TAG, or PROJECT/REPOSITORY@DIGEST. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "harbor/fact.h"
#include "harbor/harbor.h"

struct facts_file;

/* Reads the text. False, with a place in the error, where it is no such file. The result is ended
 * with facts_file_free; nothing of the text is needed afterwards. */
bool facts_file_parse(struct slice text, struct facts_file **ret, struct error *reterr) MUST_CHECK;
void facts_file_free(struct facts_file *file);

/* When it was recorded, Unix seconds: the time by which scans are old. 0: it does not say. */
long long facts_file_recorded(const struct facts_file *file);

/* What a Harbor that discovers its projects was found to proxy: upstream domain and project. */
struct facts_registry {
    struct slice domain, project;
};
const struct facts_registry *facts_file_registries(const struct facts_file *file,
                                                   struct slice harbor, size_t *ret_count);

/* Health and artifact of the Harbor of that name; a Harbor that is not in the file is
 * HEALTH_UNKNOWN. */
enum harbor_health facts_file_health(const struct facts_file *file, struct slice harbor);
bool facts_file_artifact(const struct facts_file *file, struct slice harbor,
                         const struct artifact_key *key, struct artifact_fact *ret);

/* The facts as a source for decide(); lives as long as the file. */
const struct fact_source *facts_file_source(const struct facts_file *file);

/* A Harbor, and the artifacts that are written of it. */
struct facts_record {
    const struct harbor *harbor;
    const struct artifact_key *keys;
    size_t key_count;
};

/* Appends a file of what `source` knows of these Harbors, and of each artifact once. `now` is in
 * Unix seconds. */
void facts_file_write(const struct fact_source *source, const struct facts_record *records,
                      size_t count, long long now, struct buffer *out);
