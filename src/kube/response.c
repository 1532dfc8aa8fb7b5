/* Writes the answer to an AdmissionReview. */
#include "kube/response.h"

#include "base/base64.h"
#include "json/writer.h"

enum { HTTP_FORBIDDEN = 403 };

void response_write(const struct review *review, const struct response *response,
                    struct buffer *out)
{
    struct json_writer w = {.out = out};
    json_begin_object(&w);
    json_member(&w, "apiVersion", review->api_version);
    json_member_text(&w, "kind", "AdmissionReview");
    json_key(&w, "response");
    json_begin_object(&w);
    json_member(&w, "uid", review->uid);
    json_member_bool(&w, "allowed", response->allowed);
    if (!response->allowed) {
        json_key(&w, "status");
        json_begin_object(&w);
        json_member_number(&w, "code", HTTP_FORBIDDEN);
        json_member_text(&w, "reason", "Forbidden");
        json_member(&w, "message", response->message);
        json_end_object(&w);
    }
    if (response->warning_count) {
        json_key(&w, "warnings");
        json_begin_array(&w);
        for (size_t i = 0; i < response->warning_count; i++)
            json_slice(&w, response->warnings[i]);
        json_end_array(&w);
    }
    if (response->patch.len) {
        json_member_text(&w, "patchType", "JSONPatch");
        json_key(&w, "patch");
        buffer_append_char(out, '"');
        base64_append(out, response->patch);
        buffer_append_char(out, '"');
        w.comma = true;
    }
    if (response->annotation_count) {
        json_key(&w, "auditAnnotations");
        json_begin_object(&w);
        for (size_t i = 0; i < response->annotation_count; i++) {
            json_key_slice(&w, response->annotations[i].key);
            json_slice(&w, response->annotations[i].value);
        }
        json_end_object(&w);
    }
    json_end_object(&w);
    json_end_object(&w);
}
