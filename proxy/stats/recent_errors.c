/* The last errors, gathered by what they have in common, in shared memory. */
#include "proxy/stats/recent_errors.h"

#include <stdbool.h>
#include <string.h>

#include "proxy/stats/shared_row.h"

struct recent_errors {
	_Atomic uint64_t tickets;
	_Atomic uint64_t row[RECENT_ERRORS_MAX][SHARED_ROW_WORDS(sizeof(struct recent_error))];
};

static struct {
	struct recent_errors *block; /* NULL before attach */
	struct recent_error row[RECENT_ERRORS_MAX];
} own;

struct recent_errors *recent_errors_map(unsigned workers)
{
	return shared_map(workers * sizeof(struct recent_errors));
}

void recent_errors_attach(struct recent_errors *blocks, unsigned index)
{
	own.block = &blocks[index];
	for (unsigned i = 0; i < RECENT_ERRORS_MAX; i++)
		if (shared_row_read(own.block->row[i], &own.row[i], sizeof(own.row[i])) == 0)
			own.row[i] = (struct recent_error){0};
}

static void copy(char *to, size_t size, struct slice from)
{
	size_t n = from.n < size - 1 ? from.n : size - 1;

	memcpy(to, from.p, n);
	to[n] = '\0';
}

static bool is_of(const struct recent_error *row, enum failure failure, unsigned status,
		  struct slice host)
{
	if (host.n > RECENT_HOST_MAX)
		host.n = RECENT_HOST_MAX;
	return row->count > 0 && row->failure == failure && row->status == status &&
	       slice_eq(slice_str(row->host), host);
}

/* The row of its kind, or the one whose last is longest ago. */
static struct recent_error *row_for(enum failure failure, unsigned status, struct slice host)
{
	struct recent_error *oldest = &own.row[0];

	for (struct recent_error *row = own.row; row < own.row + RECENT_ERRORS_MAX; row++) {
		if (is_of(row, failure, status, host))
			return row;
		if (row->last_ms < oldest->last_ms)
			oldest = row;
	}
	return oldest;
}

void recent_errors_add(enum failure failure, unsigned status,
		       const struct recent_error_names *names, int64_t now_ms)
{
	struct recent_error *row;
	uint64_t ticket;

	if (own.block == NULL)
		return;
	row = row_for(failure, status, names->host);
	if (!is_of(row, failure, status, names->host) ||
	    now_ms - row->last_ms > RECENT_ERRORS_GAP_MS) {
		*row = (struct recent_error){
			.failure = failure, .status = status, .first_ms = now_ms};
		copy(row->host, sizeof(row->host), names->host);
	}
	row->last_ms = now_ms;
	row->count++;
	copy(row->uri, sizeof(row->uri), names->uri);
	copy(row->detail, sizeof(row->detail), names->detail);
	ticket = atomic_load_explicit(&own.block->tickets, memory_order_relaxed) + 1;
	atomic_store_explicit(&own.block->tickets, ticket, memory_order_relaxed);
	shared_row_write(own.block->row[row - own.row], ticket, row, sizeof(*row));
}

/* ---- reading -------------------------------------------------------------------------------- */

/* The same of two workers is one, with the texts of the later. */
static bool join(struct recent_error *errors, unsigned count, const struct recent_error *row)
{
	for (struct recent_error *error = errors; error < errors + count; error++) {
		int64_t first_ms = error->first_ms;
		uint64_t sum = error->count + row->count;

		if (!is_of(error, row->failure, row->status, slice_str(row->host)))
			continue;
		if (row->last_ms > error->last_ms)
			*error = *row;
		error->count = sum;
		if (first_ms < error->first_ms)
			error->first_ms = first_ms;
		if (row->first_ms < error->first_ms)
			error->first_ms = row->first_ms;
		return true;
	}
	return false;
}

/* Among those that are kept, or in the place of the oldest of them. */
static unsigned put(struct recent_error *errors, unsigned count, const struct recent_error *row)
{
	struct recent_error *oldest = &errors[0];

	if (count < RECENT_ERRORS_MAX) {
		errors[count] = *row;
		return count + 1;
	}
	for (struct recent_error *error = errors; error < errors + count; error++)
		if (error->last_ms < oldest->last_ms)
			oldest = error;
	if (row->last_ms > oldest->last_ms)
		*oldest = *row;
	return count;
}

static void sort(struct recent_error *errors, unsigned count)
{
	for (unsigned i = 1; i < count; i++)
		for (unsigned j = i; j > 0 && errors[j].last_ms > errors[j - 1].last_ms; j--) {
			struct recent_error later = errors[j];

			errors[j] = errors[j - 1];
			errors[j - 1] = later;
		}
}

unsigned recent_errors_list(const struct recent_errors *blocks, unsigned count,
			    struct recent_error ret_errors[RECENT_ERRORS_MAX])
{
	unsigned found = 0;

	for (const struct recent_errors *block = blocks; block < blocks + count; block++)
		for (unsigned i = 0; i < RECENT_ERRORS_MAX; i++) {
			struct recent_error row;

			if (shared_row_ticket(block->row[i]) != 0 &&
			    shared_row_read(block->row[i], &row, sizeof(row)) != 0 &&
			    !join(ret_errors, found, &row))
				found = put(ret_errors, found, &row);
		}
	sort(ret_errors, found);
	return found;
}
