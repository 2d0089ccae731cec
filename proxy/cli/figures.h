/*
 * Numbers as operators read them, in ASCII: "15 837", "97.4 %", "8.7 ms", "2 d 15 h".
 *
 * A number below 0 is one that is not known, and reads "-".
 */
#ifndef PROXY_CLI_FIGURES_H
#define PROXY_CLI_FIGURES_H

#include "proxy/cli/json.h"

struct figure {
	char text[32];
};

struct figure figure_count(double n);
/* A second: with one decimal below 10. */
struct figure figure_rate(double n, double seconds);
/* Never rounded to all or nothing of it: ">99.9 %". */
struct figure figure_percent(double share);
/* The same without its sign. */
struct figure figure_points(double share);
/* The same in whole percent. */
struct figure figure_whole_percent(double share);
struct figure figure_micros(double us);
/* Of two units at most. */
struct figure figure_age(double seconds);
/* UTC, as "14:12:11". */
struct figure figure_clock(double ms);

/* A member that is a number, or -1. */
double figure_of(const struct json *json, const char *name);
double figure_at(const struct json *json, size_t index);
/* The part's share of the whole, or -1. */
double figure_share(double part, double whole);

#endif
