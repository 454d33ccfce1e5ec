/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command set_tid: the PIDs in CRIU's images, which CRIU's own crit reads.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_IMAGES_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_IMAGES_HPP

#include "failure.hpp"
#include "inside.hpp"
#include "../fd.hpp"
#include "../pids.hpp"
#include "../shared.hpp"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <set>
#include <string>
#include <vector>

/* What crit says of a file, as JSON. Standard error is the user's. */
inline std::string crit_decode(const std::string &image)
{
	const Shared<std::atomic<int>> no_exec;
	int ends[2];
	std::string text;
	char part[4096];
	ssize_t n;
	int status;

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
		*no_exec = errno;
		_exit(1);
	}
	to.reset();
	while ((n = read(from.get(), part, sizeof(part))) > 0)
		text.append(part, n);
	if (const int error = wait_for(crit, &status))
		fail("cannot wait for crit", error);
	if (*no_exec == ENOENT)
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

struct ImagePids {
	/* Of processes and threads; of groups and sessions. */
	std::set<pid_t> own, others;
	/* Those of the others that belong to the shell that all was started from. */
	std::set<pid_t> outside;

	/* What the JSON has of one process. */
	void add(const std::string &json)
	{
		std::set<pid_t> pid, parent, session, group;

		numbers_of(json, "pid", pid);
		numbers_of(json, "ppid", parent);
		numbers_of(json, "sid", session);
		numbers_of(json, "pgid", group);
		numbers_of(json, "threads", own);
		own.insert(pid.begin(), pid.end());
		others.insert(session.begin(), session.end());
		others.insert(group.begin(), group.end());
		/* A first process that leads no session: CRIU gives it one (--shell-job). */
		if (parent.empty() && !session.empty() && session != pid) {
			outside.insert(session.begin(), session.end());
			outside.insert(group.begin(), group.end());
		}
	}
	std::set<pid_t> all() const
	{
		std::set<pid_t> all = own;

		std::set_difference(others.begin(), others.end(), outside.begin(), outside.end(),
				    std::inserter(all, all.end()));
		return all;
	}
};

/* A request of --check. */
struct Wanted {
	Pids pids;
	bool leads_only = false; /* of a group or session whose first process has gone */
};

/*
 * A request for each PID that a restore of these images needs: of processes and threads,
 * and of the groups and sessions whose first process has gone.
 */
inline std::vector<Wanted> read_criu_images(const std::string &directory)
{
	const std::string image = directory + "/pstree.img";
	std::string json;
	ImagePids pids;
	std::vector<Wanted> requests;

	if (access(image.c_str(), R_OK))
		fail("cannot read " + image, errno);
	for (char c : crit_decode(image))
		if (!strchr(" \t\r\n", c))
			json += c;
	/* Each process by itself: they begin with their PID. */
	static const std::string start = "{\"pid\":";
	for (size_t at = json.find(start), next; at != json.npos; at = next) {
		next = json.find(start, at + 1);
		pids.add(json.substr(at, next - at));
	}
	const std::set<pid_t> numbers = pids.all();
	if (numbers.empty())
		fail(image + " has no PIDs");
	requests.reserve(numbers.size());
	for (pid_t number : numbers)
		requests.push_back({ { number }, !pids.own.count(number) });
	return requests;
}

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_IMAGES_HPP */
