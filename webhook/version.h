/* Which program this is. */
#pragma once

const char *version_number(void); /* SemVer, from the file VERSION */
const char *version_commit(void); /* abbreviated, or "unknown" where the build had no git */
