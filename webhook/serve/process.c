/* Reads /proc/self. */
#include "webhook/serve/process.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static double count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    double count = -3; /* `.`, `..` and the directory itself */
    if (!directory)
        return 0;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

/* When the machine was booted, seconds since 1970. */
static double boot_seconds(void)
{
    struct timespec now, up;
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &up);
    return (double)(now.tv_sec - up.tv_sec) + (double)(now.tv_nsec - up.tv_nsec) / 1e9;
}

bool process_read(struct process_figures *ret)
{
    char text[1024] = "";
    CLEANUP_FILE FILE *file = fopen("/proc/self/stat", "re");
    if (!file || !fgets(text, sizeof(text), file))
        return false;
    const char *fields = strrchr(text, ')'); /* the name before it may hold anything */
    unsigned long user, system, virtual;
    unsigned long long start;
    long pages;
    /* proc(5): state is field 3; utime 14, stime 15, starttime 22, vsize 23, rss 24 */
    if (!fields || sscanf(fields + 2,
                          "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d "
                          "%*d %*d %llu %lu %ld",
                          &user, &system, &start, &virtual, &pages) != 5)
        return false;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    struct rlimit limit = {0};
    getrlimit(RLIMIT_NOFILE, &limit);
    *ret = (struct process_figures){
        .cpu_seconds = (double)(user + system) / ticks,
        .resident_bytes = (double)pages * (double)sysconf(_SC_PAGESIZE),
        .virtual_bytes = (double)virtual,
        .open_descriptors = count_descriptors(),
        .most_descriptors = (double)limit.rlim_cur,
        .start_seconds = boot_seconds() + (double)start / ticks,
    };
    return true;
}
