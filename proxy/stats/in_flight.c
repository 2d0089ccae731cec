/* Questions to origins that have lasted for long, in shared memory. */
#include "proxy/stats/in_flight.h"

#include "proxy/stats/shared_row.h"

struct in_flight {
	_Atomic uint64_t tickets;
	_Atomic unsigned count;
	_Atomic uint64_t row[IN_FLIGHT_MAX][SHARED_ROW_WORDS(sizeof(struct in_flight_row))];
};

static struct in_flight *own;

struct in_flight *in_flight_map(unsigned workers)
{
	return shared_map(workers * sizeof(struct in_flight));
}

void in_flight_clear(struct in_flight *blocks, unsigned index)
{
	atomic_store_explicit(&blocks[index].count, 0, memory_order_relaxed);
}

void in_flight_attach(struct in_flight *blocks, unsigned index)
{
	own = &blocks[index];
	in_flight_clear(blocks, index);
}

void in_flight_note(const struct in_flight_row *rows, unsigned count)
{
	uint64_t ticket;

	if (own == NULL)
		return;
	ticket = atomic_load_explicit(&own->tickets, memory_order_relaxed) + 1;
	for (unsigned i = 0; i < count && i < IN_FLIGHT_MAX; i++)
		shared_row_write(own->row[i], ticket, &rows[i], sizeof(rows[i]));
	atomic_store_explicit(&own->tickets, ticket, memory_order_relaxed);
	/* No row is looked for before it is there. */
	atomic_store_explicit(&own->count, count, memory_order_release);
}

/* Among the oldest, in their order. */
static void insert(struct in_flight_row *rows, unsigned *count, const struct in_flight_row *row)
{
	unsigned i = *count;

	if (i < IN_FLIGHT_MAX)
		++*count;
	else if (rows[--i].since_ms <= row->since_ms)
		return;
	for (; i > 0 && rows[i - 1].since_ms > row->since_ms; i--)
		rows[i] = rows[i - 1];
	rows[i] = *row;
}

unsigned in_flight_list(const struct in_flight *blocks, unsigned count,
			struct in_flight_row ret_rows[IN_FLIGHT_MAX])
{
	unsigned found = 0;

	for (const struct in_flight *block = blocks; block < blocks + count; block++) {
		unsigned rows = atomic_load_explicit(&block->count, memory_order_acquire);

		for (unsigned i = 0; i < rows && i < IN_FLIGHT_MAX; i++) {
			struct in_flight_row row;

			if (shared_row_read(block->row[i], &row, sizeof(row)) != 0)
				insert(ret_rows, &found, &row);
		}
	}
	return found;
}

const char *in_flight_phase_name(enum in_flight_phase phase)
{
	static const char *const names[] = {
		[IN_FLIGHT_CONNECT] = "connect",
		[IN_FLIGHT_FIRST_BYTE] = "first-byte",
		[IN_FLIGHT_CONTENT] = "content",
	};

	return names[phase];
}
