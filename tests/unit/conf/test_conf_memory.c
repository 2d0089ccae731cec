/* LINKS: conf tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup */
/* A configuration for which memory runs out, piece by piece, is refused with that reason, and nothing is left of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "tests/doubles/failing_memory.h"

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
char *__wrap_strndup(const char *text, size_t n);

char *__wrap_strdup(const char *text)
{
	return fail_memory_now() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t n)
{
	return fail_memory_now() ? NULL : __real_strndup(text, n);
}

static const char text[] = "workers = 2\n"
			   "deny += {.a, .b}\n"
			   "rule a { match = {a.example, \"http://b.example/x*\"} ttl = 1h }\n"
			   "rule b { match = .c.example parent = \"http://p:1\" }\n";

/* What was said, for the caller to free. */
static struct conf *load(const char *path, size_t memory, bool *ret_refused, char **ret_said)
{
	char *settings[] = {"deny=10.0.0.0/8", "store=/x", "deny+=.c"};
	size_t size;
	FILE *errors = open_memstream(ret_said, &size);
	struct conf *conf;

	fail_memory(memory, false);
	conf = conf_load(path, settings, 3, errors);
	*ret_refused = fail_memory_never();
	fclose(errors);
	return conf;
}

static void test_each_piece(void **state)
{
	char path[] = "/tmp/test_conf_memory.XXXXXX";
	int fd = mkstemp(path);
	bool refused = true;
	size_t n;

	(void)state;
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	for (n = 0; refused; n++) {
		char *said;
		struct conf *conf = load(path, n, &refused, &said);

		if (conf != NULL && refused)
			assert_true(conf->file == NULL); /* its name alone is done without */
		if (conf == NULL && strstr(said, "out of memory") == NULL &&
		    strstr(said, "Cannot allocate memory") == NULL)
			fail_msg("piece %zu: %s", n, said);
		if (conf != NULL)
			assert_string_equal(said, "");
		conf_free(conf);
		free(said);
	}
	assert_true(n > 100);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_piece)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
