/* Connections by client address. */
#include "proxy/peers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define uthash_fatal(message) ((void)0) /* see uthash_nonfatal_oom */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(entry) ((entry)->count = 0)
#include "cache/table.h"

struct peer_key {
	unsigned char bytes[8]; /* an IPv4 address, or the first half of an IPv6 one */
	uint16_t family;
	uint16_t none[3]; /* no padding: the key is compared as bytes */
};

struct peer {
	struct peer_key key;
	unsigned count;
	UT_hash_handle hh;
};

struct peers {
	unsigned most;
	struct peer *by_key;
};

struct peers *peers_new(unsigned most)
{
	struct peers *peers = calloc(1, sizeof(*peers));

	if (peers != NULL)
		peers->most = most;
	return peers;
}

void peers_free(struct peers *peers)
{
	struct peer *peer, *next;

	if (peers == NULL)
		return;
	HASH_ITER(hh, peers->by_key, peer, next)
	{
		HASH_DEL(peers->by_key, peer);
		free(peer);
	}
	free(peers);
}

static struct peer_key key_of(const union address *address)
{
	union address plain = address_unmapped(address);
	struct peer_key key = {.family = plain.any.sa_family};

	memcpy(key.bytes, address_bytes(&plain), plain.any.sa_family == AF_INET ? 4 : 8);
	return key;
}

static struct peer *find(struct peers *peers, const struct peer_key *key)
{
	struct peer *peer;

	HASH_FIND(hh, peers->by_key, key, sizeof(*key), peer);
	return peer;
}

bool peers_enter(struct peers *peers, const union address *address)
{
	struct peer_key key = key_of(address);
	struct peer *peer = find(peers, &key);

	if (peer != NULL)
		return peer->count < peers->most && ++peer->count > 0;
	peer = calloc(1, sizeof(*peer));
	if (peer == NULL)
		return false;
	peer->key = key;
	peer->count = 1;
	HASH_ADD(hh, peers->by_key, key, sizeof(key), peer);
	if (peer->count == 0) { /* there was no memory for the table */
		free(peer);
		return false;
	}
	return true;
}

void peers_leave(struct peers *peers, const union address *address)
{
	struct peer_key key = key_of(address);
	struct peer *peer = find(peers, &key);

	assert(peer != NULL && peer->count > 0);
	if (--peer->count > 0)
		return;
	HASH_DEL(peers->by_key, peer);
	free(peer);
}
