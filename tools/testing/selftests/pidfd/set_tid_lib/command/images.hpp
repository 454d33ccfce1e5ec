/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command set_tid: the PIDs in CRIU's images, which CRIU's own crit reads.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_IMAGES_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_IMAGES_HPP

#include "failure.hpp"
#include "../fd.hpp"
#include "../pids.hpp"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

/* What crit says of a file, as JSON. Standard error is the user's. */
inline std::string crit_decode(const std::string &image)
{
	int ends[2];
	std::string text;
	char part[4096];
	ssize_t n;
	int status = 0;

	if (pipe2(ends, O_CLOEXEC))
		fail("cannot create a pipe", errno);
	const Fd from(ends[0]);
	Fd to(ends[1]);
	const pid_t crit = fork();
	if (crit < 0)
		fail("cannot create a process", errno);
	if (!crit) {
		dup2(to.get(), STDOUT_FILENO);
		execlp("crit", "crit", "decode", "-i", image.c_str(), nullptr);
		_exit(errno == ENOENT ? 127 : 126);
	}
	to.reset();
	while ((n = read(from.get(), part, sizeof(part))) > 0)
		text.append(part, n);
	pid_t ended;
	do
		ended = waitpid(crit, &status, 0);
	while (ended < 0 && errno == EINTR);
	if (ended < 0)
		fail("cannot wait for crit", errno);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		fail("--criu-images needs crit, which comes with CRIU");
	if (status)
		fail("crit cannot read " + image);
	return text;
}

/* The numbers that follow a key in JSON without spaces: one, or an array of them. */
inline void numbers_of(const std::string &json, const std::string &key, std::set<pid_t> &numbers)
{
	const std::string quoted = "\"" + key + "\":";

	for (size_t at = 0; (at = json.find(quoted, at)) != json.npos;) {
		at += quoted.size();
		const char *pos = json.c_str() + at + (json[at] == '[');
		char *end;

		for (;;) {
			const long number = strtol(pos, &end, 10);

			if (end == pos)
				break;
			/* 0 stands for what was outside of the tree that was dumped. */
			if (number > 0)
				numbers.insert(number);
			if (*end != ',' || json[at] != '[')
				break;
			pos = end + 1;
		}
	}
}

/*
 * The PIDs of one process in the JSON: its own and those of its threads, and those of
 * its group and session. The latter two of the first process belong to the shell that it
 * was started from, unless it leads the session: CRIU gives it others (--shell-job).
 */
inline void add_process(const std::string &json, std::set<pid_t> &own,
			std::pair<std::set<pid_t>, std::set<pid_t>> &others)
{
	std::set<pid_t> pid, parent, session;

	numbers_of(json, "pid", pid);
	numbers_of(json, "ppid", parent);
	numbers_of(json, "sid", session);
	own.insert(pid.begin(), pid.end());
	numbers_of(json, "threads", own);
	numbers_of(json, "pgid", others.first);
	numbers_of(json, "sid", others.first);
	if (parent.empty() && !session.empty() && session != pid) {
		numbers_of(json, "pgid", others.second);
		numbers_of(json, "sid", others.second);
	}
}

/*
 * A request for each PID that a restore of these images needs: of processes and threads,
 * and of the groups and sessions whose first process has gone.
 */
inline std::vector<Pids> read_criu_images(const std::string &directory)
{
	const std::string image = directory + "/pstree.img";
	std::string json;
	std::set<pid_t> own, numbers;
	std::pair<std::set<pid_t>, std::set<pid_t>> others;
	std::vector<Pids> requests;

	if (access(image.c_str(), R_OK))
		fail("cannot read " + image, errno);
	for (char c : crit_decode(image))
		if (!strchr(" \t\r\n", c))
			json += c;
	/* Each process by itself: they begin with their PID. */
	static const std::string start = "{\"pid\":";
	for (size_t at = json.find(start), next; at != json.npos; at = next) {
		next = json.find(start, at + 1);
		add_process(json.substr(at, next - at), own, others);
	}
	for (pid_t other : others.second)
		if (!own.count(other))
			others.first.erase(other);
	numbers = own;
	numbers.insert(others.first.begin(), others.first.end());
	if (numbers.empty())
		fail(image + " has no PIDs");
	requests.reserve(numbers.size());
	for (pid_t number : numbers)
		requests.push_back({ number });
	return requests;
}

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_IMAGES_HPP */
