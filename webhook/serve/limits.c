/* The sum of all bounds of memory. */
#include "webhook/serve/limits.h"

#include "admit/admit.h"
#include "webhook/common/log.h"
#include "webhook/facts/cache.h"
#include "webhook/facts/facts.h"
#include "webhook/facts/session.h"
#include "webhook/memory_shares.h"
#include "webhook/serve/admin.h"
#include "webhook/serve/connections.h"

enum {
    CONNECTION_MEMORY = 44 * 1024, /* of libmicrohttpd and GnuTLS: 36 KiB, measured */
    PROGRAM_MEMORY =
        32 * 1024 * 1024, /* the program, its libraries and policies: 13 MiB, measured */
    FACT_BUCKET_MEMORY = 2 * 1024 * 1024,
};

const struct memory_share memory_shares[] = {
    /* bodies, answers and what is read of them: all requests together */
    {"requests", (long long)HOLD_MOST + HOLD_RESERVE + LIMITS_THREADS *ADMIT_MEMORY_FIXED},
    {"connections", (long long)(LIMITS_CONNECTIONS + ADMIN_CONNECTIONS) * CONNECTION_MEMORY},
    {"facts", (long long)FACT_CACHE_ENTRY_BYTES + FACT_CACHE_SCAN_BYTES + FACT_BUCKET_MEMORY},
    /* answers of a Harbor that says as much as it may */
    {"harbor",
     (long long)REPORTS_AT_ONCE *REPORT_MAX_BODY + (long long)FACTS_ASKED_AT_ONCE *HTTP_MAX_BODY},
    {"log", 2 * LOG_MAX_PENDING},
    {"program", PROGRAM_MEMORY},
};
const int memory_share_count = sizeof(memory_shares) / sizeof(*memory_shares);
