/* LINKS: proxy/access tests/doubles/cleared_memory.c */
/* The users of a password file, and Basic credentials held against them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/base/diagnostic.h"
#include "proxy/access/credentials.h"
#include "tests/doubles/cleared_memory.h"
#include "tests/support/guarded.h"
#include "tests/support/messages.h"

/* Passwords: "open sesame", "gr\xc3\xbc\xc3\x9f", "" and "slow", with few rounds. */
#define HASH_ALI "$5$rounds=1000$salt$"
#define HASH_UTF8 "$6$rounds=1000$salt$"

static const char path[] = "/etc/cache204.users";
static struct diagnostic error;

/* The time of the processor: what a hash costs is not measured, but said by the test. */
static int64_t used_us, hash_us;

static int64_t processor_us(void)
{
	return used_us += hash_us;
}

static struct credentials *load(const char *text)
{
	const struct credentials_use use = {.secret = "secret", .processor_us = processor_us};

	hash_us = 0;
	error.text[0] = '\0';
	return credentials_new(path, slice_str(text), &use, &error);
}

/* "name:hash\n" at the end of `to`. */
static void add_user(char *to, size_t size, const char *name, const char *password,
		     const char *setting)
{
	static struct crypt_data data;
	const char *hash = crypt_r(password, setting, &data);
	size_t length = strlen(to);

	assert_non_null(hash);
	snprintf(to + length, size - length, "%s:%s\n", name, hash);
}

static const char *users(void)
{
	static char text[2048];

	if (text[0] == '\0') {
		strcpy(text, "# who may come in\n\n");
		add_user(text, sizeof(text), "ali", "open sesame", HASH_ALI);
		add_user(text, sizeof(text), "j\xc3\xbcrgen", "gr\xc3\xbc\xc3\x9f", HASH_UTF8);
		add_user(text, sizeof(text), "colon", "a:b:c", HASH_ALI);
		add_user(text, sizeof(text), "empty", "", HASH_ALI);
	}
	return text;
}

static void encode(const char *text, size_t n, char *to)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *from = (const unsigned char *)text;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t bits = (uint32_t)from[i] << 16;

		bits |= i + 1 < n ? (uint32_t)from[i + 1] << 8 : 0;
		bits |= i + 2 < n ? from[i + 2] : 0;
		*to++ = digits[bits >> 18];
		*to++ = digits[bits >> 12 & 63];
		*to++ = i + 1 < n ? digits[bits >> 6 & 63] : '=';
		*to++ = i + 2 < n ? digits[bits & 63] : '=';
	}
	*to = '\0';
}

static bool may_work = true; /* there is time for it, as far as the one who asks knows */

static enum failure ask(struct credentials *credentials, const char *fields, int64_t now_ms,
			char *ret_user)
{
	static struct message message;
	char head[4096];
	struct slice user;
	enum failure failure;

	snprintf(head, sizeof(head), "GET http://a/\n%s", fields);
	request_of(&message, head);
	guarded_fields(&message.req.fields);
	failure = credentials_check(credentials, &message.req, now_ms, may_work, &user);
	assert_int_equal(user.n == 0, failure != FAILURE_NONE);
	guarded_end();
	if (ret_user != NULL) {
		memcpy(ret_user, user.p, user.n);
		ret_user[user.n] = '\0';
	}
	return failure;
}

static enum failure login(struct credentials *credentials, const char *pair, int64_t now_ms)
{
	char fields[2048] = "Proxy-Authorization: Basic ";

	encode(pair, strlen(pair), fields + strlen(fields));
	strcat(fields, "\n");
	return ask(credentials, fields, now_ms, NULL);
}

static void test_right_and_wrong(void **state)
{
	struct credentials *credentials = load(users());

	(void)state;
	assert_non_null(credentials);
	for (int64_t now_ms = 1; now_ms < 3; now_ms++) { /* worked out, then remembered */
		assert_int_equal(login(credentials, "ali:open sesame", now_ms), FAILURE_NONE);
		assert_int_equal(login(credentials, "j\xc3\xbcrgen:gr\xc3\xbc\xc3\x9f", now_ms),
				 FAILURE_NONE);
		assert_int_equal(login(credentials, "colon:a:b:c", now_ms), FAILURE_NONE);
		assert_int_equal(login(credentials, "empty:", now_ms), FAILURE_NONE);
		assert_int_equal(login(credentials, "ali:open sesam", now_ms), FAILURE_AUTH_FAILED);
		assert_int_equal(login(credentials, "ali:", now_ms), FAILURE_AUTH_FAILED);
		assert_int_equal(login(credentials, "al:open sesame", now_ms), FAILURE_AUTH_FAILED);
		assert_int_equal(login(credentials, "ALI:open sesame", now_ms),
				 FAILURE_AUTH_FAILED);
		assert_int_equal(login(credentials, "nobody:open sesame", now_ms),
				 FAILURE_AUTH_FAILED);
		assert_int_equal(login(credentials, "empty:x", now_ms), FAILURE_AUTH_FAILED);
		assert_int_equal(login(credentials, ":", now_ms), FAILURE_AUTH_FAILED);
	}
	credentials_free(credentials);
}

static void test_the_user_is_returned(void **state)
{
	struct credentials *credentials = load(users());
	char user[256];

	(void)state;
	assert_int_equal(
		ask(credentials, "Proxy-Authorization: BASIC  YWxpOm9wZW4gc2VzYW1l\n", 1, user),
		FAILURE_NONE);
	assert_string_equal(user, "ali");
	assert_int_equal(ask(credentials, "Proxy-Authorization: Basic YWxpOng=\n", 1, user),
			 FAILURE_AUTH_FAILED);
	assert_string_equal(user, "");
	credentials_free(credentials);
}

static void test_other_than_basic(void **state)
{
	static const char *const fields[] = {
		"",
		"Authorization: Basic YWxpOm9wZW4gc2VzYW1l\n",
		"Proxy-Authorization:\n",
		"Proxy-Authorization: Basic\n",
		"Proxy-Authorization: Bearer YWxpOm9wZW4gc2VzYW1l\n",
		"Proxy-Authorization: BasicYWxpOm9wZW4gc2VzYW1l\n",
		"Proxy-Authorization: Basic YWxpOm9wZW4gc2VzYW1\n",
		"Proxy-Authorization: Basic YWxpOm9wZW4gc2VzYW1l, Basic x\n",
		"Proxy-Authorization: Basic YWxp Om9wZW4gc2VzYW1l\n",
		"Proxy-Authorization: Basic YWxpOm9wZW4gc2Vz=W1l\n",
		"Proxy-Authorization: Basic ====\n",
		"Proxy-Authorization: Basic eDp5Y===\n", /* "x:y", and three for padding */
		"Proxy-Authorization: Basic YWxp\n",     /* no colon */
		"Proxy-Authorization: Basic YWxpOng\n",  /* no padding */
		"Proxy-Authorization: Basic YWxpOnh=\n", /* bits beyond the end */
		"Proxy-Authorization: Basic eDp5eU==\n", /* the third of four */
		"Proxy-Authorization: Basic eDp5eR==\n", /* the last */
		"Proxy-Authorization: Basic Oh==\n",     /* and of ":" */
		"Proxy-Authorization: Basic YWxpAG9wZW4gc2VzYW1l\n",
		"Proxy-Authorization: Basic Ojp*\n",     /* "::", and no digit */
		"Proxy-Authorization: Basic AXg6eQ==\n", /* "\x01x:y" */
		"Proxy-Authorization: Basic eDp5Hw==\n", /* "x:y\x1f" */
		"Proxy-Authorization: Basic eDp5fw==\n", /* "x:y\x7f" */
		"Proxy-Authorization: Basic YWxpOm9wZW4gc2VzYW1l\n"
		"Proxy-Authorization: Basic YWxpOm9wZW4gc2VzYW1l\n",
	};
	struct credentials *credentials = load(users());

	(void)state;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (ask(credentials, fields[i], 1, NULL) != FAILURE_AUTH_REQUIRED)
			fail_msg("%s", fields[i]);
	credentials_free(credentials);
}

/* For the log: what is claimed, be it right or not, and nothing of the password. */
static void test_name(void **state)
{
	static const struct {
		const char *pair, *name;
	} rows[] = {
		{"ali:open sesame", "ali"},
		{"nobody:x", "nobody"},
		{"a\"b c\xff:x:y", "a\"b c\xff"},
		{"\xfb\xef\xbe:x", "\xfb\xef\xbe"}, /* "++++" */
		{"\xff\xff\xff:x", "\xff\xff\xff"}, /* "////" */
		{":x", ""},
		{"ali", ""},
	};
	char fields[512], name[CREDENTIALS_TEXT_MAX];
	static struct message message;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *end = fields + sprintf(fields, "GET http://a/\nProxy-Authorization: Basic ");
		size_t n;

		encode(rows[i].pair, strlen(rows[i].pair), end);
		strcat(fields, "\n");
		n = credentials_name(request_of(&message, fields), name);
		assert_int_equal(n, strlen(rows[i].name));
		assert_memory_equal(name, rows[i].name, n);
	}
}

static void test_length(void **state)
{
	struct credentials *credentials = load(users());
	char pair[CREDENTIALS_TEXT_MAX + 200];

	(void)state;
	for (size_t n = CREDENTIALS_TEXT_MAX - 8; n < CREDENTIALS_TEXT_MAX + 8; n++) {
		memset(pair, 'x', n);
		memcpy(pair, "ali:", 4);
		pair[n] = '\0';
		assert_int_equal(login(credentials, pair, 1),
				 (n + 2) / 3 * 3 <= CREDENTIALS_TEXT_MAX ? FAILURE_AUTH_FAILED
									 : FAILURE_AUTH_REQUIRED);
	}
	credentials_free(credentials);
}

/* Costly hashes: after some of them no more are worked out, until time has passed. */
static void test_work_is_bounded(void **state)
{
	struct credentials *credentials;
	char text[1024] = "", pair[64];
	unsigned tried = 0;

	(void)state;
	add_user(text, sizeof(text), "slow", "slow", "$6$rounds=1000$salt$");
	credentials = load(text);
	assert_non_null(credentials);
	hash_us = 60 * 1000;
	assert_int_equal(login(credentials, "slow:slow", 1), FAILURE_NONE);
	do {
		assert_true(tried < 1000);
		snprintf(pair, sizeof(pair), "%s:%u", tried % 2 ? "slow" : "nobody", tried);
		tried++;
	} while (login(credentials, pair, 1) == FAILURE_AUTH_FAILED);
	assert_true(tried > 1);
	/* the last of them was not worked out */
	assert_int_equal(login(credentials, pair, 1), FAILURE_TOO_MANY_LOGINS);
	assert_int_equal(login(credentials, "slow:slow", 1), FAILURE_NONE);
	/* what was forgotten since would have to be worked out, but there is no time */
	assert_int_equal(login(credentials, "slow:0", 2), FAILURE_TOO_MANY_LOGINS);
	assert_int_equal(login(credentials, pair, 1000000), FAILURE_AUTH_FAILED);
	credentials_free(credentials);
}

/* A quarter of a second at once, and 0.1 ms for each that passes: to the millisecond. */
static void test_the_allowance(void **state)
{
	struct credentials *credentials;
	char text[1024] = "";

	(void)state;
	add_user(text, sizeof(text), "slow", "slow", "$6$rounds=1000$salt$");
	credentials = load(text);
	hash_us = 60 * 1000;
	assert_int_equal(credentials_busy_ms(credentials, 1), 0);
	for (unsigned i = 0; i < 5; i++) { /* 50 ms more than there is */
		char pair[] = "slow:?";

		assert_int_equal(credentials_busy_ms(credentials, 1), 0);
		pair[5] = (char)('a' + i);
		assert_int_equal(login(credentials, pair, 1), FAILURE_AUTH_FAILED);
	}
	assert_int_equal(credentials_busy_ms(credentials, 1), 501);
	assert_int_equal(credentials_busy_ms(credentials, 501), 1);
	assert_int_equal(login(credentials, "slow:x", 501), FAILURE_TOO_MANY_LOGINS);
	assert_int_equal(credentials_busy_ms(credentials, 502), 0);
	assert_int_equal(login(credentials, "slow:x", 502), FAILURE_AUTH_FAILED);
	/* of 0.1 ms, 60 were taken */
	assert_int_equal(credentials_busy_ms(credentials, 502), 600);
	/* as long as it takes to have all again: and no more */
	hash_us = 250 * 1000 - 1;
	assert_int_equal(login(credentials, "slow:y", 502 + 599 + 2500), FAILURE_AUTH_FAILED);
	assert_int_equal(login(credentials, "slow:z", 502 + 599 + 2500), FAILURE_AUTH_FAILED);
	hash_us = 250 * 1000;
	assert_int_equal(login(credentials, "slow:1", 1000 * 1000), FAILURE_AUTH_FAILED);
	assert_int_equal(login(credentials, "slow:2", 1000 * 1000), FAILURE_TOO_MANY_LOGINS);
	assert_int_equal(credentials_busy_ms(credentials, 1000 * 1000), 1);
	/* however much was taken, five seconds later all is there again */
	hash_us = 1000 * 1000;
	assert_int_equal(login(credentials, "slow:3", 2000 * 1000), FAILURE_AUTH_FAILED);
	assert_int_equal(login(credentials, "slow:4", 2005 * 1000), FAILURE_TOO_MANY_LOGINS);
	assert_int_equal(login(credentials, "slow:4", 2010 * 1000 + 1), FAILURE_AUTH_FAILED);
	hash_us = 10 * 1000 * 1000;
	assert_int_equal(login(credentials, "slow:5", 3000 * 1000), FAILURE_AUTH_FAILED);
	hash_us = 250 * 1000 + 99;
	assert_int_equal(login(credentials, "slow:6", 3005 * 1000 + 1), FAILURE_AUTH_FAILED);
	/* a millisecond gives the 100 microseconds that are missing */
	assert_int_equal(credentials_busy_ms(credentials, 3005 * 1000 + 1), 1);
	assert_int_equal(credentials_busy_ms(credentials, 3005 * 1000 + 99), 0);
	credentials_free(credentials);
}

/* yescrypt, as passwords are kept today. */
static void test_yescrypt(void **state)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE], text[256] = "";
	struct credentials *credentials;

	(void)state;
	assert_non_null(
		crypt_gensalt_rn("$y$", 1, "sixteen bytes...", 16, setting, sizeof(setting)));
	add_user(text, sizeof(text), "ali", "open sesame", setting);
	credentials = load(text);
	assert_non_null(credentials);
	assert_int_equal(login(credentials, "ali:open sesame", 1), FAILURE_NONE);
	assert_int_equal(login(credentials, "ali:open", 1), FAILURE_AUTH_FAILED);
	credentials_free(credentials);
}

/* Names that begin alike are found in their order, and the last line needs no end. */
static void test_each_user_is_found(void **state)
{
	static const char *const names[] = {"ba", "aaa", "a", "ab", "b", "aa", "aab"};
	enum { COUNT = sizeof(names) / sizeof(names[0]) };
	struct credentials *credentials;
	char text[1024] = "", pair[64];

	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		add_user(text, sizeof(text), names[i], names[COUNT - 1 - i], HASH_ALI);
	text[strlen(text) - 1] = '\0';
	credentials = load(text);
	assert_non_null(credentials);
	for (size_t i = 0; i < COUNT; i++) {
		snprintf(pair, sizeof(pair), "%s:%s", names[i], names[COUNT - 1 - i]);
		assert_int_equal(login(credentials, pair, 1), FAILURE_NONE);
	}
	assert_int_equal(login(credentials, "aac:ba", 1), FAILURE_AUTH_FAILED);
	credentials_free(credentials);
}

/* ---- hashes that cannot be worked out ------------------------------------------------------- */

static bool no_hash;

/* Stands before libcrypt's. */
char *crypt_rn(const char *password, const char *setting, void *data, int size)
{
	assert_int_equal(size, sizeof(struct crypt_data));
	return no_hash ? NULL : crypt_r(password, setting, data);
}

/* Wrong then, whatever the password: and not by a hash of another length. */
static void test_without_a_hash(void **state)
{
	/* of a salt that is longer than SHA-256 has it: what is worked out is shorter */
	static const char longer[] =
		"ali:$5$saltsaltsaltsaltsalt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1\n";
	struct credentials *credentials = load(users());

	(void)state;
	no_hash = true;
	assert_int_equal(login(credentials, "ali:open sesame", 1), FAILURE_AUTH_FAILED);
	no_hash = false;
	assert_int_equal(login(credentials, "ali:open sesame", 1 + CREDENTIALS_WRONG_MS),
			 FAILURE_NONE);
	credentials_free(credentials);
	credentials = load(longer);
	assert_non_null(credentials);
	assert_int_equal(login(credentials, "ali:open sesame", 1), FAILURE_AUTH_FAILED);
	credentials_free(credentials);
}

/* --------------------------------------------------------------------------------------------- */

/* How long a verdict is known: then it is worked out again, which takes time of the processor. */
static void test_how_long_a_verdict_is_known(void **state)
{
	struct credentials *credentials = load(users());
	int64_t used;

	(void)state;
	hash_us = 1;
	assert_int_equal(login(credentials, "ali:open sesame", 1), FAILURE_NONE);
	assert_int_equal(login(credentials, "ali:x", 1), FAILURE_AUTH_FAILED);
	used = used_us;
	assert_int_equal(login(credentials, "ali:x", CREDENTIALS_WRONG_MS), FAILURE_AUTH_FAILED);
	assert_int_equal(used_us, used);
	assert_int_equal(login(credentials, "ali:x", 1 + CREDENTIALS_WRONG_MS),
			 FAILURE_AUTH_FAILED);
	assert_int_equal(used_us, used + 2);
	assert_int_equal(login(credentials, "ali:open sesame", CREDENTIALS_MEMORY_MS),
			 FAILURE_NONE);
	assert_int_equal(used_us, used + 2);
	assert_int_equal(login(credentials, "ali:open sesame", 1 + CREDENTIALS_MEMORY_MS),
			 FAILURE_NONE);
	assert_int_equal(used_us, used + 4);
	credentials_free(credentials);
}

/* ---- nothing is left behind ----------------------------------------------------------------- */

static void test_secrets_are_cleared(void **state)
{
	static struct message message;
	static const char head[] = "GET http://a/\n"
				   "Proxy-Authorization: Basic YWxpOm9wZW4gc2VzYW1l\n";
	struct credentials *credentials;
	char name[CREDENTIALS_TEXT_MAX], worked_out[200];
	static struct crypt_data data;

	(void)state;
	strcpy(worked_out, crypt_r("other", HASH_ALI, &data));
	cleared_count(HASH_ALI);
	credentials = load(users());
	assert_int_equal(cleared_so_far(), 3); /* lines of three users */
	cleared_count("open sesame");
	assert_int_equal(login(credentials, "ali:open sesame", 1), FAILURE_NONE);
	cleared_so_far(); /* libcrypt has a copy, or has not */
	assert_int_equal(login(credentials, "ali:open sesame", 1), FAILURE_NONE);
	assert_int_equal(cleared_so_far(), 1);
	assert_int_not_equal(credentials_claimed(request_of(&message, head)), 0);
	assert_int_equal(cleared_so_far(), 1);
	assert_int_equal(credentials_name(request_of(&message, head), name), 3);
	assert_int_equal(cleared_so_far(), 1);
	cleared_count(worked_out); /* of a password that is wrong */
	assert_int_equal(login(credentials, "ali:other", 1), FAILURE_AUTH_FAILED);
	assert_int_equal(cleared_so_far(), 1);
	cleared_count(HASH_ALI);
	credentials_free(credentials);
	assert_int_equal(cleared_so_far(), 3);
	cleared_count(NULL);
}

/* A number for each name, the same whenever it is claimed. */
static void test_claimed(void **state)
{
	static struct message message;
	static const char *const heads[] = {
		"GET http://a/\nProxy-Authorization: Basic YWxpOm9wZW4gc2VzYW1l\n",
		"GET http://a/\nProxy-Authorization: Basic YWxpOng=\n",
		"GET http://a/\nProxy-Authorization: Basic eDp5\n",
		"GET http://a/\nProxy-Authorization: Basic eHk=\n",
		"GET http://a/\n",
	};
	uint64_t numbers[5];

	(void)state;
	for (size_t i = 0; i < 5; i++)
		numbers[i] = credentials_claimed(request_of(&message, heads[i]));
	assert_true(numbers[0] != 0 && numbers[0] == numbers[1]);
	assert_true(numbers[2] != 0 && numbers[2] != numbers[0]);
	assert_true(numbers[3] == 0 && numbers[4] == 0);
}

/* What was right stays so while there is no time to work it out anew. */
static void test_known_user_is_not_shut_out(void **state)
{
	const int64_t later_ms = 1 + CREDENTIALS_MEMORY_MS;
	struct credentials *credentials;
	char text[1024] = "", pair[64];

	(void)state;
	add_user(text, sizeof(text), "slow", "slow", "$6$rounds=1000$salt$");
	credentials = load(text);
	hash_us = 60 * 1000;
	assert_int_equal(login(credentials, "slow:slow", 1), FAILURE_NONE);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(pair, sizeof(pair), "slow:%u", i);
		if (login(credentials, pair, later_ms) == FAILURE_TOO_MANY_LOGINS)
			break;
	}
	assert_int_equal(login(credentials, "slow:x", later_ms), FAILURE_TOO_MANY_LOGINS);
	assert_int_equal(login(credentials, "slow:slow", later_ms), FAILURE_NONE);
	may_work = false;
	assert_int_equal(login(credentials, "slow:x", 100 * later_ms), FAILURE_TOO_MANY_LOGINS);
	assert_int_equal(login(credentials, "slow:slow", 100 * later_ms), FAILURE_NONE);
	may_work = true;
	assert_int_equal(login(credentials, "slow:x", 100 * later_ms), FAILURE_AUTH_FAILED);
	credentials_free(credentials);
}

static void test_bad_files(void **state)
{
	static const struct {
		const char *text, *error;
	} bad[] = {
		{"", ": no user in it"},
		{"# nobody\n", ": no user in it"},
		{"ali\n", ":1: not name:hash"},
		{"\n\n:$5$x\n", ":3: not name:hash"},
		{"#\nx", ":2: not name:hash"},
		{"\x01li:$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1\n", ":1: not name"},
		{"ali:secret\n", ":1: the hash"},
		{"ali:$1$salt$qJH7.N4xYta3aEG/dfqo/0\n", ":1: the hash"},
		{"ali:$5$rounds=1000$salt$short\n", ":1: the hash"},
		{"ali:x$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1\n", ":1: the hash"},
		{"ali:$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1 \n", ":1: the hash"},
		{"ali:$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c!\n", ":1: the hash"},
		{"ali:$5$sa:lt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1\n", ":1: the hash"},
		{"ali:$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1\n"
		 "b:$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1\n"
		 "ali:$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1\n",
		 ": the user ali is in it twice"},
		{"zoe:$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1\n"
		 "ali:$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1\n"
		 "bob:$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1\n"
		 "zoe:$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1\n",
		 ": the user zoe is in it twice"},
	};
	char expected[300];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_null(load(bad[i].text));
		snprintf(expected, sizeof(expected), "password_file: %s%s", path, bad[i].error);
		if (strncmp(error.text, expected, strlen(expected)) != 0)
			fail_msg("%s instead of %s", error.text, expected);
	}
}

static void test_long_line(void **state)
{
	char text[2000];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_null(load(text));
	assert_non_null(strstr(error.text, ":1: the line is too long"));
	/* to the last byte */
	text[0] = '#';
	text[511] = '\0';
	assert_null(load(text));
	assert_non_null(strstr(error.text, ":1: the line is too long"));
	text[510] = '\0';
	assert_null(load(text));
	assert_non_null(strstr(error.text, "no user in it"));
}

/* Hashes of two kinds take two times: a name that nobody has must not always take the one. */
static void test_stand_in(void **state)
{
	struct credentials *credentials = load(users());
	unsigned utf8 = 0, ali = 0;
	char name[16];

	(void)state;
	assert_non_null(credentials);
	for (unsigned n = 0; n < 200; n++) {
		const char *hash;

		snprintf(name, sizeof(name), "nobody%u", n);
		hash = credentials_stand_in(credentials, slice_str(name));
		utf8 += strncmp(hash, HASH_UTF8, strlen(HASH_UTF8)) == 0;
		ali += strncmp(hash, HASH_ALI, strlen(HASH_ALI)) == 0;
		assert_ptr_equal(hash, credentials_stand_in(credentials, slice_str(name)));
	}
	assert_int_equal(utf8 + ali, 200);
	assert_in_range(utf8, 10, 100); /* of one user in four */
	credentials_free(credentials);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right_and_wrong),
		cmocka_unit_test(test_the_user_is_returned),
		cmocka_unit_test(test_other_than_basic),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_work_is_bounded),
		cmocka_unit_test(test_the_allowance),
		cmocka_unit_test(test_yescrypt),
		cmocka_unit_test(test_each_user_is_found),
		cmocka_unit_test(test_without_a_hash),
		cmocka_unit_test(test_how_long_a_verdict_is_known),
		cmocka_unit_test(test_secrets_are_cleared),
		cmocka_unit_test(test_claimed),
		cmocka_unit_test(test_known_user_is_not_shut_out),
		cmocka_unit_test(test_stand_in),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_long_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
