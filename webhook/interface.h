/* The program described for programs: `help --dump-interface`. */
#pragma once

#include "webhook/options.h"

#include <stddef.h>

/* A command of main's table. */
struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
};

/* Prints JSON on stdout: commands with their options, reasons, outcomes, exit statuses,
 * Policy fields, metrics, log events. Tests
 * compare the man pages, the completion and the documentation with it. Returns an exit status. */
int interface_dump(const struct command *commands, size_t count);
