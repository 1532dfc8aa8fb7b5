/* Image references, read as containerd and the kubelet read them: distribution/reference v0.6,
 * ParseNormalizedNamed, and the stricter of its length rules over time (see REFERENCE_MAX_NAME). */
#pragma once

#include "base/memory.h"
#include "base/slice.h"

#include <stdbool.h>

/* The longest domain and path together, with the '/' between them. distribution/reference before
 * v0.6 (containerd 1.6) counts both, later ones the path alone; nodes of both kinds exist. */
enum { REFERENCE_MAX_NAME = 255 };

struct reference {
    struct slice domain; /* "docker.io" where the text names none. Empty in one odd case: a first
                          * component with a '.' that is no domain, as in "a_b.c/x" */
    struct slice path;   /* with "library/" where Docker Hub's short form left it out */
    struct slice tag;    /* empty: none; no "latest" is made up */
    struct slice digest; /* "sha256:…"; empty: none */
    struct slice suffix; /* ":tag", "@digest" or both, byte for byte as written */
};

/* Whether nodes take it for the ID of an image that they have, in place of a reference: 64
 * lower-case hexadecimal digits, also behind `sha256:` (containerd 2: LocalResolve parses a digest
 * first). */
bool reference_is_image_id(struct slice text);

/* Reads a reference. Slices point into `text` or, where "library/" had to be added, into the arena.
 * False where containerd's parser would refuse the text; `ret` is then untouched. `sha256:` and 64
 * digits it reads as a tag: ask reference_is_image_id first. */
bool reference_parse(struct slice text, struct arena *arena, struct reference *ret);

/* domain/path[:tag][@digest]: the normalised text, without a made-up tag. */
struct slice reference_format(const struct reference *reference, struct arena *arena);

/* True where the text is what reference_parse gives as a `domain`: host names, IPv4, bracketed
 * IPv6, an optional port; and where an image reference that begins with it is read with it as its
 * domain. */
bool reference_is_domain(struct slice text);

/* True where the text is path components separated by '/', as in a repository's name. */
bool reference_is_path(struct slice text);
