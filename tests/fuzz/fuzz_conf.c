/* LINKS: conf */
/*
 * Any bytes as a configuration file, and as settings of the command line, one a line: they load or
 * are refused with an error, and what they load to survives a dump and a load.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SETTINGS_MAX = 16 };

static struct conf *load_settings(const uint8_t *data, size_t size, char **ret_errors)
{
	char *text = strndup((const char *)data, size), *rest = text;
	char *settings[SETTINGS_MAX];
	size_t error_size, count = 0;
	FILE *errors = open_memstream(ret_errors, &error_size);
	struct conf *conf;

	while (rest != NULL && count < SETTINGS_MAX)
		settings[count++] = strsep(&rest, "\n");
	conf = conf_load(NULL, settings, count, errors);
	fclose(errors);
	free(text);
	return conf;
}

static struct conf *load(const void *text, size_t size, char **ret_errors)
{
	int fd = memfd_create("conf", MFD_CLOEXEC);
	char path[64];
	size_t error_size;
	FILE *errors = open_memstream(ret_errors, &error_size);
	struct conf *conf;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (errors == NULL || write(fd, text, size) != (ssize_t)size)
		abort();
	conf = conf_load(path, NULL, 0, errors);
	fclose(errors);
	close(fd);
	return conf;
}

static char *dump(const struct conf *conf, size_t *ret_size)
{
	char *text = NULL;
	FILE *to = open_memstream(&text, ret_size);

	conf_dump(conf, to);
	fclose(to);
	return text;
}

static void check(struct conf *conf, char *errors)
{
	char *again_errors = NULL, *first, *second;
	struct conf *again;
	size_t first_size, second_size;

	if ((conf == NULL) == !*errors)
		abort();
	free(errors);
	if (conf == NULL)
		return;
	first = dump(conf, &first_size);
	again = load(first, first_size, &again_errors);
	if (again == NULL)
		abort();
	second = dump(again, &second_size);
	if (strcmp(first, second) != 0)
		abort();
	free(first);
	free(second);
	free(again_errors);
	conf_free(conf);
	conf_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *errors = NULL;
	struct conf *conf = load(data, size, &errors);

	check(conf, errors);
	conf = load_settings(data, size, &errors);
	check(conf, errors);
	return 0;
}
