/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whole files at once: those of /proc, /sys and cgroups are short.
 * Functions that can fail return 0 or an errno, unless they say otherwise.
 */
#ifndef SET_TID_LIB_FILE_HPP
#define SET_TID_LIB_FILE_HPP

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "fd.hpp"

/* The whole file, but not more than so many bytes, or as much of it as could be read. */
inline std::string read_start(const std::string &path, size_t most, int dir = AT_FDCWD)
{
	const Fd file(openat(dir, path.c_str(), O_RDONLY | O_CLOEXEC));
	std::string text;
	char part[512];
	ssize_t n;

	while (most && (n = read(file.get(), part, std::min(sizeof(part), most))) > 0) {
		text.append(part, n);
		most -= n;
	}
	return text;
}

/* The whole file, or as much of it as could be read. */
inline std::string read_file(const std::string &path, int dir = AT_FDCWD)
{
	return read_start(path, SIZE_MAX, dir);
}

inline int write_file(const std::string &path, std::string_view text, int dir = AT_FDCWD)
{
	const Fd file(openat(dir, path.c_str(), O_WRONLY | O_CLOEXEC));

	if (!file.valid() || write(file.get(), text.data(), text.size()) < 0)
		return errno;
	return 0;
}

/* The number a file starts with, or -1. */
inline long read_number(const std::string &path)
{
	const std::string text = read_file(path);

	return text.empty() ? -1 : strtol(text.c_str(), nullptr, 10);
}

#endif /* SET_TID_LIB_FILE_HPP */
