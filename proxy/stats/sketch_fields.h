/* What the sketch of hosts and URLs counts (sketch.h), and how many names have places. */
#ifndef PROXY_STATS_SKETCH_FIELDS_H
#define PROXY_STATS_SKETCH_FIELDS_H

enum {
	SKETCH_HOSTS = 128,
	SKETCH_URLS = 256,
	SKETCH_NAME_MAX = 256, /* bytes; what is longer is cut */
	SKETCH_SAMPLE = 16,
	SKETCH_SLICE_MS = 5000,
};

enum sketch_field {
	SKETCH_REQUESTS, /* by clients */
	SKETCH_HERE,     /* of these, answered without the origin */
	SKETCH_STALE,    /* of these, from a stale record */
	SKETCH_ASKED,    /* the origin answered, to a client or in the background */
	SKETCH_FAILURES, /* it did not, or not whole */
	SKETCH_BYTES,    /* sent to clients */
	SKETCH_FIELDS
};

#endif
