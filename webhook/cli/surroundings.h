/* What the input says of a cluster besides images: labels of Namespaces, names of Secrets, and
 * which workloads are there whose Pods may be there too. */
#pragma once

#include "base/map.h"
#include "kube/workload.h"

enum namespace_label {
    LABEL_UNKNOWN, /* the Namespace is not in the input */
    LABEL_MISSING,
    LABEL_MISSPELLED,
    LABEL_AUDIT,
    LABEL_ENFORCE,
};

struct known_namespace {
    struct slice name;
    enum namespace_label label;
    struct slice written;   /* what is there in place of the label, as `key: value`; or empty */
    struct slice labelled;  /* by when the label was there (RFC 3339); empty: not known */
    size_t images, rewrite; /* of its images that a Policy claims: with the label, as planned */
    bool told_of_secret, told_of_harbor;
};

struct surroundings {
    struct arena arena;
    struct map namespaces;         /* name -> struct known_namespace * */
    struct map secrets;            /* "namespace/name" */
    struct map workloads;          /* "namespace/Kind/name" */
    struct known_namespace **list; /* in the order in which they came */
    size_t count, capacity;
};

/* Keeps what an object says. `namespace_` is where it is, also where it does not say so itself. */
void surroundings_note(struct surroundings *s, const struct object *object, struct slice namespace_,
                       struct arena *arena);

/* What is known of the namespace; one that was not named before is LABEL_UNKNOWN. */
struct known_namespace *surroundings_namespace(struct surroundings *s, struct slice name);

bool surroundings_have_secret(const struct surroundings *s, struct slice namespace_,
                              struct slice name);

/* Whether an object that makes Pods, "namespace/Kind/name", is in the input. */
bool surroundings_have_workload(const struct surroundings *s, struct slice name);

void surroundings_done(struct surroundings *s);
