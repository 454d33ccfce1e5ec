/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A workload that CRIU dumps and restores.
 */
#ifndef SET_TID_LIB_CRIU_SUBJECT_HPP
#define SET_TID_LIB_CRIU_SUBJECT_HPP

#include "processes.hpp"
#include "workload.hpp"
#include "../clock.hpp"
#include "../fd.hpp"
#include "../file.hpp"
#include "../pidns.hpp"
#include "../process.hpp"
#include "../request.hpp"
#include "../spawn.hpp"
#include "../syscall.hpp"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

inline constexpr char criu[] = "/usr/sbin/criu";

/* A descriptor that CRIU is to inherit has this number. */
constexpr int inherited_fd = 33;

/*
 * Runs it; its log goes to images/log. Returns its status, or -1 if it was killed.
 * terminal, inherited: null pointers if there are none.
 */
inline int run_criu(const std::string &images, std::vector<std::string> args, const Fd *terminal,
		    const Fd *inherited)
{
	Spawned c = run_in_child([&] {
		const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
		std::vector<char *> argv = { const_cast<char *>(criu) };
		const std::string log = args[0] + ".log";

		args.insert(args.end(), { "-v4", "-D", images, "-o", log });
		for (std::string &arg : args)
			argv.push_back(arg.data());
		argv.push_back(nullptr);
		dup2((terminal ? *terminal : null).get(), 0);
		dup2(null.get(), 1);
		dup2(null.get(), 2);
		if (inherited)
			dup2(inherited->get(), inherited_fd);
		execv(criu, argv.data());
		return 127;
	});
	return c.error ? -1 : c.child.wait().code;
}

/* The lines of a log with a text in them, without the time that each starts with. */
inline std::vector<std::string> lines_with(const std::string &log, const std::string &text)
{
	std::ifstream file(log);
	std::vector<std::string> lines;

	for (std::string line; std::getline(file, line);)
		if (line.find(text) != line.npos)
			lines.push_back(line.substr(std::min(line.size(), line.find(") ") + 2)));
	return lines;
}

inline std::string first_line_with(const std::string &log, const std::string &text)
{
	const std::vector<std::string> lines = lines_with(log, text);

	return lines.empty() ? "nothing about it" : lines[0];
}

/*
 * A workload, from its start to the end of the last of its processes. Without a
 * terminal it has a session of its own. In a PID namespace that was there before, it is
 * restored into that: pod is the namespace's init then.
 */
class Subject {
public:
	explicit Subject(const std::string &name, const Fd *terminal = nullptr,
			 const Child *pod = nullptr)
		: terminal_(terminal)
	{
		char dir[] = "/tmp/set_tid_criu.XXXXXX";
		auto become = [&] {
			prctl(PR_SET_PDEATHSIG, 0);
			return exec_workload(name);
		};

		/* What loses its parent becomes a child of the test. */
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		dir_ = mkdtemp(dir) ? dir : "";
		std::optional<ChildrenIn> scope;
		if (pod) {
			ns_ = open_ns(*pod);
			external_ = "pid[" + std::to_string(pid_ns_inode(pod->pid())) + "]:pod";
			scope.emplace(ns_);
		}
		Spawned c = Request{}.flags(workloads.at(name).flags).spawn(become);
		error_ = c.error;
		first_ = c.child.pid();
		while (!error_ && access(ready().c_str(), F_OK))
			error_ = exits_within(c.child, 10) ? ECHILD : 0;
		/* It is dumped by its PID, and another one comes back. */
		c.child.release();
	}
	Subject(const Subject &) = delete;
	~Subject()
	{
		std::error_code error;

		end();
		std::filesystem::remove_all(dir_, error);
	}

	int error() const { return error_; }
	pid_t first() const { return first_; }
	const std::string &images() const { return dir_; }
	std::string log(const std::string &action) const { return dir_ + "/" + action + ".log"; }
	Processes processes() const { return Processes(first_); }

	/*
	 * Each returns CRIU's status. After a dump all processes are gone, and after a restore
	 * that has failed; -1 if some of that stay.
	 */
	int dump()
	{
		std::vector<std::string> args = { "-t", std::to_string(first_) };

		if (ns_.valid())
			args.insert(args.end(), { "--external", external_ });
		return dump_by([&] { return run("dump", args); });
	}
	/* The same by somebody else, who returns its status. */
	template <typename Fn> int dump_by(Fn fn)
	{
		const std::vector<Fd> all = open_all();

		numbers_.clear();
		for (pid_t pid : processes().pids)
			numbers_.push_back(own_number(pid));
		const int status = fn();

		if (!status)
			reap(all);
		return status;
	}
	int restore()
	{
		const std::string pidfile = dir_ + "/pid";

		/* CRIU does not overwrite it. */
		unlink(pidfile.c_str());
		std::vector<std::string> args = { "-d", "--pidfile", pidfile };
		if (ns_.valid())
			args.insert(args.end(), { "--inherit-fd",
						  "fd[" + std::to_string(inherited_fd) + "]:pod" });
		const int status = run("restore", args);
		if (!status)
			first_ = read_number(pidfile);
		else if (!end_remains())
			return -1;
		return status;
	}

	/* Somebody else has restored it. */
	void has_come_back_as(pid_t first) { first_ = first; }

	/* Kills all processes. */
	void end()
	{
		const std::vector<Fd> all = open_all();

		for (const Fd &pidfd : all)
			syscall(__NR_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
		reap(all);
	}

private:
	std::string ready() const { return dir_ + "/ready"; }

	int exec_workload(const std::string &name) const
	{
		if (terminal_)
			setpgid(0, 0);
		else
			setsid();
		const Fd input(open("/dev/null", O_RDWR));
		for (int fd : { 0, 1, 2 })
			dup2((terminal_ ? *terminal_ : input).get(), fd);
		syscall(__NR_close_range, 3U, ~0U, 0);
		execl("/proc/self/exe", "workload", "--workload", name.c_str(), ready().c_str(),
		      nullptr);
		return 127;
	}
	int run(const std::string &action, std::vector<std::string> args) const
	{
		args.insert(args.begin(), action);
		if (terminal_)
			args.push_back("--shell-job");
		return run_criu(dir_, args, terminal_, ns_.valid() ? &ns_ : nullptr);
	}
	std::vector<Fd> open_all() const
	{
		std::vector<Fd> all;

		for (pid_t pid : first_ > 0 ? Processes(first_).pids : Pids{})
			all.emplace_back(syscall(__NR_pidfd_open, pid, 0));
		return all;
	}
	/* Whoever has lost its parent is a child of the test. */
	static void reap(const std::vector<Fd> &all)
	{
		for (const Fd &pidfd : all) {
			struct pollfd exit = { pidfd.get(), POLLIN, 0 };

			poll(&exit, 1, pidfd.valid() ? limit_ms : 0);
		}
		reap();
	}
	static void reap()
	{
		while (waitpid(-1, nullptr, WNOHANG | __WALL) > 0)
			;
	}
	/*
	 * Kills what a restore that failed had made so far. CRIU does that itself, but not at
	 * once, and 3.17.1 sometimes forgets one, which waits for ever. Parents come first:
	 * whoever is gone creates nobody any more.
	 */
	bool end_remains() const
	{
		return wait_until([&] {
			bool gone = true;

			reap();
			for (pid_t number : numbers_)
				gone &= ns_.valid() ? gone_from_pod(number) :
						      gone_from_here(number);
			return gone;
		});
	}
	/* A PID that is in use, but not by a process, is that of a group or about to be freed. */
	static bool gone_from_here(pid_t pid)
	{
		return !pid_in_use(pid) || (!is_remains(pid) && !comm(pid).empty());
	}
	static bool gone_from_pod(pid_t number)
	{
		for (pid_t pid : entries("/proc"))
			if (own_number(pid) == number && is_remains(pid))
				return false;
		return true;
	}
	/* Then it is killed: CRIU still, or the workload again. */
	static bool is_remains(pid_t pid)
	{
		const std::string name = comm(pid);

		return (name == "criu\n" || name == "workload\n") && !kill(pid, SIGKILL);
	}
	static std::string comm(pid_t pid)
	{
		return read_file("/proc/" + std::to_string(pid) + "/comm");
	}

	const Fd *terminal_;
	Fd ns_; /* that is there before; closed if there is none */
	std::string dir_, external_;
	int error_ = 0;
	pid_t first_ = 0;
	Pids numbers_; /* of the last dump, in their own namespace */
};

#endif /* SET_TID_LIB_CRIU_SUBJECT_HPP */
