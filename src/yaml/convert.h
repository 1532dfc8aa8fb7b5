/* YAML to JSON, as Kubernetes' tools convert manifests (sigs.k8s.io/yaml). */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "yaml/yaml.h"

enum { YAML_JSON_MAX_DEPTH = 200 };

/* Appends the document as JSON. Unquoted scalars become null, booleans and numbers as in YAML 1.1
 * (`yes` and `on` too), all else strings; merge keys (`<<`) are merged as YAML 1.1 has it: own keys
 * win, then the earlier of several maps. At most `budget` values and bytes of text are written,
 * aliases written out. False, with the error's place in `ret_at`, where there are more or they nest
 * without end. */
MUST_CHECK bool yaml_to_json(const struct yaml_value *value, size_t budget, struct buffer *out,
                             struct position *ret_at, struct error *reterr);
