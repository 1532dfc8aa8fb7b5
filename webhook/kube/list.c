/* Reads lists with `limit` and `continue`. */
#include "webhook/kube/list.h"

#include "base/memory.h"
#include "json/pointer.h"
#include "json/scanner.h"

#include <ctype.h>

enum { GONE = 410 };

static void append_escaped(struct buffer *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (isalnum((unsigned char)text.base[i]) || strchr("-._~", text.base[i]))
            buffer_append_char(out, text.base[i]);
        else
            buffer_append_format(out, "%%%02X", (unsigned char)text.base[i]);
}

static void take_items(struct slice items, kube_item *take, void *context)
{
    struct json_scanner s;
    struct slice item;
    json_scanner_init(&s, items);
    if (json_peek(&s) != SCAN_ARRAY) /* null: there are none */
        return;
    json_array_begin(&s);
    while (json_array_next(&s) && json_skip_slice(&s, &item))
        take(context, item);
}

/* One pass through the whole, which validates it. */
static bool read_page(struct slice body, struct slice *ret_metadata, struct slice *ret_items)
{
    struct json_scanner s;
    struct json_string key;
    *ret_metadata = *ret_items = (struct slice){0};
    json_scanner_init(&s, body);
    if (json_peek(&s) != SCAN_OBJECT)
        return false;
    json_object_begin(&s);
    while (json_object_next(&s, &key))
        if (json_string_is(key, SLICE("metadata")))
            json_skip_slice(&s, ret_metadata);
        else if (json_string_is(key, SLICE("items")))
            json_skip_slice(&s, ret_items);
        else
            json_skip(&s);
    return json_finish(&s);
}

struct listing {
    struct kube_client *client;
    const char *path, *query;
    kube_item *take;
    void *context;
    struct buffer next; /* the token of the next page; empty: there is none */
    struct buffer version;
};

enum page { PAGE_READ, PAGE_GONE, PAGE_FAILED };

static enum page read_next(struct listing *l, struct error *reterr)
{
    CLEANUP_REPLY struct kube_reply reply = {0};
    CLEANUP_BUFFER struct buffer path = {0};
    CLEANUP_ARENA struct arena arena = {0};
    struct slice metadata, items;
    buffer_append_format(&path, "%s?limit=%d%s%s", l->path, KUBE_PAGE, *l->query ? "&" : "",
                         l->query);
    if (l->next.len) {
        buffer_append_text(&path, "&continue=");
        append_escaped(&path, buffer_slice(&l->next));
    }
    if (!kube_ask(l->client, &(struct kube_request){.method = "GET", .path = path.base}, &reply,
                  reterr))
        return PAGE_FAILED;
    if (reply.status == GONE && l->next.len)
        return PAGE_GONE;
    if (reply.status != 200) {
        kube_refusal(&reply, reterr);
        return PAGE_FAILED;
    }
    if (!read_page(buffer_slice(&reply.body), &metadata, &items)) {
        error_set(reterr, "the API server's answer to %s is no list", l->path);
        return PAGE_FAILED;
    }
    take_items(items, l->take, l->context);
    buffer_clear(&l->next);
    buffer_append(&l->next, json_find_text(metadata, "/continue", &arena));
    buffer_clear(&l->version);
    buffer_append(&l->version, json_find_text(metadata, "/resourceVersion", &arena));
    return PAGE_READ;
}

bool kube_list(struct kube_client *client, const char *path, const char *query, kube_item *take,
               void *context, char **ret_version, struct error *reterr)
{
    struct listing l = {
        .client = client, .path = path, .query = query, .take = take, .context = context};
    unsigned restarts = 0;
    enum page page;
    do {
        page = read_next(&l, reterr);
        if (page == PAGE_GONE) {
            buffer_clear(&l.next);
            restarts++;
        }
    } while ((page == PAGE_READ && l.next.len) || (page == PAGE_GONE && restarts <= KUBE_RESTARTS));
    if (page == PAGE_GONE)
        error_set(reterr, "the API server forgot the list %u times while it was read", restarts);
    if (page == PAGE_READ && ret_version)
        *ret_version = memory_copy_slice(buffer_slice(&l.version));
    buffer_done(&l.next);
    buffer_done(&l.version);
    return page == PAGE_READ;
}
