/*
 * Options for tests of rules, without libconfuse: the defaults of options.def, and setting one by
 * name.
 */
#ifndef TESTS_SUPPORT_TEST_CONF_H
#define TESTS_SUPPORT_TEST_CONF_H

#include "conf/conf.h"

/* All defaults; owned by the caller, test_conf_free() releases it. */
struct conf *test_conf_new(void);
void test_conf_free(struct conf *conf);

/*
 * Set an option from its text, as in a file but without quotes; lists are separated by commas.
 * False when there is no such option or the text is not of its kind.  Bounds are not checked.
 */
bool test_conf_set(struct conf *conf, const char *name, const char *text);

/* Set those of "name=value;name=value", which may be empty; likewise. */
bool test_conf_set_all(struct conf *conf, const char *text);

/*
 * Read rules as they stand in a file, once all options are set.  False when something is wrong with
 * them, which was said on stderr.
 */
bool test_conf_rules(struct conf *conf, const char *text);

/* The options as a configuration file, for the caller to free. */
char *test_conf_dump(const struct conf *conf);

#endif
