/* LINKS: cache/http */
#include <assert.h>
#include <stdlib.h>

#include "cache/http/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A target, then after a '\n' a reference to resolve against it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	size_t n = end ? (size_t)(end - data) : size;
	struct slice target = slice_of((const char *)data, n);
	struct slice reference = end ? slice_of((const char *)end + 1, size - n - 1) : target;
	struct http_uri uri, again;
	size_t normal_n, again_n;
	char *normal, *other;

	if (http_uri_parse_authority(target, &uri) == URI_OK)
		assert(http_host_is_valid(target) && uri.port != 0);
	if (http_uri_parse_absolute(target, &uri) != URI_OK)
		return 0;
	assert(uri.port != 0 && http_host_is_valid(uri.host));

	/* The normal form is a URI, and its own normal form. */
	normal = malloc(http_uri_normal_max(&uri) + size);
	other = malloc(http_uri_normal_max(&uri) + size);
	normal_n = http_uri_normal(&uri, normal);
	assert(http_uri_parse_absolute(slice_of(normal, normal_n), &again) == URI_OK);
	again_n = http_uri_normal(&again, other);
	assert(slice_eq(slice_of(normal, normal_n), slice_of(other, again_n)));

	/* So is what a reference comes to, and it stays at its origin. */
	if (http_uri_resolve_same_origin(&uri, reference, normal, http_uri_normal_max(&uri) + size,
					 &normal_n)) {
		assert(http_uri_parse_absolute(slice_of(normal, normal_n), &again) == URI_OK);
		assert(http_uri_same_origin(&again, &uri));
		assert(http_uri_path_is_valid(again.path));
	}
	free(normal);
	free(other);
	return 0;
}
