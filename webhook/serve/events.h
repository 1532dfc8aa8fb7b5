/* Harbor's notifications: hints that something is to be asked again. */
#pragma once

#include "webhook/facts/facts.h"

enum { EVENTS_SECRET_MAX = 1024 };

/* The secret that Harbor sends as `Authorization` (auth_header of its webhook policy). */
struct events;

/* Reads the secret from a file; white space at its end does not count. NULL where it cannot be read
 * or is empty. */
struct events *events_new(const char *secret_file, struct error *reterr);
void events_free(struct events *events);

/* Whether the header is the secret, in a time that does not tell how much of it is right. Reads the
 * file again where it changed. `authorization` may be NULL. */
bool events_is_authorized(struct events *events, const char *authorization);

/* Takes a notification. False, with a text for the sender, where it is none. */
bool events_take(struct facts *facts, struct slice body, struct error *reterr);
