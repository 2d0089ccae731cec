/* Text of the proxy's answers for a terminal. */
#include "proxy/cli/shown.h"

#include "proxy/cli/commands.h"

/* The next character at *text as one of ours, which it moves past: a byte of the proxy's. */
static unsigned next_byte(const char **text)
{
	unsigned char c = (unsigned char)*(*text)++;

	/* U+0080 to U+00FF are two bytes of UTF-8 */
	if ((c == 0xc2 || c == 0xc3) && ((unsigned char)**text & 0xc0) == 0x80)
		c = (unsigned char)((c & 3) << 6 | ((unsigned char)*(*text)++ & 0x3f));
	return c;
}

static unsigned write_byte(FILE *to, unsigned c)
{
	if (c >= ' ' && c < 0x7f) {
		putc((int)c, to);
		return 1;
	}
	fprintf(to, "\\x%02x", c);
	return 4;
}

void shown_write(FILE *to, const char *text)
{
	while (*text != '\0')
		write_byte(to, next_byte(&text));
}

int shown_complain(const char *command, const char *text)
{
	fprintf(stderr, "cache204: %s: ", command);
	shown_write(stderr, text);
	putc('\n', stderr);
	return EXIT_USAGE;
}

void shown_write_lines(FILE *to, const char *prefix, const char *text)
{
	while (*text != '\0') {
		fputs(prefix, to);
		while (*text != '\0' && *text != '\n')
			write_byte(to, next_byte(&text));
		putc('\n', to);
		text += *text == '\n';
	}
}

void shown_copy(char *to, size_t size, const char *text)
{
	size_t n = 0;

	while (*text != '\0' && n + sizeof("\\xff") <= size) {
		unsigned c = next_byte(&text);

		if (c >= ' ' && c < 0x7f)
			to[n++] = (char)c;
		else
			n += (size_t)sprintf(to + n, "\\x%02x", c);
	}
	to[n] = '\0';
}

/* Columns of the word at `text`, up to a space or the end. */
static unsigned word_width(const char *text)
{
	unsigned width = 0;

	while (*text != '\0' && *text != ' ') {
		unsigned c = next_byte(&text);

		width += c > ' ' && c < 0x7f ? 1 : 4;
	}
	return width;
}

void shown_write_filled(FILE *to, const char *text, unsigned at, unsigned indent)
{
	unsigned column = at;

	while (*text != '\0') {
		unsigned width;

		while (*text == ' ')
			text++;
		width = word_width(text);
		if (column > at && column + 1 + width > SHOWN_WIDTH) {
			fprintf(to, "\n%*s", (int)indent, "");
			column = at = indent;
		} else if (column > at) {
			putc(' ', to);
			column++;
		}
		while (*text != '\0' && *text != ' ')
			column += write_byte(to, next_byte(&text));
	}
	putc('\n', to);
}
