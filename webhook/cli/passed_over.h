/* Objects of the input in which nothing looks for Pods: counted by kind, with the images that they
 * name all the same, and what to do about those that are known. */
#pragma once

#include "base/map.h"
#include "kube/workload.h"
#include "json/writer.h"

struct passed_over {
    struct arena arena;
    struct map by_kind;         /* "KIND.GROUP" -> struct passed_kind * */
    struct passed_kind **kinds; /* in the order in which they came */
    size_t count, capacity;
};

/* Counts the object; `arena` is for what is forgotten at once. */
void passed_over_add(struct passed_over *passed, const struct object *object, struct arena *arena);

/* Documents that are no objects of Kubernetes. */
void passed_over_add_nameless(struct passed_over *passed, size_t count, struct arena *arena);

/* What a person reads, each line at most `width` wide where it can be. Nothing where none was. */
void passed_over_print(struct passed_over *passed, size_t width, struct buffer *out);

/* The member `passedOver`, a list. */
void passed_over_write(struct passed_over *passed, struct json_writer *w);

void passed_over_done(struct passed_over *passed);
