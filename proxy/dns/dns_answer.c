/* One answer made of A and AAAA. */
#include "proxy/dns/dns_answer.h"

enum {
	TTL_MIN_S = 1,
	TTL_MAX_S = 86400,
	TROUBLE_MAX_MS = 300000,
};

void dns_part_add(struct dns_part *part, const union address *address, int ttl_s)
{
	if (part->count == ADDRESSES_MAX)
		return;
	if (part->count == 0 || ttl_s < part->ttl_s)
		part->ttl_s = ttl_s;
	part->at[part->count++] = *address;
	part->status = DNS_FOUND;
}

static bool is_silent(const struct dns_part *part)
{
	return part->status == DNS_PENDING || part->status == DNS_SERVER_SILENT;
}

/* The name servers said that there are no such addresses. */
static bool is_denied(const struct dns_part *part)
{
	return part->status == DNS_NO_NAME || part->status == DNS_NO_ADDRESS;
}

static bool is_failed(const struct dns_part *part)
{
	return part->status == DNS_SERVER_FAILED || part->status == DNS_NOBODY_ASKED;
}

static const char *why_none(enum dns_status status)
{
	switch (status) {
	case DNS_FOUND:
		return NULL;
	case DNS_NO_NAME:
		return "no such name (NXDOMAIN)";
	case DNS_NO_ADDRESS:
		return "the name has no address";
	case DNS_SERVER_FAILED:
		return "the name servers failed, refused, or cannot be reached";
	case DNS_NOBODY_ASKED:
		return "no socket or no memory to ask a name server with";
	case DNS_PENDING:
	case DNS_SERVER_SILENT:
		break;
	}
	return "no name server answered within dns_timeout";
}

enum failure dns_answer(const struct dns_part *v6, const struct dns_part *v4,
			struct addresses *ret_found)
{
	*ret_found = (struct addresses){.source = FROM_NAME_SERVERS};
	addresses_interleave(ret_found, v6->at, v6->count, v4->at, v4->count);
	if (ret_found->count > 0)
		return FAILURE_NONE;
	/* That one family has no address says less than what became of the other. */
	ret_found->why_none = why_none(v4->status == DNS_NO_ADDRESS ? v6->status : v4->status);
	/* Without the name there is nothing of either family (RFC 8020). */
	if (v4->status == DNS_NO_NAME || is_failed(v4) || is_failed(v6))
		return FAILURE_DNS_ERROR;
	return is_silent(v6) || is_silent(v4) ? FAILURE_DNS_TIMEOUT : FAILURE_DNS_ERROR;
}

static int64_t min_ms(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t ttl_ms(const struct dns_part *v6, const struct dns_part *v4)
{
	int ttl_s = TTL_MAX_S;

	if (v6->count > 0 && v6->ttl_s < ttl_s)
		ttl_s = v6->ttl_s;
	if (v4->count > 0 && v4->ttl_s < ttl_s)
		ttl_s = v4->ttl_s;
	return 1000 * (int64_t)(ttl_s < TTL_MIN_S ? TTL_MIN_S : ttl_s);
}

int64_t dns_answer_keep_ms(const struct dns_part *v6, const struct dns_part *v4,
			   int64_t negative_ms)
{
	int64_t kept_ms;

	if (v6->count + v4->count > 0) {
		kept_ms = ttl_ms(v6, v4);
		if (v4->count == 0 && !is_denied(v4) && kept_ms > negative_ms)
			kept_ms = negative_ms > 1000 * TTL_MIN_S ? negative_ms : 1000 * TTL_MIN_S;
		return kept_ms;
	}
	if (v6->status == DNS_NOBODY_ASKED || v4->status == DNS_NOBODY_ASKED)
		return 0;
	if (v4->status == DNS_NO_NAME || (is_denied(v4) && is_denied(v6)))
		return negative_ms;
	return min_ms(negative_ms, TROUBLE_MAX_MS);
}
