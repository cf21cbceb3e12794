// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A pretended kernel, of the release RELEASE: put before libc by LD_PRELOAD, it notes what would be loaded and unloaded,
 * and does neither.
 * The notes go to /tmp/kernel.log: "insert PATH PARAMETERS", "insert - PARAMETERS", "delete NAME FLAGS".
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

static int note(const char *format, const char *name, const char *parameters)
{
	int log = open("/tmp/kernel.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

	if (log < 0)
		return -1;
	dprintf(log, format, name, parameters);
	return close(log);
}

int uname(struct utsname *name)
{
	memset(name, 0, sizeof(*name));
	strcpy(name->sysname, "Linux");
	strcpy(name->machine, "x86_64");
	strcpy(name->release, RELEASE);
	return 0;
}

int init_module(void *image, unsigned long size, const char *parameters)
{
	return note("insert %s %s\n", "-", parameters);
}

int finit_module(int fd, const char *parameters, int flags)
{
	char link[32], path[4096];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0)
		return -1;
	path[length] = 0;
	return note("insert %s %s\n", path, parameters);
}

int delete_module(const char *name, unsigned int flags)
{
	return note("delete %s%s\n", name, "");
}

long syscall(long number, ...)
{
	static long (*real)(long, ...);
	long word[6];
	va_list words;

	va_start(words, number);
	for (int index = 0; index < 6; index++)
		word[index] = va_arg(words, long);
	va_end(words);
	if (number == SYS_finit_module)
		return finit_module((int)word[0], (const char *)word[1], (int)word[2]);
	if (!real)
		real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	return real(number, word[0], word[1], word[2], word[3], word[4], word[5]);
}
