/* Base64 with padding (RFC 4648, section 4): what a patch in an AdmissionReview is written in. */
#pragma once

#include "base/buffer.h"

void base64_append(struct buffer *b, struct slice s);
