/* Users and Basic credentials. */
#include "proxy/access/credentials.h"

#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/http/fields.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
	WRONG_SLOTS = 256, /* direct-mapped: a collision forgets the older */
	/* Processor time that verifying may take: this at once, and a tenth of what passes. */
	ALLOWANCE_MAX_US = 250 * 1000,
	ALLOWANCE_US_PER_MS = 100,
	LINE_MAX_LENGTH = 511, /* with the NUL that ends it */
};

/* A hash of name and password under our secret, and how long what it stands for is known. */
struct known {
	XXH128_hash_t hash;
	int64_t until_ms; /* 0: nothing is known */
};

struct user {
	char *name; /* and hash: one block of memory */
	size_t name_length;
	const char *hash;
	struct known right;
};

struct credentials {
	struct user *users; /* in the order of their names */
	size_t count;
	struct known wrong[WRONG_SLOTS];
	int64_t allowance_us;
	int64_t allowance_ms; /* when it was last added to */
	struct crypt_data crypt;
	struct credentials_use use;
};

/* ---- the file ------------------------------------------------------------------------------- */

static int compare_names(struct slice a, struct slice b)
{
	int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

static int compare_users(const void *a, const void *b)
{
	const struct user *x = a, *y = b;

	return compare_names(slice_of(x->name, x->name_length), slice_of(y->name, y->name_length));
}

static struct user *find_user(const struct credentials *credentials, struct slice name)
{
	size_t low = 0, high = credentials->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct user *user = &credentials->users[middle];
		int order = compare_names(name, slice_of(user->name, user->name_length));

		if (order == 0)
			return user;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static bool has_control(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
			return true;
	return false;
}

/* $5$, $6$ or $y$ with parameters that crypt(3) takes, and the digits of a whole hash. */
static bool is_hash(const char *text)
{
	static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz";
	const char *last = strrchr(text, '$');
	int salt = crypt_checksalt(text);
	size_t length;

	if (strncmp(text, "$5$", 3) == 0 || strncmp(text, "$y$", 3) == 0)
		length = 43;
	else if (strncmp(text, "$6$", 3) == 0)
		length = 86;
	else
		return false;
	return strlen(last + 1) == length && strspn(last + 1, digits) == length &&
	       (salt == CRYPT_SALT_OK || salt == CRYPT_SALT_METHOD_LEGACY);
}

static const char *add_user(struct credentials *credentials, const char *line)
{
	const char *colon = strchr(line, ':');
	size_t length = strlen(line);
	struct user *users;
	char *memory;

	if (colon == NULL || colon == line || has_control(slice_of(line, length)))
		return "not name:hash";
	if (!is_hash(colon + 1))
		return "the hash is not of crypt(3) with $y$, $6$ or $5$";
	users = reallocarray(credentials->users, credentials->count + 1, sizeof(*users));
	if (users == NULL)
		return "out of memory";
	credentials->users = users;
	memory = strdup(line);
	if (memory == NULL)
		return "out of memory";
	users[credentials->count++] = (struct user){
		.name = memory,
		.name_length = (size_t)(colon - line),
		.hash = memory + (colon - line) + 1,
	};
	return NULL;
}

/* What is wrong with a line, or NULL. */
static const char *read_line(struct credentials *credentials, struct slice from)
{
	char line[LINE_MAX_LENGTH];
	const char *wrong = NULL;

	if (from.n >= sizeof(line))
		return "the line is too long";
	memcpy(line, from.p, from.n);
	line[from.n] = '\0';
	line[strcspn(line, "\r")] = '\0';
	if (line[0] != '\0' && line[0] != '#')
		wrong = add_user(credentials, line);
	explicit_bzero(line, sizeof(line));
	return wrong;
}

static bool read_users(struct credentials *credentials, struct slice text, const char *path,
		       struct diagnostic *error)
{
	for (unsigned number = 1; text.n > 0; number++) {
		const char *end = memchr(text.p, '\n', text.n);
		size_t n = end != NULL ? (size_t)(end - text.p) : text.n;
		const char *wrong = read_line(credentials, slice_of(text.p, n));

		if (wrong != NULL) {
			diagnostic_set(error, "password_file: %s:%u: %s", path, number, wrong);
			return false;
		}
		n += end != NULL ? 1 : 0;
		text = slice_of(text.p + n, text.n - n);
	}
	return true;
}

/* In the order of their names, each once. */
static bool sort_users(struct credentials *credentials, const char *path, struct diagnostic *error)
{
	if (credentials->count == 0) {
		diagnostic_set(error, "password_file: %s: no user in it", path);
		return false;
	}
	qsort(credentials->users, credentials->count, sizeof(struct user), compare_users);
	for (size_t i = 1; i < credentials->count; i++) {
		const struct user *user = &credentials->users[i];

		if (compare_users(user - 1, user) != 0)
			continue;
		diagnostic_set(error, "password_file: %s: the user %.*s is in it twice", path,
			       (int)user->name_length, user->name);
		return false;
	}
	return true;
}

struct credentials *credentials_new(const char *path, struct slice text,
				    const struct credentials_use *use, struct diagnostic *error)
{
	struct credentials *credentials = calloc(1, sizeof(*credentials));

	if (credentials == NULL) {
		diagnostic_set(error, "password_file: %s: out of memory", path);
		return NULL;
	}
	credentials->use = *use;
	credentials->allowance_us = ALLOWANCE_MAX_US;
	if (read_users(credentials, text, path, error) && sort_users(credentials, path, error))
		return credentials;
	credentials_free(credentials);
	return NULL;
}

void credentials_free(struct credentials *credentials)
{
	if (credentials == NULL)
		return;
	for (size_t i = 0; i < credentials->count; i++) {
		struct user *user = &credentials->users[i];

		explicit_bzero(user->name, strlen(user->name));
		free(user->name);
	}
	free(credentials->users);
	explicit_bzero(credentials, sizeof(*credentials));
	free(credentials);
}

/* ---- what a request brings ------------------------------------------------------------------ */

/* Name:password, in the clear for as short as can be. */
struct presented {
	char text[CREDENTIALS_TEXT_MAX + 1];
	size_t length;
	struct slice name;
	const char *password;
};

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648 4, canonical: padded, and no bits set that say nothing.  Its length, 0 for what is not. */
static size_t decode_base64(struct slice from, char to[static CREDENTIALS_TEXT_MAX + 1])
{
	size_t digits = from.n, at = 0;
	uint32_t bits = 0;

	if (from.n % 4 != 0 || from.n / 4 * 3 > CREDENTIALS_TEXT_MAX)
		return 0;
	while (digits > from.n - 2 && from.p[digits - 1] == '=')
		digits--;
	for (size_t i = 0; i < digits; i++) {
		int digit = base64_digit(from.p[i]);

		if (digit < 0)
			return 0;
		bits = bits << 6 | (uint32_t)digit;
		if (i % 4 != 0)
			to[at++] = (char)(bits >> (6 - 2 * (i % 4)));
	}
	to[at] = '\0';
	return digits % 4 == 0 || (bits & (digits % 4 == 2 ? 0xf : 3)) == 0 ? at : 0;
}

/* RFC 7617 2: "Basic" 1*SP base64(name ":" password), without control characters. */
static bool read_presented(const struct http_request *req, struct presented *to)
{
	const struct http_field *line = http_fields_first(&req->fields, FIELD_PROXY_AUTHORIZATION);
	struct slice value;
	const char *colon;

	if (line == NULL || http_fields_next(&req->fields, line) != NULL)
		return false;
	value = line->value;
	if (value.n < 6 || !slice_ieq(slice_of(value.p, 6), SLICE("basic ")))
		return false;
	value = slice_trim(slice_of(value.p + 6, value.n - 6));
	to->length = decode_base64(value, to->text);
	if (has_control(slice_of(to->text, to->length)))
		return false;
	colon = memchr(to->text, ':', to->length);
	if (colon == NULL)
		return false;
	to->name = slice_of(to->text, (size_t)(colon - to->text));
	to->password = colon + 1;
	return true;
}

/* ---- verifying ------------------------------------------------------------------------------ */

/* Compare in constant time. */
static bool same_bytes(const void *a, const void *b, size_t n)
{
	const volatile unsigned char *x = a, *y = b;
	unsigned char difference = 0;

	for (size_t i = 0; i < n; i++)
		difference |= x[i] ^ y[i];
	return difference == 0;
}

static bool is_known(const struct known *known, const XXH128_hash_t *hash)
{
	return known->until_ms != 0 && same_bytes(&known->hash, hash, sizeof(*hash));
}

static bool is_allowed(struct credentials *credentials, int64_t now_ms)
{
	int64_t passed_ms = now_ms - credentials->allowance_ms;

	credentials->allowance_ms = now_ms;
	if (passed_ms > ALLOWANCE_MAX_US / ALLOWANCE_US_PER_MS * 2)
		credentials->allowance_us = ALLOWANCE_MAX_US;
	else
		credentials->allowance_us += passed_ms * ALLOWANCE_US_PER_MS;
	if (credentials->allowance_us > ALLOWANCE_MAX_US)
		credentials->allowance_us = ALLOWANCE_MAX_US;
	return credentials->allowance_us > 0;
}

/*
 * Hashes of different kinds take different times.  So an unknown name is checked against one of the
 * users' hashes, always the same one for the same file: the time does not reveal whether a user
 * exists.
 */
const char *credentials_stand_in(const struct credentials *credentials, struct slice name)
{
	const char *secret = credentials->users[0].hash;
	uint64_t seed = XXH3_64bits(secret, strlen(secret));

	return credentials->users[XXH3_64bits_withSeed(name.p, name.n, seed) % credentials->count]
		.hash;
}

/* The slow part, also for a name that does not exist. */
static bool verify(struct credentials *credentials, const struct user *user,
		   const struct presented *presented)
{
	const char *hash =
		user != NULL ? user->hash : credentials_stand_in(credentials, presented->name);
	size_t length = strlen(hash);
	int64_t began_us = credentials->use.processor_us();
	const char *found = crypt_rn(presented->password, hash, &credentials->crypt,
				     (int)sizeof(credentials->crypt));
	bool same = found != NULL && strlen(found) == length && same_bytes(found, hash, length);

	explicit_bzero(&credentials->crypt, sizeof(credentials->crypt));
	credentials->allowance_us -= credentials->use.processor_us() - began_us;
	return same && user != NULL;
}

static enum failure check(struct credentials *credentials, const struct presented *presented,
			  int64_t now_ms, bool may_work, struct slice *ret_user)
{
	XXH128_hash_t hash =
		XXH3_128bits_withSecret(presented->text, presented->length, credentials->use.secret,
					CREDENTIALS_SECRET_SIZE);
	struct user *user = find_user(credentials, presented->name);
	struct known *wrong = &credentials->wrong[hash.low64 % WRONG_SLOTS];
	bool right = user != NULL && is_known(&user->right, &hash);

	if (user != NULL)
		*ret_user = slice_of(user->name, user->name_length);
	if (right && now_ms < user->right.until_ms)
		return FAILURE_NONE;
	if (is_known(wrong, &hash) && now_ms < wrong->until_ms)
		return FAILURE_AUTH_FAILED;
	/*
	 * When there is no time to verify, accept a password that was right before: the file is the
	 * same.
	 */
	if (!may_work || !is_allowed(credentials, now_ms))
		return right ? FAILURE_NONE : FAILURE_TOO_MANY_LOGINS;
	if (!verify(credentials, user, presented)) {
		*wrong = (struct known){hash, now_ms + CREDENTIALS_WRONG_MS};
		return FAILURE_AUTH_FAILED;
	}
	user->right = (struct known){hash, now_ms + CREDENTIALS_MEMORY_MS};
	return FAILURE_NONE;
}

enum failure credentials_check(struct credentials *credentials, const struct http_request *req,
			       int64_t now_ms, bool may_work, struct slice *ret_user)
{
	struct presented presented;
	enum failure failure = FAILURE_AUTH_REQUIRED;

	if (read_presented(req, &presented))
		failure = check(credentials, &presented, now_ms, may_work, ret_user);
	if (failure != FAILURE_NONE)
		*ret_user = slice_of("", 0);
	explicit_bzero(&presented, sizeof(presented));
	return failure;
}

int64_t credentials_busy_ms(const struct credentials *credentials, int64_t now_ms)
{
	int64_t missing_us = 1 - credentials->allowance_us;
	int64_t ready_ms = credentials->allowance_ms +
			   (missing_us + ALLOWANCE_US_PER_MS - 1) / ALLOWANCE_US_PER_MS;

	return missing_us <= 0 || ready_ms <= now_ms ? 0 : ready_ms - now_ms;
}

uint64_t credentials_claimed(const struct http_request *req)
{
	struct presented presented;
	uint64_t number = 0;

	if (read_presented(req, &presented))
		number = XXH3_64bits(presented.name.p, presented.name.n);
	explicit_bzero(&presented, sizeof(presented));
	return number;
}

size_t credentials_name(const struct http_request *req, char to[static CREDENTIALS_TEXT_MAX])
{
	struct presented presented;
	size_t n = 0;

	if (read_presented(req, &presented)) {
		n = presented.name.n;
		memcpy(to, presented.name.p, n);
	}
	explicit_bzero(&presented, sizeof(presented));
	return n;
}
