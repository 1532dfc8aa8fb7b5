/* RFC 3339 section 5.6. */
#include "base/rfc3339.h"

#include <stdio.h>
#include <time.h>

/* --- reading --- */

/* Takes `count` digits from the front. */
static bool take_number(struct slice *text, size_t count, int *ret)
{
    int number = 0;
    if (text->len < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        char c = text->base[i];
        if (c < '0' || c > '9')
            return false;
        number = number * 10 + (c - '0');
    }
    *text = slice_from_index(*text, count);
    *ret = number;
    return true;
}

static bool take_char(struct slice *text, char c)
{
    if (text->len == 0 || text->base[0] != c)
        return false;
    *text = slice_from_index(*text, 1);
    return true;
}

static bool take_date(struct slice *text, long long *ret_seconds)
{
    int year, month, day;
    if (!take_number(text, 4, &year) || !take_char(text, '-') || !take_number(text, 2, &month) ||
        !take_char(text, '-') || !take_number(text, 2, &day))
        return false;
    struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
    *ret_seconds = timegm(&tm); /* makes another day of one that does not exist */
    return year >= 1 && tm.tm_mon == month - 1 && tm.tm_mday == day;
}

/* hh:mm, as minutes. */
static bool take_minutes(struct slice *text, int *ret)
{
    int hour, minute;
    if (!take_number(text, 2, &hour) || !take_char(text, ':') || !take_number(text, 2, &minute) ||
        hour > 23 || minute > 59)
        return false;
    *ret = hour * 60 + minute;
    return true;
}

static bool take_fraction(struct slice *text)
{
    int digit;
    if (!take_char(text, '.'))
        return true; /* there need not be one */
    if (!take_number(text, 1, &digit))
        return false;
    while (take_number(text, 1, &digit))
        ;
    return true;
}

static bool take_offset(struct slice *text, int *ret_minutes)
{
    *ret_minutes = 0;
    if (take_char(text, 'Z'))
        return true;
    bool west = take_char(text, '-');
    if ((!west && !take_char(text, '+')) || !take_minutes(text, ret_minutes))
        return false;
    if (west)
        *ret_minutes = -*ret_minutes;
    return true;
}

bool rfc3339_parse(struct slice text, long long *ret_seconds)
{
    long long day;
    int minutes, second, offset;
    if (!take_date(&text, &day) || !take_char(&text, 'T') || !take_minutes(&text, &minutes) ||
        !take_char(&text, ':') || !take_number(&text, 2, &second) || second > 59 ||
        !take_fraction(&text) || !take_offset(&text, &offset) || text.len != 0)
        return false;
    *ret_seconds = day + (minutes - offset) * 60 + second;
    return true;
}

bool date_parse(struct slice text, long long *ret_begin_of_day)
{
    long long begin;
    if (!take_date(&text, &begin) || text.len != 0)
        return false;
    *ret_begin_of_day = begin;
    return true;
}

/* --- writing --- */

void rfc3339_format(long long seconds, char ret[static RFC3339_SIZE])
{
    if (seconds < RFC3339_GO_ZERO)
        seconds = RFC3339_GO_ZERO;
    if (seconds > RFC3339_LAST)
        seconds = RFC3339_LAST;
    struct tm tm;
    gmtime_r(&(time_t){seconds}, &tm);
    /* the modulos tell the compiler what fits */
    snprintf(ret, RFC3339_SIZE, "%04u-%02u-%02uT%02u:%02u:%02uZ",
             (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
             (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
             (unsigned)tm.tm_sec % 100);
}
