/* LINKS: proxy/dns */
/* Which name servers a channel asks: those given, or those of resolv.conf as it is when one is opened; when, and what it reads. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ares.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/dns/dns_channel.h"

/* ---- the machine's resolv.conf: this stands before the C library's -------------------------- */

static const char *resolv_conf;

/* No other file is there. */
FILE *fopen(const char *path, const char *mode)
{
	FILE *file = strcmp(path, "/etc/resolv.conf") == 0 ? tmpfile() : NULL;

	(void)mode;
	if (file == NULL) {
		errno = ENOENT;
		return NULL;
	}
	fputs(resolv_conf, file);
	rewind(file);
	return file;
}

/* ---- what a channel asks -------------------------------------------------------------------- */

static bool admit(void *context)
{
	(void)context;
	return true;
}

static void watch(void *context, int fd, bool readable, bool writable)
{
	(void)context, (void)fd, (void)readable, (void)writable;
}

#if ARES_VERSION < 0x012200

/* "ADDRESS:PORT,..." */
static void servers_of(struct ares_channeldata *ares, char *to, size_t size)
{
	struct ares_addr_port_node *servers;
	size_t n = 0;

	assert_int_equal(ares_get_servers_ports(ares, &servers), ARES_SUCCESS);
	to[0] = '\0';
	for (const struct ares_addr_port_node *at = servers; at != NULL; at = at->next) {
		union address address = address_from_bytes(at->family, &at->addr);
		bool v6 = at->family == AF_INET6;
		char text[ADDRESS_TEXT_SIZE];

		address_format(&address, text);
		n += (size_t)snprintf(to + n, size - n, "%s%s%s%s:%d", n > 0 ? "," : "",
				      v6 ? "[" : "", text, v6 ? "]" : "",
				      at->udp_port != 0 ? at->udp_port : 53);
	}
	ares_free_data(servers);
}

#else

static void servers_of(struct ares_channeldata *ares, char *to, size_t size)
{
	char *text = ares_get_servers_csv(ares);

	snprintf(to, size, "%s", text);
	ares_free_string(text);
}

#endif

static void expect_servers(const struct dns_servers *servers, const char *expected)
{
	struct dns_channel channel = {0};
	char found[512];

	assert_true(dns_channel_open(&channel, servers, 100, admit, watch, NULL));
	servers_of(channel.ares, found, sizeof(found));
	dns_channel_close(&channel);
	assert_null(channel.ares);
	assert_string_equal(found, expected);
}

static void add(struct dns_servers *servers, const char *text, uint16_t port)
{
	union address address;

	assert_true(address_parse(slice_str(text), &address));
	assert_true(dns_servers_add(servers, &address, port));
}

static void test_those_of_resolv_conf(void **state)
{
	const struct dns_servers none = {0};

	(void)state;
	resolv_conf = "nameserver 192.0.2.7\n";
	expect_servers(&none, "192.0.2.7:53");
	/* as it is now, not as it was when the first channel was opened */
	resolv_conf = "# the new ones\nsearch a.example\nnameserver 192.0.2.8\n"
		      "nameserver 2001:db8::9\noptions ndots:4\n";
	expect_servers(&none, "192.0.2.8:53,[2001:db8::9]:53");
}

static void test_those_given(void **state)
{
	struct dns_servers servers = {0};

	(void)state;
	resolv_conf = "nameserver 192.0.2.7\n";
	add(&servers, "192.0.2.1", 5353);
	assert_string_equal(servers.list, "192.0.2.1:5353");
	expect_servers(&servers, "192.0.2.1:5353");
	add(&servers, "2001:db8::1", 53);
	assert_string_equal(servers.list, "192.0.2.1:5353,[2001:db8::1]:53");
	expect_servers(&servers, "192.0.2.1:5353,[2001:db8::1]:53");
}

/* The longest that there can be, up to the last place. */
static void test_as_many_as_there_is_room_for(void **state)
{
	static const char longest[] = "2001:db8:1111:2222:3333:4444:5555:6666";
	struct dns_servers servers = {0};
	union address address;

	(void)state;
	for (unsigned i = 0; i < DNS_SERVERS_MAX; i++) {
		assert_int_equal(servers.count, i);
		add(&servers, longest, 65535);
	}
	assert_int_equal(strlen(servers.list),
			 DNS_SERVERS_MAX * (strlen(longest) + strlen("[]:65535,")) - 1);
	assert_true(address_parse(slice_str("192.0.2.1"), &address));
	assert_false(dns_servers_add(&servers, &address, 53));
	assert_int_equal(servers.count, DNS_SERVERS_MAX);
}

/* ---- one that is silent --------------------------------------------------------------------- */

static int asked_fd = -1; /* the channel's */

static void note_fd(void *context, int fd, bool readable, bool writable)
{
	(void)context, (void)writable;
	asked_fd = readable ? fd : -1;
}

/* A socket that gets questions; its address is the only one asked. */
static int silent_server(struct dns_servers *servers)
{
	union address address;
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_true(address_parse(SLICE("127.0.0.1"), &address));
	assert_int_equal(bind(fd, &address.any, sizeof(address.v4)), 0);
	assert_int_equal(getsockname(fd, &address.any, &length), 0);
	add(servers, "127.0.0.1", address_port(&address));
	return fd;
}

/* Below the time of a try, and above what any test takes. */
static void test_when_it_asks_again(void **state)
{
	struct dns_part v6 = {.count = 0}, v4 = {.count = 0};
	struct dns_servers servers = {0};
	struct dns_channel channel = {0};
	int fd = silent_server(&servers);

	(void)state;
	assert_true(dns_channel_open(&channel, &servers, 60500, admit, note_fd, NULL));
	assert_int_equal(dns_channel_retry_ms(&channel), -1);
	dns_channel_ask(&channel, "a.test", &v6, &v4);
	assert_in_range(dns_channel_retry_ms(&channel), 40000, 60501);
	assert_int_equal(v6.status, DNS_PENDING);
	assert_int_equal(v4.status, DNS_PENDING);
	dns_channel_close(&channel);
	assert_int_equal(asked_fd, -1);
	assert_int_equal(v6.status, DNS_PENDING);
	assert_int_equal(v4.status, DNS_PENDING);
	dns_channel_close(&channel); /* once more is nothing */
	close(fd);
}

static bool has_something(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) > 0;
}

/* Of the sockets that it is given, those that something was said of. */
static void test_what_it_reads(void **state)
{
	struct dns_part v6 = {.count = 0}, v4 = {.count = 0};
	struct dns_servers servers = {0};
	struct dns_channel channel = {0};
	int fd = silent_server(&servers);
	union address from;
	socklen_t length = sizeof(from);
	struct pollfd sockets[2];
	char question[512];
	ssize_t n;

	(void)state;
	assert_true(dns_channel_open(&channel, &servers, 60000, admit, note_fd, NULL));
	dns_channel_ask(&channel, "a.test", &v6, &v4);
	n = recvfrom(fd, question, sizeof(question), 0, &from.any, &length);
	assert_true(n > 12 && asked_fd >= 0);
	question[13] = 'b'; /* about another name: it is read, and not believed */
	assert_int_equal(sendto(fd, question, (size_t)n, 0, &from.any, length), n);
	sockets[0] = (struct pollfd){.fd = asked_fd, .events = POLLIN};
	assert_int_equal(poll(sockets, 1, 10000), 1);
	sockets[1] = sockets[0];
	dns_channel_io(&channel, sockets, 0);
	assert_true(has_something(asked_fd));
	sockets[0].revents = 0;
	dns_channel_io(&channel, sockets, 1);
	assert_true(has_something(asked_fd));
	sockets[0] = (struct pollfd){.fd = -1, .revents = POLLIN};
	dns_channel_io(&channel, sockets, 1);
	assert_true(has_something(asked_fd));
	dns_channel_io(&channel, sockets, 2);
	assert_false(has_something(asked_fd));
	assert_int_equal(v6.status, DNS_PENDING);
	assert_int_equal(v4.status, DNS_PENDING);
	dns_channel_close(&channel);
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	return dns_channel_library_init() != NULL;
}

static int teardown(void **state)
{
	(void)state;
	dns_channel_library_cleanup();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_those_of_resolv_conf),
		cmocka_unit_test(test_those_given),
		cmocka_unit_test(test_as_many_as_there_is_room_for),
		cmocka_unit_test(test_when_it_asks_again),
		cmocka_unit_test(test_what_it_reads),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
