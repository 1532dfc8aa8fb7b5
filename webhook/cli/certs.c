/* `certs init`: makes an authority and a serving certificate in a directory. */
#include "certs/authority.h"
#include "webhook/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEFAULT_CA_DAYS = 3650 };

static int init(int argc, char **argv)
{
    const char *directory = NULL;
    struct text_list dns_names = {0}, ip_addresses = {0};
    long days = 365, ca_days = 0;
    bool force = false;
    const struct option_spec options[] = {
        {.name = "directory",
         .kind = OPTION_TEXT,
         .target = &directory,
         .value = "DIR",
         .required = true,
         .help = "Where ca.crt, ca.key, tls.crt and tls.key go; created if it does not exist."},
        {.name = "dns-name",
         .kind = OPTION_TEXTS,
         .target = &dns_names,
         .value = "NAME",
         .help =
             "A name of the server; may be given several times. For a Service: NAME.NAMESPACE.svc"},
        {.name = "ip-address",
         .kind = OPTION_TEXTS,
         .target = &ip_addresses,
         .value = "IP",
         .help = "An address of the server; may be given several times."},
        {.name = "days",
         .kind = OPTION_NUMBER,
         .target = &days,
         .value = "N",
         .least = 1,
         .most = CERTS_DAYS_MAX,
         .preset = "365",
         .help = "How long the serving certificate is valid."},
        {.name = "ca-days",
         .kind = OPTION_NUMBER,
         .target = &ca_days,
         .value = "N",
         .least = 1,
         .most = CERTS_DAYS_MAX,
         .preset = "3650, or --days where that is more",
         .help = "How long the authority is valid."},
        {.name = "force", .kind = OPTION_FLAG, .target = &force, .help = "Replace existing files."},
    };
    const struct command_spec command = {
        .name = "certs init",
        .summary = "make an authority and a serving certificate",
        .example = "  harbor-pilot certs init --directory certs-out \\\n"
                   "      --dns-name harbor-pilot.harbor-pilot.svc",
        .options = options,
        .option_count = sizeof(options) / sizeof(*options),
    };
    int status = EXIT_FINE;
    struct error error;
    enum options_result result = options_parse(&command, argc, argv, NULL);
    if (ca_days == 0) /* the authority outlives what it signs */
        ca_days = days > DEFAULT_CA_DAYS ? days : DEFAULT_CA_DAYS;
    struct certs_request request = {
        dns_names.items, dns_names.count, ip_addresses.items, ip_addresses.count, days,
        ca_days,         time(NULL)};
    if (result != OPTIONS_GO)
        status = result == OPTIONS_USAGE ? EXIT_USAGE : EXIT_FINE;
    else if (!certs_init_directory(directory, &request, force, &error))
        status = usage_error("%s", error.text);
    else
        printf("wrote ca.crt, ca.key, tls.crt and tls.key to %s; keep ca.key safe, ca.crt is the "
               "caBundle\n",
               directory);
    free(dns_names.items);
    free(ip_addresses.items);
    return status;
}

int command_certs(int argc, char **argv)
{
    static const char help[] = "harbor-pilot certs: certificates for the webhook\n\n"
                               "Usage: harbor-pilot certs init [options]\n\n"
                               "Commands:\n  init   make an authority and a serving certificate\n\n"
                               "`harbor-pilot certs init --help` shows its options.\n";
    if (argc > 1 && strcmp(argv[1], "init") == 0)
        return init(argc - 1, argv + 1);
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(help, stdout);
        return EXIT_FINE;
    }
    if (argc > 1)
        return usage_error("`certs %s` is not a command, expected `certs init`", argv[1]);
    fputs(help, stderr);
    return EXIT_USAGE;
}
