/* LINKS: proxy/stats */
#include "proxy/stats/last_uris.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { READS = 200000 };

static void note(enum reason reason, const char *text)
{
	struct http_uri uri;

	assert_int_equal(http_uri_parse_absolute(slice_str(text), &uri), URI_OK);
	last_uris_note(reason, &uri);
}

/* The text of a slot, NUL-terminated; "" for none. */
static const char *last(enum reason reason)
{
	static char text[LAST_URI_MAX + 1];

	text[last_uris_read(last_uris_all(), reason, text)] = '\0';
	return text;
}

static void the_last_one_of_each_reason_is_kept(void **state)
{
	(void)state;
	assert_string_equal(last(REASON_PRIVATE), "");
	note(REASON_PRIVATE, "http://a.example/1");
	note(REASON_VARY, "http://b.example/");
	note(REASON_PRIVATE, "http://a.example/2?x");
	assert_string_equal(last(REASON_PRIVATE), "http://a.example/2?x");
	assert_string_equal(last(REASON_VARY), "http://b.example/");
	assert_string_equal(last(REASON_EXPIRED), "");
}

static void it_is_in_normal_form_without_passwords(void **state)
{
	(void)state;
	note(REASON_PRIVATE, "HTTP://A.Example:80");
	assert_string_equal(last(REASON_PRIVATE), "http://a.example/");
	note(REASON_PRIVATE, "http://a.example/?to=http://user:secret@b.example/");
	assert_string_equal(last(REASON_PRIVATE), "http://a.example/?to=http://***@b.example/");
	note(REASON_PRIVATE, "http://a.example/\xff\"<");
	assert_string_equal(last(REASON_PRIVATE), "http://a.example/\xff\"<");
}

static void a_long_one_is_cut(void **state)
{
	char text[4096] = "http://A.example/", kept[LAST_URI_MAX];
	struct http_uri uri;

	(void)state;
	memset(text + strlen(text), 'x', sizeof(text) - strlen(text) - 1);
	note(REASON_PRIVATE, text);
	assert_int_equal(last_uris_read(last_uris_all(), REASON_PRIVATE, kept), LAST_URI_MAX);
	assert_memory_equal(kept, "http://a.example/x", 18);
	assert_int_equal(http_uri_parse_absolute(slice_str(text), &uri), URI_OK);
	assert_int_equal(last_uris_find(last_uris_all(), &uri, REASON_AT_STORE), REASON_PRIVATE);
}

/* Wherever the cut is, in each spelling. */
static void a_password_is_masked_before_the_cut(void **state)
{
	static const char *const begins[] = {"http://a.example/", "http://A.example/",
					     "http://a.example:80/?"};
	static const char tail[] = "//user:secretsecretsecretsecret@b.example/";

	(void)state;
	for (size_t i = 0; i < 3 * sizeof(tail); i++) {
		char text[LAST_URI_MAX + 128] = "";

		strcpy(text, begins[i % 3]);
		memset(text + strlen(text), 'x', LAST_URI_MAX + 4 - strlen(text) - i / 3);
		strcat(text, tail);
		note(REASON_PRIVATE, text);
		assert_null(strstr(last(REASON_PRIVATE), "user"));
		assert_null(strstr(last(REASON_PRIVATE), "sec"));
		assert_memory_equal(last(REASON_PRIVATE), "http://a.example/", 17);
	}
}

static void a_uri_is_found_by_what_it_was_last_for(void **state)
{
	struct http_uri uri;

	(void)state;
	note(REASON_NO_FRESHNESS, "http://c.example/");
	note(REASON_NO_RECORD, "http://c.example/");
	assert_int_equal(http_uri_parse_absolute(SLICE("http://C.example"), &uri), URI_OK);
	assert_int_equal(last_uris_find(last_uris_all(), &uri, REASON_AT_STORE),
			 REASON_NO_FRESHNESS);
	assert_int_equal(last_uris_find(last_uris_all(), &uri, REASON_AT_ASKED), REASON_NO_RECORD);
	assert_int_equal(http_uri_parse_absolute(SLICE("http://d.example"), &uri), URI_OK);
	assert_int_equal(last_uris_find(last_uris_all(), &uri, REASON_AT_STORE), REASON_NONE);
}

/* A word of another text, as two writers at once leave it; its length is one of them. */
static void a_word_of_another_text_is_noticed(void **state)
{
	enum { SLOT_WORDS = 64 };
	uint64_t *slot = (uint64_t *)last_uris_all() + REASON_EXPIRED * SLOT_WORDS;
	size_t words = 2 + (strlen("http://a.example/0123456789") + 7) / 8;

	(void)state;
	note(REASON_EXPIRED, "http://a.example/0123456789");
	for (size_t i = 0; i < words; i++) {
		slot[i] ^= 2;
		assert_string_equal(last(REASON_EXPIRED), "");
		slot[i] ^= 2;
	}
	assert_string_equal(last(REASON_EXPIRED), "http://a.example/0123456789");
	slot[1] = LAST_URI_MAX + 1;
	assert_string_equal(last(REASON_EXPIRED), "");
	slot[1] = UINT64_MAX / 16;
	assert_string_equal(last(REASON_EXPIRED), "");
}

/* Whole up to its length, and of no other in what is behind it. */
static void texts_of_each_length_are_kept(void **state)
{
	char text[LAST_URI_MAX + 3];

	(void)state;
	for (size_t n = LAST_URI_MAX - 20; n < LAST_URI_MAX + 2; n++) {
		strcpy(text, "http://a.example/");
		memset(text + 17, 'y', n - 17);
		text[n] = '\0';
		note(REASON_EXPIRED, text);
		if (n > LAST_URI_MAX)
			text[LAST_URI_MAX] = '\0';
		assert_string_equal(last(REASON_EXPIRED), text);
	}
	note(REASON_EXPIRED, "http://a.example/");
	assert_string_equal(last(REASON_EXPIRED), "http://a.example/");
}

/* A request whose URI has no host, as one that was not understood, is no URI to show. */
static void what_has_no_host_is_not_kept(void **state)
{
	struct http_uri nothing = {0};

	(void)state;
	note(REASON_CLOCK, "http://a.example/");
	last_uris_note(REASON_CLOCK, &nothing);
	assert_string_equal(last(REASON_CLOCK), "http://a.example/");
}

/* Both of a length, so that no other length gives a mixture away. */
static void spell(char c, char text[static 400])
{
	strcpy(text, "http://a.example/");
	memset(text + strlen(text), c, 400 - strlen(text) - 1);
	text[399] = '\0';
}

static pid_t start_writer(const char *text)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			note(REASON_EXPIRED, text);
	assert_true(pid > 0);
	return pid;
}

/* Two that write at once, without end, and are killed wherever they are: no mixture is ever read. */
static void no_torn_text_is_read(void **state)
{
	char a[400] = "", b[400] = "";
	unsigned whole = 0;
	pid_t writers[2];

	(void)state;
	assert_true(last_uris_share());
	spell('a', a);
	spell('b', b);
	writers[0] = start_writer(a);
	writers[1] = start_writer(b);
	for (unsigned i = 0; i < READS || whole == 0; i++) {
		const char *text = last(REASON_EXPIRED);

		assert_true(text[0] == '\0' || strcmp(text, a) == 0 || strcmp(text, b) == 0);
		whole += text[0] != '\0';
	}
	for (unsigned i = 0; i < 2; i++) {
		kill(writers[i], SIGKILL);
		assert_int_equal(waitpid(writers[i], NULL, 0), writers[i]);
	}
	note(REASON_EXPIRED, a);
	assert_string_equal(last(REASON_EXPIRED), a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_one_of_each_reason_is_kept),
		cmocka_unit_test(it_is_in_normal_form_without_passwords),
		cmocka_unit_test(a_long_one_is_cut),
		cmocka_unit_test(a_password_is_masked_before_the_cut),
		cmocka_unit_test(a_uri_is_found_by_what_it_was_last_for),
		cmocka_unit_test(a_word_of_another_text_is_noticed),
		cmocka_unit_test(texts_of_each_length_are_kept),
		cmocka_unit_test(what_has_no_host_is_not_kept),
		cmocka_unit_test(no_torn_text_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
