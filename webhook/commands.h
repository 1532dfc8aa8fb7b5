/* The commands of the program, one file each: command_NAME.c. Each takes the rest of the command
 * line, its own name first, and returns an exit status. */
#pragma once

#include "webhook/options.h"

int command_certs(int argc, char **argv);
int command_check(int argc, char **argv);
int command_explain(int argc, char **argv);
int command_plan(int argc, char **argv);
int command_rescue(int argc, char **argv);
int command_serve(int argc, char **argv);
int command_version(int argc, char **argv);
