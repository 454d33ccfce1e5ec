/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Refused requests, as the trace event reports them.
 */
#ifndef SET_TID_LIB_TRACE_HPP
#define SET_TID_LIB_TRACE_HPP

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "file.hpp"

/*
 * One refused request, as the trace event set_tid_refused reports it. All of the
 * line after "holder_comm=" is a name, also what looks like another field.
 */
class Refused {
public:
	Refused(pid_t caller, std::string line)
		: caller_(caller), line_(std::move(line)), fields_(line_.find(comm_key))
	{
	}

	/* In the initial PID namespace. */
	pid_t caller() const { return caller_; }
	/* "level=0 ns=...", down to the holder's name. */
	const std::string &line() const { return line_; }

	/* The value of a field, "" if there is none. */
	std::string text(const std::string &key) const
	{
		const std::string fields = " " + line_.substr(0, fields_);
		const size_t at = fields.find(" " + key + "=");

		if (at == fields.npos)
			return "";
		const size_t value = at + key.size() + 2;
		return fields.substr(value, fields.find(' ', value) - value);
	}
	long number(const std::string &key) const { return atol(text(key).c_str()); }
	/* Not printable ASCII, spaces and backslashes are \xHH there already. */
	std::string holder_comm() const
	{
		return fields_ == line_.npos ? "" : line_.substr(fields_ + comm_key.size());
	}

private:
	static constexpr std::string_view comm_key = " holder_comm=";

	pid_t caller_;
	std::string line_;
	size_t fields_;
};

/*
 * The requests that the kernel refuses from now on: the trace event
 * set_tid_refused, in a tracefs instance of its own, which is removed at the end of
 * the scope. It reports those of all callers, unless only() is called. That is a
 * filter and not set_event_pid, which turns on events of the scheduler: not all
 * emulators can take that.
 */
class RefusalTrace {
public:
	RefusalTrace() : dir_(tracefs() + ("/instances/set_tid." + std::to_string(getpid())))
	{
		if (access((tracefs() + std::string("/events/set_tid")).c_str(), F_OK)) {
			missing_ =
				"needs a kernel with the trace event set_tid_refused, and tracefs";
			return;
		}
		if (mkdir(dir_.c_str(), 0700)) {
			missing_ = "needs the right to make an instance in tracefs";
			return;
		}
		made_ = true;
		if (write_file(event("enable"), "1"))
			missing_ = "needs the right to trace";
	}
	RefusalTrace(const RefusalTrace &) = delete;
	~RefusalTrace()
	{
		if (made_)
			rmdir(dir_.c_str());
	}

	/* Why it reports nothing, or a null pointer. */
	const char *missing() const { return missing_; }

	/* From now on it reports one caller only, so others cannot fill its buffer. */
	int only(pid_t caller) const
	{
		return write_file(event("filter"), "common_pid == " + std::to_string(caller));
	}

	/*
	 * Each refused request since the last time, of everybody or of one caller, by its
	 * PID in the initial PID namespace.
	 */
	std::vector<Refused> take(pid_t caller = 0)
	{
		std::vector<Refused> reported = parse(read_file(dir_ + "/trace"));

		close(open((dir_ + "/trace").c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
		if (caller)
			std::erase_if(reported, [&](const Refused &refused) {
				return refused.caller() != caller;
			});
		return reported;
	}

	/*
	 * "COMM-PID [CPU] FLAGS TIME: set_tid_refused: FIELDS", with "(TGID)" before the
	 * CPU if that is asked for. Of the caller's name nothing is escaped: it may be
	 * empty, look like a PID, or break the line. It is too short to have the
	 * event's name in it, and nothing behind it has a " [" but the CPU.
	 */
	static std::vector<Refused> parse(const std::string &text)
	{
		static constexpr std::string_view name = ": set_tid_refused: ";
		std::istringstream trace(text);
		std::vector<Refused> reported;

		for (std::string line; std::getline(trace, line);) {
			const size_t at = line.find(name);

			if (at != line.npos)
				reported.emplace_back(caller_in(line.substr(0, at)),
						      line.substr(at + name.size()));
		}
		return reported;
	}

private:
	static pid_t caller_in(const std::string &prefix)
	{
		/* Without the CPU, and without the thread group. */
		std::string_view task = std::string_view(prefix).substr(0, prefix.rfind(" ["));

		if (task.ends_with(')'))
			task = task.substr(0, task.rfind('('));
		return atoi(prefix.c_str() + task.rfind('-') + 1);
	}

	std::string event(const char *file) const
	{
		return dir_ + "/events/set_tid/set_tid_refused/" + file;
	}

	static std::string tracefs()
	{
		const std::string mounted = "/sys/kernel/tracing";

		return access((mounted + "/events").c_str(), F_OK) ? "/sys/kernel/debug/tracing" :
								     mounted;
	}

	std::string dir_;
	bool made_ = false;
	const char *missing_ = nullptr;
};

namespace need
{
inline const char *trace()
{
	return RefusalTrace().missing();
}
} // namespace need

#endif /* SET_TID_LIB_TRACE_HPP */
