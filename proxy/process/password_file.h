/* The password file, from which credentials are made.  It is read once. */
#ifndef PROXY_PROCESS_PASSWORD_FILE_H
#define PROXY_PROCESS_PASSWORD_FILE_H

#include "cache/base/diagnostic.h"
#include "proxy/access/credentials.h"

enum { PASSWORD_FILE_MAX = 64 << 20 };

/*
 * The users of a file of at most PASSWORD_FILE_MAX bytes; credentials_free() frees them.  NULL with
 * a line "FILE:LINE: what" or "FILE: what" in `error`: also when everybody may read the file.
 */
struct credentials *password_file_load(const char *path, struct diagnostic *error);

#endif
