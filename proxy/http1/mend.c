/* Response heads that can be read in one way only, written as the grammar has them. */
#include "proxy/http1/mend.h"

#include "cache/http/fields.h"

/* A head being written. */
struct mended {
	char *to;
	size_t size, n;
	bool full;
	bool may_fold;   /* the last field line can go on in the next one */
	bool has_length; /* there was a Content-Length, and this is its value */
	struct slice length;
	unsigned codings, identities; /* lines of Transfer-Encoding */
};

static void put(struct mended *mended, struct slice bytes)
{
	if (bytes.n > mended->size - mended->n) {
		mended->full = true;
		return;
	}
	memcpy(mended->to + mended->n, bytes.p, bytes.n);
	mended->n += bytes.n;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_control(char c)
{
	return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

static bool has_control(struct slice value)
{
	for (size_t i = 0; i < value.n; i++) {
		if (is_control(value.p[i]))
			return true;
	}
	return false;
}

/* A value with SP for each control byte. */
static void put_value(struct mended *mended, struct slice value)
{
	size_t from = mended->n;

	put(mended, value);
	for (size_t i = from; i < mended->n; i++) {
		if (is_control(mended->to[i]))
			mended->to[i] = ' ';
	}
}

/* The line at *at without its CRLF or LF.  False for a CR elsewhere, or a NUL. */
static bool take_line(struct slice head, size_t *at, struct slice *ret_line)
{
	const char *start = head.p + *at;
	const char *lf = memchr(start, '\n', head.n - *at);
	size_t n;

	if (lf == NULL)
		return false;
	*at = (size_t)(lf - head.p) + 1;
	n = (size_t)(lf - start);
	if (n > 0 && start[n - 1] == '\r')
		n--;
	*ret_line = slice_of(start, n);
	return memchr(start, '\r', n) == NULL && memchr(start, '\0', n) == NULL;
}

static bool is_visible(struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (!is_blank(text.p[i]) && !is_control(text.p[i]))
			return true;
	}
	return false;
}

/*
 * Obs-fold becomes SP.  A line of blanks alone is not mended: some readers take it for the empty
 * line.
 */
static bool unfold(struct mended *mended, struct slice line)
{
	struct slice more = slice_trim(line);

	if (!mended->may_fold || !is_visible(more))
		return false;
	mended->n -= 2; /* CRLF */
	while (is_blank(mended->to[mended->n - 1]))
		mended->n--;
	put(mended, SLICE(" "));
	put_value(mended, more);
	put(mended, SLICE("\r\n"));
	return true;
}

/* "5", "5, 5" and more lines of the same are one; *ret_first is false for those that go. */
static bool same_lengths(struct mended *mended, struct slice value, bool *ret_first)
{
	*ret_first = !mended->has_length;
	for (;;) {
		const char *comma = memchr(value.p, ',', value.n);
		size_t n = comma != NULL ? (size_t)(comma - value.p) : value.n;
		struct slice length = slice_trim(slice_of(value.p, n));

		if (!mended->has_length)
			mended->length = length;
		mended->has_length = true;
		if (!slice_eq(length, mended->length))
			return false;
		if (comma == NULL)
			return true;
		value = slice_of(comma + 1, value.n - n - 1);
	}
}

/*
 * Fields that tell where the body ends, or which of the others are of the connection: readers
 * differ in what they make of control bytes and folds there.
 */
static bool mend_framing(struct mended *mended, enum http_field_id id, struct slice *value,
			 bool *ret_drop)
{
	bool first;

	mended->may_fold = false;
	if (has_control(*value))
		return false;
	if (id == FIELD_CONTENT_LENGTH) {
		if (!same_lengths(mended, *value, &first))
			return false;
		*value = mended->length;
		*ret_drop = !first;
	} else if (id == FIELD_TRANSFER_ENCODING) {
		*ret_drop = slice_ieq(*value, SLICE("identity"));
		mended->codings++;
		mended->identities += *ret_drop;
	}
	return true;
}

static bool mend_field(struct mended *mended, struct slice line)
{
	enum http_field_id id;
	struct slice name, value;
	size_t n = 0, colon;
	bool drop = false;

	while (n < line.n && http_is_tchar((unsigned char)line.p[n]))
		n++;
	for (colon = n; colon < line.n && is_blank(line.p[colon]);)
		colon++;
	if (n == 0 || colon == line.n || line.p[colon] != ':')
		return false;
	name = slice_of(line.p, n);
	value = slice_trim(slice_of(line.p + colon + 1, line.n - colon - 1));
	id = http_field_lookup(name);
	mended->may_fold = true;
	if ((id == FIELD_CONTENT_LENGTH || id == FIELD_TRANSFER_ENCODING ||
	     id == FIELD_CONNECTION) &&
	    !mend_framing(mended, id, &value, &drop))
		return false;
	if (drop)
		return true;
	put(mended, name);
	put(mended, SLICE(":"));
	put_value(mended, value);
	put(mended, SLICE("\r\n"));
	return true;
}

enum mend mend_head(struct slice head, char *room, size_t size, size_t *ret_n)
{
	struct mended mended = {.to = room, .size = size};
	struct slice line;
	size_t at = 0;

	if (!take_line(head, &at, &line))
		return MEND_DOUBTFUL;
	put(&mended, line);
	put(&mended, SLICE("\r\n"));
	while (!mended.full) {
		if (!take_line(head, &at, &line))
			return MEND_DOUBTFUL;
		if (line.n == 0)
			break;
		if (is_blank(line.p[0]) ? !unfold(&mended, line) : !mend_field(&mended, line))
			return MEND_DOUBTFUL;
	}
	put(&mended, SLICE("\r\n"));
	*ret_n = mended.n;
	if (mended.full)
		return MEND_NO_ROOM;
	/* `identity` beside another coding says two things */
	return at == head.n && (mended.identities == 0 || mended.codings == 1) ? MEND_DONE
									       : MEND_DOUBTFUL;
}
