/* The program: finds the command by its name. */
#include "webhook/commands.h"
#include "webhook/interface.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct command commands[] = {
    {"serve", command_serve, "the admission webhook server"},
    {"check", command_check, "validate policies and run their cases"},
    {"plan", command_plan, "what would happen to every image, and why"},
    {"explain", command_explain, "what happens to one image, and why"},
    {"rescue", command_rescue, "put Pods that cannot pull from Harbor back on their own image"},
    {"certs", command_certs, "make an authority and a serving certificate"},
    {"version", command_version, "show the version, the commit and the libraries"},
};

enum { COMMAND_COUNT = sizeof(commands) / sizeof(*commands) };

static void show_help(FILE *out)
{
    fputs("harbor-pilot moves a cluster's Pods into Harbor: it rewrites their image references to\n"
          "Harbor's proxy-cache projects, by policy, namespace by namespace.\n\n"
          "Usage: harbor-pilot COMMAND [options]\n\nCommands:\n",
          out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\n`harbor-pilot COMMAND --help` shows the options of one, with an example.\n", out);
}

/* A descriptor 0, 1 or 2 that was closed would be given to a socket, and log lines written into it.
 */
static void open_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

/* An answer that could not be written whole is none. */
static int finish_output(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    return usage_error("cannot write to standard output");
}

int main(int argc, char **argv)
{
    open_standard_descriptors();
    if (argc < 2) {
        show_help(stderr);
        return EXIT_USAGE;
    }
    if (argc == 3 && strcmp(argv[1], "help") == 0 && strcmp(argv[2], "--dump-interface") == 0)
        return finish_output(interface_dump(commands, COMMAND_COUNT));
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        show_help(stdout);
        return finish_output(EXIT_FINE);
    }
    if (strcmp(argv[1], "--version") == 0)
        return finish_output(command_version(1, argv));
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return finish_output(commands[i].run(argc - 1, argv + 1));
    return usage_error("`%s` is not a command; `harbor-pilot --help` lists them", argv[1]);
}
