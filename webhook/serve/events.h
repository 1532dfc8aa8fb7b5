/* Harbor's notifications: hints that something is to be asked again. */
#pragma once

#include "webhook/facts/facts.h"

/* Takes a notification. False, with a text for the sender, where it is none. */
MUST_CHECK bool events_take(struct facts *facts, struct slice body, struct error *reterr);
