/* Writes a YAML tree as JSON. */
#include "yaml/convert.h"

#include "json/writer.h"

struct converter {
    struct json_writer w;
    struct position *at;
    struct error *error;
};

static bool convert(struct converter *c, const struct yaml_value *value, unsigned depth);

static bool is_one_of(struct slice text, const char *const *words)
{
    for (size_t i = 0; words[i]; i++)
        if (slice_equal(text, slice_from(words[i])))
            return true;
    return false;
}

/* A number that JSON writes in the same way; others (0x1F, 1_000, .5, octal) stay text, which is
 * what matters here: none of them is an image. */
static bool is_json_number(struct slice s)
{
    size_t i = 0, digits;
    if (i < s.len && s.base[i] == '-')
        i++;
    if (i == s.len || (s.base[i] == '0' && i + 1 < s.len && s.base[i + 1] >= '0' &&
                       s.base[i + 1] <= '9'))
        return false;
    for (digits = i; i < s.len && s.base[i] >= '0' && s.base[i] <= '9';)
        i++;
    if (i == digits)
        return false;
    if (i < s.len && s.base[i] == '.') {
        for (digits = ++i; i < s.len && s.base[i] >= '0' && s.base[i] <= '9';)
            i++;
        if (i == digits)
            return false;
    }
    return i == s.len;
}

static void convert_plain(struct converter *c, struct slice text)
{
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "Yes", "YES",
                                      "on",   "On",   "ON",   "y",   "Y",   NULL};
    static const char *const no[] = {"false", "False", "FALSE", "no", "No", "NO",
                                     "off",   "Off",   "OFF",   "n",  "N",  NULL};
    if (is_one_of(text, yes))
        json_bool(&c->w, true);
    else if (is_one_of(text, no))
        json_bool(&c->w, false);
    else if (is_json_number(text))
        json_raw(&c->w, text);
    else
        json_string_value(&c->w, text);
}

static bool is_merge(const struct yaml_value *key)
{
    return key->kind == YAML_PLAIN && slice_equal(key->text, SLICE("<<"));
}

static bool has_key(const struct yaml_value *map, struct slice key)
{
    for (size_t i = 0; i < map->count; i++)
        if (slice_equal(map->pairs[i].key->text, key))
            return true;
    return false;
}

/* The pairs of a map; with `below`, only those that `below` does not have itself. */
static bool convert_pairs(struct converter *c, const struct yaml_value *map,
                          const struct yaml_value *below, unsigned depth)
{
    if (depth > YAML_JSON_MAX_DEPTH) {
        *c->at = map->at;
        return error_set(c->error, "nested deeper than %d levels", YAML_JSON_MAX_DEPTH);
    }
    for (size_t i = 0; i < map->count; i++) {
        const struct yaml_pair *pair = &map->pairs[i];
        if (is_merge(pair->key)) {
            bool list = pair->value->kind == YAML_LIST;
            for (size_t j = 0; j < (list ? pair->value->count : 1); j++) {
                const struct yaml_value *merged = list ? pair->value->items[j] : pair->value;
                if (merged->kind == YAML_MAP && !convert_pairs(c, merged, map, depth + 1))
                    return false;
            }
        } else if (!below || !has_key(below, pair->key->text)) {
            json_key_slice(&c->w, pair->key->text);
            if (!convert(c, pair->value, depth + 1))
                return false;
        }
    }
    return true;
}

static bool convert(struct converter *c, const struct yaml_value *value, unsigned depth)
{
    if (depth > YAML_JSON_MAX_DEPTH || c->w.out->truncated) {
        *c->at = value->at;
        return c->w.out->truncated
                   ? error_set(c->error, "larger than %d bytes with its aliases written out",
                               YAML_JSON_MAX_SIZE)
                   : error_set(c->error, "nested deeper than %d levels", YAML_JSON_MAX_DEPTH);
    }
    bool good = true;
    switch (value->kind) {
    case YAML_NULL:
        json_null(&c->w);
        break;
    case YAML_PLAIN:
        convert_plain(c, value->text);
        break;
    case YAML_QUOTED:
        json_string_value(&c->w, value->text);
        break;
    case YAML_LIST:
        json_begin_array(&c->w);
        for (size_t i = 0; good && i < value->count; i++)
            good = convert(c, value->items[i], depth + 1);
        json_end_array(&c->w);
        break;
    case YAML_MAP:
        json_begin_object(&c->w);
        good = convert_pairs(c, value, NULL, depth);
        json_end_object(&c->w);
        break;
    }
    return good;
}

bool yaml_to_json(const struct yaml_value *value, struct buffer *out, struct position *ret_at,
                  struct error *reterr)
{
    struct converter c = {{.out = out}, ret_at, reterr};
    if (!out->limit || out->limit > YAML_JSON_MAX_SIZE)
        out->limit = YAML_JSON_MAX_SIZE;
    if (!convert(&c, value, 0))
        return false;
    if (!out->truncated)
        return true;
    *ret_at = value->at;
    return error_set(reterr, "larger than %d bytes with its aliases written out",
                     YAML_JSON_MAX_SIZE);
}
