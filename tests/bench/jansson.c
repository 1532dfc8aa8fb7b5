/* What jansson takes to read an AdmissionReview into its tree: what the scanner is compared with.
 * A program of its own, since json/writer.h and jansson have functions of equal names.
 *
 *     jansson BODY time
 *     jansson BODY count jansson N */
#include "tests/bench/measure.h"

#include <jansson.h>

struct body {
    const char *text;
    size_t size;
};

static bool read_body(void *context)
{
    const struct body *body = context;
    json_t *root = json_loadb(body->text, body->size, 0, NULL);
    bool good = json_object_get(root, "request") != NULL;
    json_decref(root);
    return good;
}

int main(int argc, char **argv)
{
    struct body body;
    if (argc < 3) {
        fprintf(stderr, "usage: jansson BODY time | jansson BODY count jansson N\n");
        return 2;
    }
    body.text = measure_read_file(argv[1], &body.size);
    measure("jansson", read_body, &body, argc > 4 ? strtoul(argv[4], NULL, 10) : 0);
    return 0;
}
