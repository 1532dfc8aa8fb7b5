/* Listening sockets. */
#pragma once

#include "base/error.h"

#include <stddef.h>

enum { LISTEN_NAME_SIZE = 80 };

/* Binds and listens on "ADDR:PORT", "[IPv6]:PORT" or ":PORT"; port 0 takes a free one. Returns the
 * descriptor and the address in use as "ADDR:PORT"; -1 on failure. An address of [::] takes IPv4 as
 * well. */
MUST_CHECK int listen_on(const char *address, char ret_name[static LISTEN_NAME_SIZE],
                         struct error *reterr);

/* Whether the text is one that listen_on takes. */
bool listen_is_address(const char *address);

/* As listen_on for [::]:PORT, or 0.0.0.0:PORT where there is no IPv6. */
MUST_CHECK int listen_on_any(unsigned port, char ret_name[static LISTEN_NAME_SIZE],
                             struct error *reterr);
