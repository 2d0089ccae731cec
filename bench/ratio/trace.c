/* Traces from files and from a seed. */
#include "bench/ratio/trace.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/key.h"

void *allocate(size_t count, size_t size, int fill)
{
	void *memory = malloc(count * size + 1);

	if (memory == NULL) {
		perror("hit_ratio");
		exit(1);
	}
	return memset(memory, fill, count * size);
}

uint64_t random_next(uint64_t *state)
{
	uint64_t n = *state += UINT64_C(0x9e3779b97f4a7c15);

	n = (n ^ (n >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	n = (n ^ (n >> 27)) * UINT64_C(0x94d049bb133111eb);
	return n ^ (n >> 31);
}

void trace_free(struct trace *trace)
{
	free(trace->objects);
	free(trace->sizes);
}

/* ---- made ----------------------------------------------------------------------------------- */

enum { OBJECTS = 500000, SCAN_RUN = 1000, LOOP = 100000, DRIFT = 2000 };

struct maker {
	struct trace *trace;
	double *sums; /* of the shares of OBJECTS objects, the most popular first */
	uint64_t random;
};

static void sums_of(struct maker *maker, double exponent)
{
	double sum = 0;

	maker->sums = allocate(OBJECTS, sizeof(double), 0);
	for (size_t i = 0; i < OBJECTS; i++)
		maker->sums[i] = sum += pow((double)(i + 1), -exponent);
}

/* The object whose part of the sum holds a random number. */
static uint32_t zipf(struct maker *maker)
{
	const double *sums = maker->sums;
	double at = (double)(random_next(&maker->random) >> 11) * 0x1p-53 * sums[OBJECTS - 1];
	uint32_t low = 0, high = OBJECTS - 1;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (sums[middle] > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* One object of five is of a scan: a run of objects that nobody asks for again. */
static uint32_t scans(struct maker *maker, size_t at)
{
	return at / SCAN_RUN % 5 == 4 ? maker->trace->distinct++ : zipf(maker);
}

/* What is popular changes: every DRIFT requests the most popular object is no longer asked for. */
static uint32_t drift(struct maker *maker, size_t at)
{
	return (zipf(maker) + (uint32_t)(at / DRIFT)) % OBJECTS;
}

/* Every second request is for something that was never asked for and will not be again. */
static uint32_t once(struct maker *maker, size_t at)
{
	(void)at;
	return random_next(&maker->random) % 2 == 0 ? maker->trace->distinct++ : zipf(maker);
}

/* Half of it in a circle, as a tile server is walked or a list is polled; the rest is Zipf's. */
static uint32_t loops(struct maker *maker, size_t at)
{
	return at % 2 == 0 ? OBJECTS + (uint32_t)(at / 2 % LOOP) : zipf(maker);
}

static const struct made {
	const char *name;
	double exponent;
	uint32_t (*next)(struct maker *maker, size_t at);
	uint32_t distinct;
} made[] = {
	{"scans-0.8", 0.8, scans, OBJECTS},        {"scans-1.0", 1.0, scans, OBJECTS},
	{"drift-0.9", 0.9, drift, OBJECTS},        {"once-0.9", 0.9, once, OBJECTS},
	{"loops-0.9", 0.9, loops, OBJECTS + LOOP},
};

const struct trace_row trace_made[] = {
	{"scans-0.8", "Zipf 0.8, a fifth of the requests in scans"},
	{"scans-1.0", "the same with Zipf 1.0"},
	{"drift-0.9", "Zipf 0.9, what is popular changes"},
	{"once-0.9", "Zipf 0.9, every second object is asked for once"},
	{"loops-0.9", "Zipf 0.9, half of the requests walk in a circle"},
	{NULL, NULL},
};

void trace_make(struct trace *trace, const char *name, size_t requests)
{
	const struct made *which = made, *end = made + sizeof(made) / sizeof(*made);
	struct maker maker = {.trace = trace, .random = 204};

	while (which < end && strcmp(which->name, name) != 0)
		which++;
	if (which == end) {
		fprintf(stderr, "hit_ratio: no trace is called %s\n", name);
		exit(2);
	}
	*trace = (struct trace){
		.name = which->name, .requests = requests, .distinct = which->distinct};
	trace->objects = allocate(requests, sizeof(uint32_t), 0);
	sums_of(&maker, which->exponent);
	for (size_t i = 0; i < requests; i++)
		trace->objects[i] = which->next(&maker, i);
	free(maker.sums);
}

/* ---- read ----------------------------------------------------------------------------------- */

/* From a name to a number: open addressing, by a hash of 64 bits that stands for the name. */
struct names {
	uint64_t *hashes; /* 0: free */
	uint32_t *objects;
	size_t size, used;
};

struct reader {
	struct trace *trace;
	struct names names;
	size_t room;
	double first, last;
	bool has_times, has_sizes;
};

static size_t place_of(const struct names *names, uint64_t hash)
{
	size_t at = hash & (names->size - 1);

	while (names->hashes[at] != 0 && names->hashes[at] != hash)
		at = (at + 1) & (names->size - 1);
	return at;
}

static void names_grow(struct names *names)
{
	struct names larger = {.size = names->size > 0 ? 2 * names->size : 1 << 16,
			       .used = names->used};

	larger.hashes = allocate(larger.size, sizeof(uint64_t), 0);
	larger.objects = allocate(larger.size, sizeof(uint32_t), 0);
	for (size_t i = 0; i < names->size; i++) {
		size_t at = place_of(&larger, names->hashes[i]);

		if (names->hashes[i] == 0)
			continue;
		larger.hashes[at] = names->hashes[i];
		larger.objects[at] = names->objects[i];
	}
	free(names->hashes);
	free(names->objects);
	*names = larger;
}

static uint32_t object_of(struct names *names, uint64_t hash)
{
	size_t at;

	if (2 * names->used >= names->size)
		names_grow(names);
	hash |= hash == 0;
	at = place_of(names, hash);
	if (names->hashes[at] == 0) {
		names->hashes[at] = hash;
		names->objects[at] = (uint32_t)names->used++;
	}
	return names->objects[at];
}

static void more_room(struct reader *reader)
{
	struct trace *trace = reader->trace;

	reader->room = reader->room > 0 ? 2 * reader->room : 1 << 16;
	trace->objects = realloc(trace->objects, reader->room * sizeof(uint32_t));
	trace->sizes = realloc(trace->sizes, reader->room * sizeof(uint32_t));
	if (trace->objects == NULL || trace->sizes == NULL) {
		perror("hit_ratio");
		exit(1);
	}
}

static void add(struct reader *reader, uint64_t hash, double size, double time)
{
	struct trace *trace = reader->trace;

	if (trace->requests == reader->room)
		more_room(reader);
	trace->objects[trace->requests] = object_of(&reader->names, hash);
	trace->sizes[trace->requests++] = (uint32_t)(size >= 0 && size < UINT32_MAX ? size : 0);
	reader->has_sizes |= size > 0;
	if (time < 0)
		return;
	reader->first = reader->has_times ? fmin(reader->first, time) : time;
	reader->last = reader->has_times ? fmax(reader->last, time) : time;
	reader->has_times = true;
}

static uint64_t hash_of(const char *name)
{
	return cache_key_of_uri(slice_str(name)).word[0];
}

/* The number in a word, or -1. */
static double number(const char *word)
{
	char *end;
	double value = word != NULL ? strtod(word, &end) : -1;

	return word != NULL && end != word && *end == '\0' ? value : -1;
}

/* Each takes a line apart, which it may change; false when it is none of its kind. */
static bool line_of_urls(struct reader *reader, char *line)
{
	char *rest, *name = strtok_r(line, " \t", &rest), *size = strtok_r(NULL, " \t", &rest);

	if (name == NULL)
		return false;
	add(reader, hash_of(name), number(size), number(strtok_r(NULL, " \t", &rest)));
	return true;
}

/* Of Megiddo and Modha's ARC: first block, how many, and two numbers that do not matter. */
static bool line_of_arc(struct reader *reader, char *line)
{
	uint64_t first, count;

	if (sscanf(line, "%" SCNu64 " %" SCNu64, &first, &count) != 2 || count > 1 << 20)
		return false;
	for (uint64_t block = first; block < first + count; block++) {
		uint64_t state = block;

		add(reader, random_next(&state), -1, -1);
	}
	return true;
}

/* Of Twitter's cache clusters: time, key, its length, the value's, client, operation, lifetime. */
static bool line_of_twitter(struct reader *reader, char *line)
{
	char *rest, *time = strtok_r(line, ",", &rest), *key = strtok_r(NULL, ",", &rest);
	char *key_size = strtok_r(NULL, ",", &rest), *size = strtok_r(NULL, ",", &rest);
	char *client = strtok_r(NULL, ",", &rest), *operation = strtok_r(NULL, ",", &rest);

	if (client == NULL || operation == NULL || key_size == NULL)
		return false;
	if (strncmp(operation, "get", 3) == 0)
		add(reader, hash_of(key), number(size), number(time));
	return true;
}

/* Squid's own log: time, elapsed, client, code/status, bytes, method, URL, and more. */
static bool line_of_squid(struct reader *reader, char *line)
{
	char *rest, *word[7];

	for (int i = 0; i < 7; i++)
		if ((word[i] = strtok_r(i == 0 ? line : NULL, " \t", &rest)) == NULL)
			return false;
	if (strcmp(word[5], "GET") == 0)
		add(reader, hash_of(word[6]), number(word[4]), number(word[0]));
	return true;
}

/* Of Apache and nginx, common and combined: ... [time] "METHOD target version" status bytes ... */
static bool line_of_combined(struct reader *reader, char *line)
{
	char *request = strchr(line, '"'), *end, *rest, *method, *target, *bytes;

	if (request == NULL || (end = strchr(request + 1, '"')) == NULL)
		return false;
	*end = '\0';
	method = strtok_r(request + 1, " ", &rest);
	target = method != NULL ? strtok_r(NULL, " ", &rest) : NULL;
	if (target == NULL || strtok_r(end + 1, " ", &rest) == NULL)
		return false;
	bytes = strtok_r(NULL, " ", &rest);
	if (strcmp(method, "GET") == 0)
		add(reader, hash_of(target), number(bytes), -1);
	return true;
}

static const struct format {
	const char *name;
	bool (*line)(struct reader *reader, char *line);
} formats[] = {
	{"urls", line_of_urls},   {"arc", line_of_arc},           {"twitter", line_of_twitter},
	{"squid", line_of_squid}, {"combined", line_of_combined},
};

const struct trace_row trace_formats[] = {
	{"urls", "a URL, or any name, a line; its size and time after it if they are known"},
	{"arc", "first block and count of blocks, as the traces of the ARC paper"},
	{"twitter", "the comma-separated lines of Twitter's cache clusters; gets alone"},
	{"squid", "Squid's access.log; GETs alone"},
	{"combined", "access logs of Apache and nginx; GETs alone"},
	{NULL, NULL},
};

static void read_lines(struct reader *reader, FILE *file, const struct format *format,
		       const char *named)
{
	char *line = NULL;
	size_t room = 0, number_of_line = 0;
	ssize_t length;

	while ((length = getline(&line, &room, file)) >= 0) {
		number_of_line++;
		while (length > 0 && isspace((unsigned char)line[length - 1]))
			line[--length] = '\0';
		if (length == 0 || *line == '#' || format->line(reader, line))
			continue;
		fprintf(stderr, "%s:%zu: not a line of format %s\n", named, number_of_line,
			format->name);
		exit(1);
	}
	free(line);
}

void trace_read(struct trace *trace, const char *named)
{
	const struct format *format = formats;
	const char *path = named, *colon = strchr(named, ':');
	struct reader reader = {.trace = trace};
	FILE *file;

	for (const struct format *f = formats; f < formats + sizeof(formats) / sizeof(*f); f++) {
		if (colon == NULL || strlen(f->name) != (size_t)(colon - named) ||
		    strncmp(f->name, named, strlen(f->name)) != 0)
			continue;
		format = f;
		path = colon + 1;
	}
	file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
	if (file == NULL) {
		fprintf(stderr, "%s: cannot be read: %s\n", path, strerror(errno));
		exit(1);
	}
	*trace = (struct trace){.name = path};
	read_lines(&reader, file, format, path);
	if (file != stdin)
		fclose(file);
	if (trace->requests == 0) {
		fprintf(stderr, "%s: nothing is asked for in it\n", path);
		exit(1);
	}
	trace->distinct = (uint32_t)reader.names.used;
	trace->seconds = reader.has_times ? reader.last - reader.first : 0;
	if (!reader.has_sizes) {
		free(trace->sizes);
		trace->sizes = NULL;
	}
	free(reader.names.hashes);
	free(reader.names.objects);
}
