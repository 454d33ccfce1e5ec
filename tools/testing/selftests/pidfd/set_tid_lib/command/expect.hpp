/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For the tests of the command set_tid: what it prints, in words and in JSON, and its
 * exit status. Include kselftest_harness.h before.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_EXPECT_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_EXPECT_HPP

#include "run.hpp"
#include "../harness.hpp"
#include "../pids.hpp"
#include "../proc.hpp"
#include "../requirement.hpp"

#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

inline std::string str(long number)
{
	return std::to_string(number);
}

/*
 * JSON. All text here is printable ASCII.
 */

inline std::string quoted(const std::string &text)
{
	std::string json = "\"";

	for (char c : text)
		json.append(c == '"' || c == '\\' ? "\\" : "").append(1, c);
	return json + '"';
}

/* The line for a failure. */
inline std::string failed(const std::string &message, const std::string &error,
			  const std::string &explanation = "null")
{
	return "{\"result\":\"failed\",\"message\":" + quoted(message) + ",\"errno\":" + error +
	       ",\"explanation\":" + explanation + "}\n";
}

/* One level in the line for a report. */
inline std::string level(int number, const std::string &requested, const std::string &got)
{
	return "{\"level\":" + str(number) + ",\"requested\":" + requested + ",\"got\":" + got +
	       "}";
}

/* The line for a report, without times. */
inline std::string created(const std::string &levels, int prepared_namespaces)
{
	return "{\"result\":\"created\",\"pids\":[" + levels +
	       "],\"prepared_namespaces\":" + str(prepared_namespaces) +
	       ",\"prepare_ns\":N,\"clone3_ns\":N,\"read_ns\":N}\n";
}

/* With N for each time. */
inline std::string without_times(std::string json)
{
	static constexpr std::string_view key = "_ns\":";

	for (size_t at = 0; (at = json.find(key, at)) != json.npos;) {
		at += key.size();
		const size_t end = json.find_first_not_of("0123456789", at);

		if (end > at)
			json.replace(at, end - at, "N");
	}
	return json;
}

inline std::string holder_json(const std::string &kind, pid_t pid, pid_t tgid,
			       const std::string &comm)
{
	return "{\"kind\":" + quoted(kind) + ",\"pid\":" + str(pid) + ",\"tgid\":" + str(tgid) +
	       ",\"comm\":" + quoted(comm) + "}";
}

/*
 * What --explain adds
 */

struct Why {
	int level;
	pid_t in_ns; /* a process in the namespace */
	std::string pid; /* "" for an automatic one */
	std::string reason;
	std::string text;
	std::string holder = "null";

	std::string ns() const { return std::to_string(pid_ns_inode(in_ns)); }

	std::string line() const
	{
		return "level " + str(level) + ", namespace " + ns() + ", " +
		       (pid.empty() ? "automatic PID" : "PID " + pid) + ": " + text;
	}
	std::string json() const
	{
		return "{\"level\":" + str(level) + ",\"namespace\":" + ns() +
		       ",\"pid\":" + (pid.empty() ? "null" : pid) +
		       ",\"reason\":" + quoted(reason) + ",\"holder\":" + holder +
		       ",\"text\":" + quoted(text) + "}";
	}
};

/* What is on stderr then, but for "set_tid: " at its start and the end of the last line. */
inline std::string explained(const std::string &message, const std::string &error, const Why &why)
{
	return message + " (" + error + ")\nset_tid: " + why.line();
}

/* The command ends like this, and this is all that it prints: on stdout, on stderr. */
#define EXPECT_SAYS_JSON(exit_status, json, says, command)                     \
	do {                                                                   \
		const Ran ran_ = (command).run();                              \
		EXPECT_TEXT("set_tid: " + std::string(says) + "\n", ran_.err); \
		EXPECT_TEXT(json, ran_.out);                                   \
		EXPECT_EQ(exit_status, ran_.status);                           \
	} while (0)
#define EXPECT_SAYS(exit_status, says, command) EXPECT_SAYS_JSON(exit_status, "", says, command)

/* It has not run its command. */
#define EXPECT_REFUSED(says, command) EXPECT_SAYS(125, says, command)

/*
 * A request is refused, and --explain prints why: with --json on stdout as well. The
 * optional argument is what is done to the Command before it runs.
 */
#define EXPECT_EXPLAINED(says, error, why, args, ...)                                    \
	do {                                                                             \
		const std::string says_ = (says), error_ = (error);                      \
		const Why &why_ = (why);                                                 \
		const std::string line_ = explained(says_, error_, why_);                \
		std::vector<std::string> args_ = args;                                   \
		args_.insert(args_.begin(), "--explain");                                \
		EXPECT_REFUSED(line_, Command(args_) __VA_ARGS__);                       \
		args_.insert(args_.begin(), "--json");                                   \
		EXPECT_SAYS_JSON(125, failed(says_, quoted(error_), why_.json()), line_, \
				 Command(args_) __VA_ARGS__);                            \
	} while (0)

#define EXPECT_IN_USE(in_use, text, holder)                                                     \
	do {                                                                                    \
		const std::string pid_ = str(in_use);                                           \
		const std::vector<std::string> request_ = { "--pid", pid_, "--", "true" };      \
		EXPECT_EXPLAINED("level 0: PID " + pid_ + " is in use", "EEXIST",               \
				 (Why{ 0, getpid(), pid_, "in-use", text, holder }), request_); \
	} while (0)

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_EXPECT_HPP */
