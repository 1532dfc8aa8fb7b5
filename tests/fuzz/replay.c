/* Runs a fuzz target on every file of the directories (or the files) on the command line: corpora
 * and past crashes as ordinary tests. A path without a file is an error, so that a corpus that got
 * lost is seen. */
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool run_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = memory_allocate(size);
    if (!file || fread(data, 1, size, file) != size) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return true;
}

/* How many files there were. */
static size_t run_path(const char *path)
{
    struct stat status;
    struct dirent **entries;
    size_t files = 0;
    if (stat(path, &status) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 0;
    }
    if (S_ISREG(status.st_mode))
        return run_file(path, (size_t)status.st_size);
    int count = S_ISDIR(status.st_mode) ? scandir(path, &entries, NULL, alphasort) : 0;
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            struct arena arena = {0};
            files += run_path(arena_format(&arena, "%s/%s", path, entries[i]->d_name).base);
            arena_done(&arena);
        }
        free(entries[i]);
    }
    if (count > 0)
        free(entries);
    return files;
}

int main(int argc, char **argv)
{
    size_t all = 0;
    bool missing = argc < 2;
    for (int i = 1; i < argc; i++) {
        size_t files = run_path(argv[i]);
        if (files == 0)
            fprintf(stderr, "%s: there is no file, expected some to run\n", argv[i]);
        missing |= files == 0;
        all += files;
    }
    printf("%zu files\n", all);
    return missing ? 1 : 0;
}
