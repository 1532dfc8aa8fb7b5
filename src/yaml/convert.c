/* Writes a YAML tree as JSON. */
#include "yaml/convert.h"

#include "base/map.h"
#include "json/writer.h"

struct converter {
    struct json_writer w;
    size_t budget; /* of values and bytes of text that may still be written */
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
    if (i == s.len ||
        (s.base[i] == '0' && i + 1 < s.len && s.base[i + 1] >= '0' && s.base[i + 1] <= '9'))
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
        json_slice(&c->w, text);
}

static bool is_merge(const struct yaml_value *key)
{
    return key->kind == YAML_PLAIN && slice_equal(key->text, SLICE("<<"));
}

static bool spend(struct converter *c, const struct yaml_value *value, unsigned depth)
{
    size_t cost = 1 + value->text.len;
    if (depth <= YAML_JSON_MAX_DEPTH && c->budget >= cost) {
        c->budget -= cost;
        return true;
    }
    *c->at = value->at;
    return depth > YAML_JSON_MAX_DEPTH
               ? error_set(c->error, "nested deeper than %d levels", YAML_JSON_MAX_DEPTH)
               : error_set(c->error, "too large with its aliases written out");
}

static bool convert_pair(struct converter *c, const struct yaml_pair *pair, unsigned depth)
{
    if (pair->key->kind == YAML_MAP) { /* `{{n}}` */
        *c->at = pair->key->at;
        return error_set(c->error, "a map is the key of a map, expected text (is this a template, "
                                   "`{{…}}`, that was not rendered?)");
    }
    json_key_slice(&c->w, pair->key->text);
    return convert(c, pair->value, depth + 1);
}

/* The pairs of a map with merge keys: its own first, then those of what it merges, in order; a key
 * that was there before is passed over. */
static bool merge_pairs(struct converter *c, const struct yaml_value *map, struct map *seen,
                        unsigned depth)
{
    if (!spend(c, map, depth))
        return false;
    for (size_t i = 0; i < map->count; i++) {
        const struct yaml_pair *pair = &map->pairs[i];
        if (is_merge(pair->key) || map_get(seen, pair->key->text))
            continue;
        *map_put(seen, pair->key->text) = pair->key;
        if (!convert_pair(c, pair, depth))
            return false;
    }
    for (size_t i = 0; i < map->count; i++) {
        struct yaml_value *value = map->pairs[i].value;
        if (!is_merge(map->pairs[i].key))
            continue;
        bool list = value->kind == YAML_LIST;
        for (size_t j = 0; j < (list ? value->count : 1); j++) {
            const struct yaml_value *merged = list ? value->items[j] : value;
            if (merged->kind == YAML_MAP && !merge_pairs(c, merged, seen, depth + 1))
                return false;
        }
    }
    return true;
}

static bool convert_pairs(struct converter *c, const struct yaml_value *map, unsigned depth)
{
    bool merges = false, good = true;
    for (size_t i = 0; i < map->count; i++)
        merges |= is_merge(map->pairs[i].key);
    if (merges) {
        struct map seen = {0};
        good = merge_pairs(c, map, &seen, depth);
        map_done(&seen);
    }
    for (size_t i = 0; good && !merges && i < map->count; i++)
        good = convert_pair(c, &map->pairs[i], depth);
    return good;
}

static bool convert(struct converter *c, const struct yaml_value *value, unsigned depth)
{
    if (!spend(c, value, depth))
        return false;
    bool good = true;
    switch (value->kind) {
    case YAML_NULL:
        json_write_null(&c->w);
        break;
    case YAML_PLAIN:
        convert_plain(c, value->text);
        break;
    case YAML_QUOTED:
        json_slice(&c->w, value->text);
        break;
    case YAML_LIST:
        json_begin_array(&c->w);
        for (size_t i = 0; good && i < value->count; i++)
            good = convert(c, value->items[i], depth + 1);
        json_end_array(&c->w);
        break;
    case YAML_MAP:
        json_begin_object(&c->w);
        good = convert_pairs(c, value, depth);
        json_end_object(&c->w);
        break;
    }
    return good;
}

bool yaml_to_json(const struct yaml_value *value, size_t budget, struct buffer *out,
                  struct position *ret_at, struct error *reterr)
{
    struct converter c = {{.out = out}, budget, ret_at, reterr};
    return convert(&c, value, 0);
}
