/* Reads a facts file for a command. */
#include "webhook/facts_option.h"

#include "webhook/files.h"

#include <time.h>

bool facts_option_read(struct facts_option *option, const char *path, struct error *reterr)
{
    struct buffer text = {0};
    struct error error;
    bool read = file_read(path, FACTS_MAX_SIZE, &text, &error) &&
                facts_file_parse(buffer_slice(&text), &option->file, &error);
    buffer_done(&text);
    if (read)
        known_facts_init(&option->known, option->file);
    else
        error_set(reterr, "%s: %s", path, error.text);
    return read;
}

long long facts_option_now(const struct facts_option *option)
{
    long long recorded = option->file ? facts_file_recorded(option->file) : 0;
    return recorded ? recorded : (long long)time(NULL);
}

void facts_option_done(struct facts_option *option)
{
    facts_file_free(option->file);
    *option = (struct facts_option){0};
}
