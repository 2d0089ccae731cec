/* LINKS: proxy/http1 */
/*
 * Fills a store as the proxy would, without the connections: each request and answer is parsed, and
 * goes through cache_store() into the store, which is closed in good order.
 *
 *   fill COUNT URL [NAME=VALUE]...     options of cache204: store, store_size
 *
 * Stored is the same 204 for URL with a number after it, 0 to COUNT - 1; it is the one that
 * bench/origin.c gives for /hit.  The line that is printed: records and bytes of the store.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cache/base/diagnostic.h"
#include "cache/cache.h"
#include "cache/store/steady_clock.h"
#include "proxy/http1/parse.h"

enum { QUEUE = 1000 }; /* to a flush */

static struct conf *conf;

static void stop(const char *what)
{
	fprintf(stderr, "fill: %s\n", what);
	exit(1);
}

static void parse_answer(struct http_response *ret_response)
{
	static struct http_field fields[8];
	static char text[512];
	struct parse_progress progress = {0};
	time_t now = time(NULL);
	struct parsed parsed;
	size_t n;

	n = strftime(text, sizeof(text),
		     "HTTP/1.1 204 No Content\r\nDate: %a, %d %b %Y %H:%M:%S GMT\r\n"
		     "Cache-Control: max-age=3600\r\nETag: \"bench\"\r\n\r\n",
		     gmtime(&now));
	*ret_response = (struct http_response){.fields = {.at = fields, .capacity = 8}};
	if (parse_response(slice_of(text, n),
			   &(struct response_rules){conf, METHOD_GET, NULL, NULL}, &progress,
			   ret_response, &parsed) != PARSE_DONE)
		stop("the answer cannot be parsed");
}

static void store(struct cache *cache, const char *url, unsigned long number,
		  const struct http_response *response, const struct exchange_times *times)
{
	const char *host = strstr(url, "//") ? strstr(url, "//") + 2 : url;
	struct http_field fields[8];
	struct http_request request = {.fields = {.at = fields, .capacity = 8}};
	struct parse_progress progress = {0};
	enum reason why;
	char text[2048];
	struct parsed parsed;
	int n = snprintf(text, sizeof(text), "GET %s%lu HTTP/1.1\r\nHost: %.*s\r\n\r\n", url,
			 number, (int)strcspn(host, "/"), host);

	if (parse_request(slice_of(text, (size_t)n), conf, NULL, &progress, &request, &parsed) !=
	    PARSE_DONE)
		stop("the request cannot be parsed");
	if (!cache_store(cache, &request, response, times, &why))
		stop(reason_token(why));
	if (cache_pending(cache) >= QUEUE)
		cache_flush(cache);
}

static void fill(struct cache *cache, const char *url, unsigned long count)
{
	struct timespec now;
	struct exchange_times times = {0};
	struct http_response response;

	parse_answer(&response);
	clock_gettime(CLOCK_REALTIME, &now);
	clock_read(store_clock(cache_store_of(cache)),
		   (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, &times.response);
	times.request_steady_ms = times.response.steady_ms;
	for (unsigned long i = 0; i < count; i++)
		store(cache, url, i, &response, &times);
	cache_flush(cache);
}

int main(int argc, char **argv)
{
	struct diagnostic notice = {""};
	struct store_usage usage;

	if (argc < 3) {
		fprintf(stderr, "usage: fill COUNT URL [NAME=VALUE]...\n");
		return 2;
	}
	conf = conf_load(NULL, argv + 3, (size_t)argc - 3, stderr);
	if (!conf)
		return 2;
	struct cache *cache = cache_open(conf, CACHE_LOCK_TAKE, &notice);
	if (cache == NULL)
		stop(notice.text);
	fill(cache, argv[2], strtoul(argv[1], NULL, 10));
	store_usage(cache_store_of(cache), &usage);
	if (cache_counts(cache)->dropped > 0 || cache_counts(cache)->failures > 0)
		stop("some records did not get into the store");
	printf("%llu %llu\n", (unsigned long long)usage.entries,
	       (unsigned long long)usage.bytes_used);
	cache_close(cache);
	conf_free(conf);
	return 0;
}
