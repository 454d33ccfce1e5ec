/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What /proc shows of PIDs.
 */
#ifndef SET_TID_LIB_PROC_HPP
#define SET_TID_LIB_PROC_HPP

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <string>

#include "fd.hpp"
#include "file.hpp"
#include "pids.hpp"
#include "process.hpp"

/*
 * The PIDs on a line of /proc/<pid>/status or of a pidfd's fdinfo, such as "NSpid:", from
 * the innermost namespace out to the one that /proc belongs to. A name cannot fake the
 * line: the kernel escapes its newlines.
 */
inline Pids pids_in(const std::string &text, const std::string &key)
{
	const size_t at = text.find("\n" + key);
	Pids pids;

	if (at == text.npos)
		return pids;
	const char *pos = text.c_str() + at + key.size() + 1;
	while (*pos == '\t' || *pos == ' ') {
		char *end;
		const long pid = strtol(pos, &end, 10);

		if (end == pos)
			break;
		pids.insert(pids.begin(), pid);
		pos = end;
	}
	return pids;
}

/* The value of a line of /proc/PID/status, without the blanks around it. */
inline std::string field(const std::string &status, const std::string &key)
{
	const size_t at = status.find("\n" + key + ":");

	if (at == status.npos)
		return "";
	const size_t begin = status.find_first_not_of(" \t", at + key.size() + 2);
	if (begin == status.npos)
		return "";
	return status.substr(begin, status.find('\n', begin) - begin);
}

inline Pids nspids(const std::string &path)
{
	return pids_in(read_file(path), "NSpid:");
}

inline Pids nspids(const Fd &pidfd)
{
	return nspids("/proc/self/fdinfo/" + std::to_string(pidfd.get()));
}

inline Pids nspids(const Child &child)
{
	return nspids(child.pidfd());
}

inline Pids nspids_of_self()
{
	return nspids("/proc/thread-self/status");
}

/* The numbers in a directory of /proc. False: it cannot be read, although it is there. */
inline bool numbers_in(const std::string &path, Pids &numbers)
{
	DIR *dir = opendir(path.c_str());

	if (!dir)
		return errno == ENOENT || errno == ESRCH;
	errno = 0;
	while (const struct dirent *entry = readdir(dir))
		if (isdigit(static_cast<unsigned char>(entry->d_name[0])))
			numbers.push_back(atoi(entry->d_name));
	const bool whole = !errno || errno == ENOENT || errno == ESRCH;
	closedir(dir);
	return whole;
}

/*
 * Whether a process, a thread, a process group or a session has this PID, in the caller's
 * namespace. F_SETOWN looks the number up and asks for nothing else: it also finds what
 * kill() does not, a session's PID, and one whose last holder is about to free it. Without
 * a descriptor to spare it is kill().
 */
inline bool pid_in_use(pid_t pid)
{
	const Fd any(eventfd(0, EFD_CLOEXEC));

	if (any.valid())
		return !fcntl(any.get(), F_SETOWN, pid) || errno != ESRCH;
	return !kill(pid, 0) || errno != ESRCH || !kill(-pid, 0) || errno != ESRCH;
}

/*
 * The state of the process or thread that a /proc/.../stat is of, as its letter there,
 * or 0. The name before it is any bytes, ") Z (" as well; no ")" comes after it.
 */
inline char state_in(const std::string &path)
{
	const std::string stat = read_file(path);
	const size_t at = stat.rfind(") ");

	return at == stat.npos || at + 2 >= stat.size() ? 0 : stat[at + 2];
}

inline long pid_max()
{
	return read_number("/proc/sys/kernel/pid_max");
}

/* The last automatic PID in the caller's namespace, or -1. */
inline long last_pid()
{
	return read_number("/proc/sys/kernel/ns_last_pid");
}

inline int set_last_pid(pid_t pid)
{
	return write_file("/proc/sys/kernel/ns_last_pid", std::to_string(pid));
}

/* The lowest automatic PID in the caller's namespace, or -1. */
inline long pid_min()
{
	return read_number("/proc/sys/kernel/pid_min");
}

inline int set_pid_min(pid_t pid)
{
	return write_file("/proc/sys/kernel/pid_min", std::to_string(pid));
}

/*
 * A PID that is free in the caller's namespace, and far from the next automatic
 * ones. Each call returns another one; 0 if all are in use.
 */
inline pid_t find_free_pid()
{
	/* Lower ones belong to the machine's first processes. */
	constexpr long lowest = 301;
	static long offset;
	const long count = pid_max() - lowest;

	for (long tried = 0; tried < count; tried++) {
		const pid_t pid = lowest + (last_pid() + count / 2 + offset++) % count;

		if (!pid_in_use(pid))
			return pid;
	}
	return 0;
}

/* Inode number of a process's PID namespace, or 0. */
inline unsigned long pid_ns_inode(pid_t pid)
{
	struct stat st = {};

	return stat(("/proc/" + std::to_string(pid) + "/ns/pid").c_str(), &st) ? 0 : st.st_ino;
}

#endif /* SET_TID_LIB_PROC_HPP */
