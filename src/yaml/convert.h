/* YAML to JSON, as Kubernetes' tools convert manifests (sigs.k8s.io/yaml). */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "yaml/yaml.h"

enum {
    YAML_JSON_MAX_SIZE = 256 * 1024 * 1024, /* of one document, aliases written out */
    YAML_JSON_MAX_DEPTH = 200,
};

/* Appends the document as JSON. Unquoted scalars become null, booleans and numbers as in YAML 1.1
 * (`yes` and `on` too), all else strings; merge keys (`<<`) are merged. False, with the error's
 * place in `ret_at`, where aliases nest without end or grow past the limits. */
bool yaml_to_json(const struct yaml_value *value, struct buffer *out, struct position *ret_at,
                  struct error *reterr);
