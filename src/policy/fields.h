/* Reading one field of a policy document: what each kind of value may be, and what is said of one
 * that is wrong. For parse.c and findings.c. */
#pragma once

#include "policy/document.h"
#include "yaml/yaml.h"

struct field_parser {
    struct documents *documents;
    struct arena *arena;
    struct diagnostics *diagnostics;
};

/* Reads the value of one field into its target; reports what is wrong with it. */
typedef void field_reader(struct field_parser *p, const struct yaml_value *value, void *target);

struct field_table;

struct field {
    const char *key;
    field_reader *read; /* NULL: a map whose fields are of the same target */
    bool required;
    const struct field_table *fields; /* of the map that the value is, or of each in its list */
};

struct field_table {
    const struct field *fields;
    size_t count;
};

#define FIELD(name, reader)                                                                        \
    {                                                                                              \
        .key = (name), .read = (reader)                                                            \
    }
#define REQUIRED_FIELD(name, reader)                                                               \
    {                                                                                              \
        .key = (name), .read = (reader), .required = true                                          \
    }
#define FIELD_TABLE(array)                                                                         \
    {                                                                                              \
        .fields = (array), .count = sizeof(array) / sizeof(*(array))                               \
    }

#define FIELD_ERROR(p, value, ...) diagnostics_error((p)->diagnostics, (value)->at, __VA_ARGS__)

/* The fields of `spec` of each kind, and of a Policy's `findings`
 * and `podSelector`. */
extern const struct field_table harbor_fields, policy_fields, findings_fields, selector_fields;

/* Reads each pair of the map by its field; unknown keys, those that stand twice and required ones
 * that are missing are errors. A field whose value is nothing counts as left out, as in
 * Kubernetes. `what` names the map in messages. */
void fields_read(struct field_parser *p, const struct yaml_value *map, const char *what,
                 const struct field_table *fields, void *target);

bool field_is_scalar(const struct yaml_value *value);

/* Whether the map has a field of that key whose value is not nothing. */
bool field_holds(const struct yaml_value *map, const char *key);

bool field_has_key(const struct yaml_value *map, size_t before, struct slice key);

/* The readers below report what is wrong, with `what` as the field's name, and return false (-1)
 * with `ret` untouched. */
bool field_is_map(struct field_parser *p, const struct yaml_value *value, const char *what);
bool field_is_list(struct field_parser *p, const struct yaml_value *value, const char *what);

/* Text that no YAML tool reads as a number or a truth value; never empty. */
bool field_text(struct field_parser *p, const struct yaml_value *value, const char *what,
                struct slice *ret);
bool field_integer(struct field_parser *p, const struct yaml_value *value, const char *what,
                   long least, long most, long *ret);
bool field_truth(struct field_parser *p, const struct yaml_value *value, const char *what,
                 bool *ret);

/* The index of the value among `count` words, or -1 and an error that lists them. */
int field_word(struct field_parser *p, const struct yaml_value *value, const char *what,
               const char *const *words, size_t count);

/* The name of a Kubernetes object. */
bool field_name(struct field_parser *p, const struct yaml_value *value, const char *what,
                struct slice *ret);

/* A list of texts that may hold wildcards; what is wrong in it is left out. */
void field_patterns(struct field_parser *p, const struct yaml_value *value, const char *what,
                    struct pattern_list *ret);

/* `podSelector` of a Policy; the target is a struct policy_document. */
field_reader selector_read;

/* `findings` of a Policy; the target is a struct policy_document. */
field_reader findings_read;
