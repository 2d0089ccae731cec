/* The operator's page as bytes of the program, and the policy for them. */
#include "proxy/page/page.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Files are named from the top folder, where the compiler runs. */
#define PART(name) ".incbin \"proxy/page/" name "\"\n"

/*
 * Rows of tables as rows of a script's Map: the texts are strings for the assembler, and between
 * backquotes for the script.  They have no backquote, "${" or backslash of their own: a test looks.
 */
#define QUOTED(literal) ".ascii \"\\140\"\n.ascii " #literal "\n.ascii \"\\140,\"\n"
#define REASON(id, token, where, meaning, advice)                       \
	".ascii \"[\"\n" QUOTED(token) ".ascii \"[\"\n" QUOTED(meaning) \
		QUOTED(advice) ".ascii \"]],\\n\"\n"
#define FAILURE(id, name, status, error_type, options, sentence) \
	".ascii \"[\"\n" QUOTED(name) QUOTED(sentence) ".ascii \"],\\n\"\n"

/* The formatter would take the strings apart. */
/* clang-format off */
__asm__(".pushsection .rodata\n"
	"page_begin:\n"
	PART("head.html")
	".ascii \"<style>\"\n"
	"page_style:\n"
	PART("page.css")
	"page_style_end:\n"
	".ascii \"</style>\\n\"\n"
	PART("body.html")
	".ascii \"<script>\"\n"
	"page_script:\n"
	".ascii \"\\\"use strict\\\";\\nconst REASONS = new Map([\\n\"\n"
#include "cache/policy/reasons.def"
	".ascii \"]), FAILURES = new Map([\\n\"\n"
#include "proxy/base/failures.def"
	".ascii \"]);\\n\"\n"
	PART("texts.js")
	PART("base.js")
	PART("charts.js")
	PART("view.js")
	PART("explain.js")
	PART("live.js")
	"page_script_end:\n"
	".ascii \"</script>\\n\"\n"
	"page_end:\n"
	".popsection\n");
/* clang-format on */

extern const char page_begin[], page_style[], page_style_end[], page_script[], page_script_end[],
	page_end[];

enum { HASH = 32, HASH_TEXT = 4 * ((HASH + 2) / 3) + 1 };

/* What is sent: the parts without what says nothing to a browser, see copy_lines(). */
static struct {
	struct slice document; /* empty until it is made */
	char policy[512];
} page;

/* Blanks and comments that lines begin with are left out.  Returns the end of what was copied. */
static char *copy_lines(char *to, const char *from, const char *end)
{
	bool at_begin = true;

	while (from < end) {
		if (at_begin && (*from == ' ' || *from == '\n')) {
			from++;
		} else if (at_begin && end - from >= 4 && memcmp(from, "/*", 2) == 0) {
			const char *close = memmem(from + 2, (size_t)(end - from - 2), "*/", 2);

			assert(close != NULL);
			from = close + 2;
		} else {
			at_begin = *from == '\n';
			*to++ = *from++;
		}
	}
	return to;
}

/* In base64, as the policy has it. */
static bool hash(const char *begin, const char *end, char ret_text[HASH_TEXT])
{
	unsigned char bytes[EVP_MAX_MD_SIZE], text[HASH_TEXT];

	if (EVP_Digest(begin, (size_t)(end - begin), bytes, NULL, EVP_sha256(), NULL) != 1)
		return false;
	EVP_EncodeBlock(text, bytes, HASH);
	snprintf(ret_text, HASH_TEXT, "%s", (const char *)text);
	return true;
}

static bool make(void)
{
	char style_hash[HASH_TEXT], script_hash[HASH_TEXT];
	char *document = malloc((size_t)(page_end - page_begin));
	char *style, *style_end, *script, *script_end, *end;

	if (document == NULL)
		return false;
	style = copy_lines(document, page_begin, page_style);
	style_end = copy_lines(style, page_style, page_style_end);
	script = copy_lines(style_end, page_style_end, page_script);
	script_end = copy_lines(script, page_script, page_script_end);
	end = copy_lines(script_end, page_script_end, page_end);
	if (!hash(style, style_end, style_hash) || !hash(script, script_end, script_hash)) {
		free(document);
		return false;
	}
	snprintf(page.policy, sizeof(page.policy),
		 "default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; "
		 "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
		 "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
		 script_hash, style_hash);
	page.document = slice_of(document, (size_t)(end - document));
	return true;
}

bool page_get(struct slice *ret_document, const char **ret_policy)
{
	if (page.document.n == 0 && !make())
		return false;
	*ret_document = page.document;
	*ret_policy = page.policy;
	return true;
}
