/* Durations as Go writes them. */
#include "base/duration.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

bool duration_parse(const char *text, long long *ret_milliseconds)
{
    static const struct {
        const char *name;
        double milliseconds;
    } units[] = {{"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}};
    const double most = DURATION_MAX_HOURS * 3600e3;
    double total = 0;
    if (!*text)
        return false;
    while (*text) {
        char *end;
        if (!isdigit((unsigned char)*text))
            return false;
        size_t digits = strspn(text, "0123456789.");
        char number_text[24] = "";
        if (digits >= sizeof(number_text))
            return false;
        memcpy(number_text, text, digits);
        double number = strtod(number_text, &end);
        if (*end)
            return false;
        end = (char *)text + digits;
        size_t letters = strspn(end, "hms"), unit = 0;
        while (unit < 4 &&
               !(strlen(units[unit].name) == letters && !memcmp(units[unit].name, end, letters)))
            unit++;
        if (unit == 4)
            return false;
        total += number * units[unit].milliseconds;
        text = end + letters;
    }
    if (!(total <= most))
        return false;
    *ret_milliseconds = (long long)total;
    return true;
}
