/* The version, given by the Makefile. */
#ifndef PROXY_BASE_VERSION_H
#define PROXY_BASE_VERSION_H

#ifndef CACHE204_VERSION
#define CACHE204_VERSION "0.2.0"
#endif

#endif
