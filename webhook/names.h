/* The engine's tables of names, as lists. Apart from interface.c, since jansson's header and that
 * of our scanner both name the types of JSON. */
#pragma once

struct name_table {
    const char *key;                /* in the dump of the interface */
    const char *(*name)(int index); /* or NULL past the end */
    int most;
};

extern const struct name_table name_tables[];
extern const int name_table_count;
