/* LINKS: conf */
/*
 * Any bytes as a configuration file: loads or is refused with an error, and what it loads to
 * survives a dump and a load.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct conf *load(const void *text, size_t size, char **ret_errors)
{
	int fd = memfd_create("conf", MFD_CLOEXEC);
	char path[64];
	size_t error_size;
	FILE *errors = open_memstream(ret_errors, &error_size);
	struct conf *conf;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!errors || write(fd, text, size) != (ssize_t)size)
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *errors = NULL, *again_errors = NULL, *first, *second;
	struct conf *conf = load(data, size, &errors), *again;
	size_t first_size, second_size;

	if (!conf == !*errors)
		abort();
	free(errors);
	if (!conf)
		return 0;
	first = dump(conf, &first_size);
	again = load(first, first_size, &again_errors);
	if (!again)
		abort();
	second = dump(again, &second_size);
	if (strcmp(first, second) != 0)
		abort();
	free(first);
	free(second);
	free(again_errors);
	conf_free(conf);
	conf_free(again);
	return 0;
}
