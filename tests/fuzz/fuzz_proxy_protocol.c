/* LINKS: proxy/client */
/* Any bytes as a header of the PROXY protocol: the verdict is that of the shortest piece that has
 * one. */
#include <assert.h>
#include <stdint.h>

#include "proxy/client/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	struct proxy_header header, whole;
	size_t length = 0, whole_length = 0;
	enum proxy_header_result result, early = PROXY_HEADER_MORE;

	result = proxy_header_parse(slice_of(bytes, size), &whole, &whole_length);
	if (result == PROXY_HEADER_DONE) {
		assert(whole_length > 0 && whole_length <= size);
		assert(whole_length <= PROXY_HEADER_MAX);
		assert(whole.source.any.sa_family == AF_UNSPEC ||
		       whole.source.any.sa_family == AF_INET ||
		       whole.source.any.sa_family == AF_INET6);
	}
	if (result == PROXY_HEADER_MORE)
		assert(size < PROXY_HEADER_MAX);
	for (size_t n = 0; n <= size && n <= PROXY_HEADER_MAX && early == PROXY_HEADER_MORE; n++) {
		early = proxy_header_parse(slice_of(bytes, n), &header, &length);
		if (early == PROXY_HEADER_DONE)
			assert(n == length);
	}
	assert(early == result);
	if (result == PROXY_HEADER_DONE)
		assert(length == whole_length && header.local == whole.local &&
		       address_equal(&header.source, &whole.source));
	return 0;
}
