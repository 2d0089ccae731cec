/* Runs a fuzz target over files: the main() that libFuzzer brings when it is not there. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An input is copied to memory of exactly its size, so that a sanitizer sees an overrun. */
static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	long size;
	uint8_t *data;

	if (file == NULL || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0) {
		perror(path);
		exit(1);
	}
	rewind(file);
	data = malloc(size ? (size_t)size : 1);
	if (data == NULL || fread(data, 1, (size_t)size, file) != (size_t)size) {
		perror(path);
		exit(1);
	}
	fclose(file);
	if (getenv("REPLAY_VERBOSE"))
		fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
	return 1;
}

int main(int argc, char **argv)
{
	struct dirent **entries;
	int found, ran = 0;

	if (argc != 2 || (found = scandir(argv[1], &entries, NULL, alphasort)) < 0) {
		fprintf(stderr, "usage: %s CORPUS-DIRECTORY\n", argv[0]);
		return 2;
	}
	for (int i = 0; i < found; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", argv[1], entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			ran += replay_file(path);
		free(entries[i]);
	}
	free(entries);
	printf("%s: %d inputs replayed\n",
	       strrchr(argv[1], '/') ? strrchr(argv[1], '/') + 1 : argv[1], ran);
	return ran > 0 ? 0 : 1;
}
