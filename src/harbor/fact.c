/* The name of an artifact. */
#include "harbor/fact.h"

struct slice artifact_key_text(const struct artifact_key *key, char *text)
{
    const struct slice parts[] = {key->project, SLICE("/"), key->repository,
                                  artifact_is_by_digest(key) ? SLICE("@") : SLICE(":"),
                                  key->reference};
    size_t len = 0;
    for (size_t i = 0; i < 5; i++) {
        if (parts[i].len > ARTIFACT_KEY_MAX - len)
            return (struct slice){0};
        memcpy(text + len, parts[i].base, parts[i].len);
        len += parts[i].len;
    }
    return slice_of(text, len);
}
