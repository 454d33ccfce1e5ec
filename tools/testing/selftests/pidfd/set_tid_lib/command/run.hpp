/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For the tests of the command set_tid: running it, with a seccomp filter that answers
 * in place of the kernel if a test wants that.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_RUN_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_RUN_HPP

#include "../clock.hpp"
#include "../errno.hpp"
#include "../fd.hpp"
#include "../process.hpp"
#include "../request.hpp"
#include "../requirement.hpp"
#include "../shared.hpp"
#include "../spawn.hpp"
#include "../syscall.hpp"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

/* The one that is installed beside this program, 32-bit like it. */
inline std::string command_path()
{
	char path[4096] = {};

	if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
		return "";
	const std::string self = path;
	return self.substr(0, self.rfind('/')) +
	       (self.ends_with("_32") ? "/set_tid_32" : "/set_tid");
}

namespace need
{
inline const char *command()
{
	return access(command_path().c_str(), X_OK) ? "needs the command set_tid beside it" :
						      root();
}
} // namespace need

/* From now on a system call is answered by a filter, in this process and its children. */
inline int filter_call(int nr, uint32_t answer, int flags = 0)
{
	sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(nr), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, answer),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const sock_fprog program = { std::size(code), code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

/* As container runtimes do it. Returns 0 or an errno. */
inline int hide_call(int nr, int error)
{
	return filter_call(nr, SECCOMP_RET_ERRNO | error) < 0 ? errno : 0;
}

struct Ran {
	int status; /* as the shell has it */
	std::string out, err;
};

/* Whose system call it is, and the how-manieth; returns the answer, or 0 for the kernel's. */
using Answer = std::function<int(int nth, pid_t caller)>;

class Command {
public:
	explicit Command(std::vector<std::string> args)
		: args_(std::move(args)), path_(command_path())
	{
	}

	/* What the process does before it becomes the command; returns 0 or an errno. */
	Command &before(std::function<int()> fn)
	{
		before_ = std::move(fn);
		return *this;
	}
	/* What it reads from standard input; nothing, if this is not given. */
	Command &input(std::string text)
	{
		input_ = std::move(text);
		return *this;
	}
	/* Have one of its system calls answered, also for the processes that it makes. */
	Command &answered(int nr, Answer answer)
	{
		nr_ = nr;
		answer_ = std::move(answer);
		return *this;
	}
	Command &answered(int nr, std::vector<int> errors)
	{
		return answered(nr, [errors = std::move(errors)](int nth, pid_t) {
			return nth < static_cast<int>(errors.size()) ? errors[nth] : 0;
		});
	}

	Ran run() const
	{
		const Fd out(memfd_create("out", MFD_CLOEXEC)),
			err(memfd_create("err", MFD_CLOEXEC));
		const Shared<std::atomic<int>> listener;
		*listener = -1;
		/* The listener comes through the table of descriptors. */
		Spawned task = Request{}.flags(CLONE_FILES).spawn([&] {
			return become(out, err, *listener);
		});

		if (task.error)
			return { -1, "", errno_name(task.error) };
		if (answer_ &&
		    wait_until([&] { return *listener >= 0 || exits_within(task.child, 0); }))
			answer_calls(task.child, Fd(*listener));
		const ExitStatus status = wait_or_kill(task.child);
		return { status.signal ? 128 + status.signal : status.code, text(out), text(err) };
	}

private:
	int become(const Fd &out, const Fd &err, std::atomic<int> &listener) const
	{
		std::vector<char *> argv = { const_cast<char *>("set_tid") };
		int error = before_ ? before_() : 0;

		if (!error && answer_) {
			const int fd = filter_call(nr_, SECCOMP_RET_USER_NOTIF,
						   SECCOMP_FILTER_FLAG_NEW_LISTENER);
			error = fd < 0 ? errno : 0;
			listener = fd;
		}
		/* The test's own stay as they are. */
		syscall(__NR_close_range, 3, ~0U, CLOSE_RANGE_UNSHARE | 4 /* CLOEXEC */);
		dup2(standard_input(), 0);
		dup2(out.get(), 1);
		dup2(err.get(), 2);
		if (error) {
			dprintf(2, "before the command: %s\n", errno_name(error));
			return 1;
		}
		for (const std::string &arg : args_)
			argv.push_back(const_cast<char *>(arg.c_str()));
		argv.push_back(nullptr);
		execv(path_.c_str(), argv.data());
		dprintf(2, "the command: %s\n", errno_name(errno));
		return 1;
	}

	void answer_calls(const Child &command, const Fd &listener) const
	{
		const uint64_t end = now_ns() + uint64_t{ limit_ms } * 1000000;
		struct pollfd events[] = { { listener.get(), POLLIN, 0 },
					   { command.pidfd().get(), POLLIN, 0 } };

		for (int nth = 0; now_ns() < end;) {
			seccomp_notif call = {};
			seccomp_notif_resp answer = {};

			poll(events, 2, limit_ms);
			if (events[1].revents)
				return;
			if (!(events[0].revents & POLLIN) ||
			    ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_RECV, &call))
				continue;
			answer.id = call.id;
			answer.error = -answer_(nth++, call.pid);
			if (!answer.error)
				answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
			ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_SEND, &answer);
		}
	}

	int standard_input() const
	{
		/* answered() counts what is called from here on, too. */
		if (input_.empty())
			return open("/dev/null", O_RDONLY | O_CLOEXEC);
		const int fd = memfd_create("in", MFD_CLOEXEC);
		if (write(fd, input_.data(), input_.size()) >= 0)
			lseek(fd, 0, SEEK_SET);
		return fd;
	}

	/* Without /proc, which a test may have taken away. */
	static std::string text(const Fd &file)
	{
		std::string text(lseek(file.get(), 0, SEEK_END), 0);

		text.resize(std::max<ssize_t>(0, pread(file.get(), text.data(), text.size(), 0)));
		return text;
	}

	const std::vector<std::string> args_;
	const std::string path_;
	std::string input_;
	std::function<int()> before_;
	Answer answer_;
	int nr_ = 0;
};

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_RUN_HPP */
