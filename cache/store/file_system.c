/* Local or network, by the file system's type. */
#include "cache/store/file_system.h"

#include <stdio.h>
#include <sys/vfs.h>

struct file_system file_system_of_type(uint32_t type)
{
	static const struct {
		uint32_t type;
		struct file_system is;
	} all[] = {
#define FILE_SYSTEM(id, type, name, fit) {type, {FILE_SYSTEM_##fit, name}},
#include "cache/store/file_systems.def"
#undef FILE_SYSTEM
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].type == type)
			return all[i].is;
	return (struct file_system){FILE_SYSTEM_LOCAL, ""};
}

enum file_system_fit file_system_check(int directory, const char *path, struct diagnostic *text)
{
	struct file_system on = {FILE_SYSTEM_LOCAL, ""};
	struct statfs is;

	diagnostic_clear(text);
	/* f_type is signed and wider on some architectures: its 32 bits are what counts */
	if (fstatfs(directory, &is) == 0)
		on = file_system_of_type((uint32_t)is.f_type);
	if (on.fit == FILE_SYSTEM_NETWORK)
		diagnostic_set(
			text,
			"store: %s: is on %s, which other machines may share, and a store cannot: "
			"give the option a directory on a disk of this machine or on a tmpfs",
			path, on.name);
	else if (on.fit == FILE_SYSTEM_UNKNOWN)
		diagnostic_set(
			text,
			"store: %s: is on %s: if other machines share that, the store may be "
			"damaged, and an invalidated response be used",
			path, on.name);
	return on.fit;
}
