/*
 * The programs that `cache204 env` knows (programs.def).
 */
#ifndef PROXY_CLI_PROGRAMS_H
#define PROXY_CLI_PROGRAMS_H

#include <stddef.h>

/* The name of one, from 0 on; NULL behind the last. */
const char *program_name(size_t index);

#endif
