/* What the server's memory is for, at most, as it is started without options: the limit in deploy/
 * has to be larger than the sum. */
#pragma once

struct memory_share {
    const char *key; /* in the dump of the interface */
    long long bytes;
};

extern const struct memory_share memory_shares[];
extern const int memory_share_count;
