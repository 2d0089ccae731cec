/*
 * Who holds how many of what, over all processes of a service: a table of counts by key in memory
 * shared over fork(), robust against the death of any of them at any moment.
 *
 * Each process counts in a block of its own and only reads those of others; what all hold is the
 * sum over the blocks.  So a process that is killed leaves no lock and nothing half done, and what
 * it held is given back by clearing its block, which the master does once the kernel has closed its
 * descriptors.
 *
 * Keys are hashes that no peer can choose (budgets.h makes them); two things with one key would be
 * counted as one.  Cost: a few cache lines for each process, no lock, no allocation.
 */
#ifndef PROXY_LIMITS_HOLDINGS_H
#define PROXY_LIMITS_HOLDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct holdings;
struct holdings_row; /* the count of a key in the caller's block, while that is not 0 */

/*
 * Blocks for so many processes, of `most` keys each that are held at one time.  Lives as long as
 * the process and those forked from it; memory is taken as it is used.  NULL on failure.
 */
struct holdings *holdings_map(unsigned blocks, size_t most);

/* For tests, which have more than one in a process. */
void holdings_unmap(struct holdings *holdings);

/*
 * Count one more of `key` (not 0) in the caller's block.  NULL, and not counted, when that is more
 * than `most_here` in this block or `most_all` in all, or there is no room for another key.  Two
 * processes that take the last one at the same moment may both be refused, never both succeed.
 */
struct holdings_row *holdings_take(struct holdings *holdings, unsigned block, uint64_t key,
				   uint32_t most_here, uint32_t most_all);

/* One less, of those that were taken. */
void holdings_give(struct holdings_row *row);

/* How many are held, by one process and by all. */
uint32_t holdings_here(const struct holdings *holdings, unsigned block, uint64_t key);
uint32_t holdings_all(const struct holdings *holdings, uint64_t key);

/* Its owner has died: it holds nothing any more. */
void holdings_clear(struct holdings *holdings, unsigned block);

/* Keys that are held in a block: for tests, which look whether all was given back. */
size_t holdings_count(const struct holdings *holdings, unsigned block);

#endif
