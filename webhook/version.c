/* The version, the commit, and the libraries that are linked. */
#include "webhook/version.h"

#include "webhook/commands.h"

#include <gnutls/gnutls.h>
#include <jansson.h>
#include <microhttpd.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <yaml.h>

#ifndef HARBOR_PILOT_VERSION
#error "build with make, which defines HARBOR_PILOT_VERSION from the file VERSION"
#endif

const char *version_number(void)
{
    return HARBOR_PILOT_VERSION;
}

const char *version_commit(void)
{
    return HARBOR_PILOT_COMMIT;
}

int command_version(int argc, char **argv)
{
    const struct command_spec command = {
        .name = "version",
        .summary = "show the version, the commit and the libraries",
        .example = "  harbor-pilot version",
    };
    enum options_result result = options_parse(&command, argc, argv, NULL);
    if (result != OPTIONS_GO)
        return result == OPTIONS_USAGE ? EXIT_USAGE : EXIT_FINE;
    printf("harbor-pilot %s (commit %s)\n", version_number(), version_commit());
    printf("libmicrohttpd %s\nGnuTLS %s\nOpenSSL %s\nlibyaml %s\njansson %s\n", MHD_get_version(),
           gnutls_check_version(NULL), OpenSSL_version(OPENSSL_VERSION_STRING),
           yaml_get_version_string(), jansson_version_str());
    return EXIT_FINE;
}
