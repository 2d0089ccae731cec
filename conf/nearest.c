/* How many letters are between two names. */
#include "conf/nearest.h"

#include <string.h>

enum { NAME_MAX_LENGTH = 64 };

/* Letters to insert, delete or replace to make `a` from `b`; both shorter than NAME_MAX_LENGTH. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_LENGTH], length = strlen(b);

	for (size_t j = 0; j <= length; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 1; j <= length; j++) {
			size_t least = diagonal + (a[i] != b[j - 1]);

			if (row[j] + 1 < least)
				least = row[j] + 1;
			if (row[j - 1] + 1 < least)
				least = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = least;
		}
	}
	return row[length];
}

struct nearest nearest_to(const char *name)
{
	size_t length = strlen(name);

	return (struct nearest){
		.name = name,
		.least = length < NAME_MAX_LENGTH ? length / 3 + 1 : 0,
	};
}

bool nearest_is(struct nearest *nearest, const char *candidate)
{
	size_t distance;

	if (nearest->least == 0 || strlen(candidate) >= NAME_MAX_LENGTH)
		return false;
	distance = edit_distance(nearest->name, candidate);
	if (distance >= nearest->least)
		return false;
	nearest->least = distance;
	return true;
}
