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

/* What the names of some images begin with, by whole components: `ghcr.io/my-org` begins
 * `ghcr.io/my-org/app`, not `ghcr.io/my-organ/app`. */
struct reference_prefix {
    struct slice text;         /* DOMAIN or DOMAIN/PATH */
    struct slice domain, path; /* in the text; the path is empty where it is a whole registry */
};

/* Reads one; false for what no normalised name begins with. Nothing is made of Docker Hub's short
 * forms: `docker.io/library/nginx` is the image, `docker.io/nginx` all that `nginx` publishes. */
bool reference_prefix_parse(struct slice text, struct reference_prefix *ret);

/* By domain, then by path. */
int reference_prefix_compare(const void *a, const void *b);

/* Whether all names that begin with `inner` also begin with `outer`. */
bool reference_prefix_covers(const struct reference_prefix *outer,
                             const struct reference_prefix *inner);

/* The longest prefix of the name among `count` items of `size` bytes, each of which begins with a
 * struct reference_prefix, in the order of reference_prefix_compare; NULL where there is none.
 * `longest` bytes has the longest path of them: longer ones are not looked for. */
const void *reference_find_prefix(const struct reference *reference, const void *items,
                                  size_t count, size_t size, size_t longest);

/* True where the text is path components separated by '/', as in a repository's name. */
bool reference_is_path(struct slice text);
