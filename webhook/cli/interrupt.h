/* Ctrl-C and SIGTERM for commands that must end what they began. */
#pragma once

#include <signal.h>
#include <stdbool.h>

/* Not 0 once the process was told to end. The second signal ends it at once. */
extern volatile sig_atomic_t interrupted;
void interrupt_catch(void);

/* Asks `question` on the terminal; true for y or yes. False, without asking, where standard input
 * or standard error is none. */
bool confirm(const char *question);
bool can_confirm(void);
