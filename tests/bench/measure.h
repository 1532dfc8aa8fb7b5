/* What the micro-benchmarks share: the time of one call in nanoseconds, or a number of calls that
 * callgrind counts. CPU time of the thread is taken, so that a busy machine disturbs less. */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MEASURE_BATCHES = 25, MEASURE_BATCH_NS = 4 * 1000 * 1000 };

/* One thing to measure; false where it went wrong. */
typedef bool measure_call(void *context);

static inline double measure_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static inline void measure_fail(const char *name)
{
    fprintf(stderr, "%s: the answer is wrong\n", name);
    exit(1);
}

/* `--toggle-collect=measured_calls` counts what happens in here. */
static __attribute__((noinline)) bool measured_calls(measure_call *call, void *context,
                                                     unsigned long n)
{
    bool good = true;
    for (unsigned long i = 0; i < n; i++)
        good &= call(context);
    return good;
}

/* Prints `NAME NANOSECONDS`, of the fastest batch: the code does the same each time, and what is
 * slower was disturbed. Where `count` is not 0, makes so many calls and prints nothing. */
static inline void measure(const char *name, measure_call *call, void *context, unsigned long count)
{
    if (!call(context)) /* warm, and seen to work */
        measure_fail(name);
    if (count) {
        if (!measured_calls(call, context, count))
            measure_fail(name);
        return;
    }
    double fastest = 0;
    unsigned long n = 1;
    for (double took = 0; took < MEASURE_BATCH_NS; n *= 2) {
        double began = measure_now();
        measured_calls(call, context, n);
        took = measure_now() - began;
    }
    n /= 2;
    for (int i = 0; i < MEASURE_BATCHES; i++) {
        double began = measure_now();
        if (!measured_calls(call, context, n))
            measure_fail(name);
        double took = (measure_now() - began) / (double)n;
        if (i == 0 || took < fastest)
            fastest = took;
    }
    printf("%s %.1f\n", name, fastest);
    fflush(stdout);
}

/* A whole file, NUL-terminated; ends the program where there is none. */
static inline char *measure_read_file(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(2);
    }
    long size = ftell(file);
    rewind(file);
    char *text = malloc((size_t)size + 1);
    if (!text || fread(text, 1, (size_t)size, file) != (size_t)size) {
        perror(path);
        exit(2);
    }
    text[size] = '\0';
    fclose(file);
    *ret_size = (size_t)size;
    return text;
}
