/* RFC 3339 section 5.6, and the proleptic Gregorian calendar. */
#include "base/rfc3339.h"

#include <stdio.h>

/* --- the calendar --- */

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 0001-01-01 to the first of January of a year from 1 on. */
static int days_before_year(int year)
{
    int past = year - 1;
    return past * 365 + past / 4 - past / 100 + past / 400;
}

static long long days_since_1970(int year, int month, int day)
{
    int days = days_before_year(year) - days_before_year(1970);
    for (int m = 1; m < month; m++)
        days += days_of_month(year, m);
    return days + day - 1;
}

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

static bool take_date(struct slice *text, long long *ret_days)
{
    int year, month, day;
    if (!take_number(text, 4, &year) || !take_char(text, '-') || !take_number(text, 2, &month) ||
        !take_char(text, '-') || !take_number(text, 2, &day))
        return false;
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month))
        return false;
    *ret_days = days_since_1970(year, month, day);
    return true;
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
    long long days;
    int minutes, second, offset;
    if (!take_date(&text, &days) || !take_char(&text, 'T') || !take_minutes(&text, &minutes) ||
        !take_char(&text, ':') || !take_number(&text, 2, &second) || second > 59 ||
        !take_fraction(&text) || !take_offset(&text, &offset) || text.len != 0)
        return false;
    *ret_seconds = days * SECONDS_PER_DAY + (minutes - offset) * 60 + second;
    return true;
}

bool date_parse(struct slice text, long long *ret_begin_of_day)
{
    long long days;
    if (!take_date(&text, &days) || text.len != 0)
        return false;
    *ret_begin_of_day = days * SECONDS_PER_DAY;
    return true;
}

/* --- writing --- */

void rfc3339_format(long long seconds, char ret[static RFC3339_SIZE])
{
    if (seconds < RFC3339_GO_ZERO)
        seconds = RFC3339_GO_ZERO;
    if (seconds > RFC3339_LAST)
        seconds = RFC3339_LAST;
    /* from here on counted from 0001-01-01, so that nothing is negative */
    seconds -= RFC3339_GO_ZERO;
    int days = (int)(seconds / SECONDS_PER_DAY), rest = (int)(seconds % SECONDS_PER_DAY);
    int year = days / 366 + 1, month = 1; /* never too late; a few steps too early at most */
    while (days_before_year(year + 1) <= days)
        year++;
    days -= days_before_year(year);
    while (days >= days_of_month(year, month))
        days -= days_of_month(year, month++);
    /* the modulos tell the compiler what fits */
    snprintf(ret, RFC3339_SIZE, "%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)year % 10000,
             (unsigned)month % 100, (unsigned)(days + 1) % 100, (unsigned)rest / 3600 % 24,
             (unsigned)rest / 60 % 60, (unsigned)rest % 60);
}
