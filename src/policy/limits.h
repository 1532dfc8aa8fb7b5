/* Limits of policy files. */
#pragma once

enum {
    POLICY_MAX_FILE_SIZE = 4 * 1024 * 1024,
    POLICY_MAX_PATTERN = 512, /* characters of a glob */
    POLICY_MAX_PRIORITY = 1000000,
    POLICY_MAX_EXCEPTIONS = 10000, /* of one Policy: `findings.allow` */
};
