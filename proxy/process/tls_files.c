/* Certificate, key and authorities of TLS with clients, from their files. */
#include "proxy/process/tls_files.h"

#include "proxy/loop/tls_server.h"
#include "proxy/process/secret_file.h"

enum { PEM_MAX = 1 << 20 };

/* One file; an option without one is an empty text. */
struct file {
	struct tls_pem pem;
	char *text;
	size_t size;
};

static bool read_file(const char *option, const char *path, bool is_secret, struct file *to,
		      struct diagnostic *error)
{
	struct diagnostic why;

	*to = (struct file){.pem = {.name = path}};
	if (path[0] == '\0')
		return true;
	to->text = secret_file_read(path, PEM_MAX, is_secret, &to->size, &why);
	to->pem.text = slice_of(to->text, to->size);
	if (to->text == NULL)
		diagnostic_set(error, "%s: %s: %s", option, path, why.text);
	return to->text != NULL;
}

struct tls_server *tls_files_load(const struct conf *conf, struct diagnostic *error)
{
	struct file certificate = {.size = 0}, key = {.size = 0}, client_ca = {.size = 0};
	struct tls_server *server = NULL;

	if (read_file("tls_certificate", conf->tls_certificate, false, &certificate, error) &&
	    read_file("tls_key", conf->tls_key, true, &key, error) &&
	    read_file("tls_client_ca", conf->tls_client_ca, false, &client_ca, error))
		server = tls_server_new(&certificate.pem, &key.pem, &client_ca.pem, error);
	secret_file_free(certificate.text, certificate.size);
	secret_file_free(key.text, key.size);
	secret_file_free(client_ca.text, client_ca.size);
	return server;
}
