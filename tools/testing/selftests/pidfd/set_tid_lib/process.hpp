/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Children, and how they end.
 */
#ifndef SET_TID_LIB_PROCESS_HPP
#define SET_TID_LIB_PROCESS_HPP

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <utility>
#include <vector>

#include "clock.hpp"
#include "fd.hpp"
#include "syscall.hpp"

struct ExitStatus {
	int code = -1; /* what the child exited with, or -1 */
	int signal = 0; /* what killed it, or 0 */
	int error = 0; /* why it could not be waited for, or 0 */
};

/*
 * A child that is killed and reaped at the end of the scope. It has the PID that
 * its creator sees, and a pidfd.
 */
class Child {
public:
	Child() = default;
	explicit Child(pid_t pid) : Child(pid, Fd(syscall(__NR_pidfd_open, pid, 0))) {}
	Child(pid_t pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
	Child(Child &&other) noexcept
		: pid_(std::exchange(other.pid_, 0)), pidfd_(std::move(other.pidfd_)),
		  keep_(std::move(other.keep_))
	{
	}
	Child &operator=(Child &&other) noexcept
	{
		std::swap(pid_, other.pid_);
		std::swap(pidfd_, other.pidfd_);
		std::swap(keep_, other.keep_);
		return *this;
	}
	~Child() { end(); }

	pid_t pid() const { return pid_; }
	const Fd &pidfd() const { return pidfd_; }
	bool valid() const { return pid_ > 0; }

	int kill(int signal = SIGKILL) const
	{
		if (syscall(__NR_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0))
			return errno;
		return 0;
	}

	/* Waits until the child has ended, and reaps it. */
	ExitStatus wait()
	{
		const ExitStatus status = wait_for(0);

		if (!status.error)
			pid_ = 0;
		return status;
	}

	/* Waits until the child has ended, and leaves a zombie. */
	ExitStatus wait_zombie() { return wait_for(WNOWAIT); }

	/* Kills, reaps, forgets. */
	void end()
	{
		if (valid()) {
			kill();
			wait();
		}
		release();
	}

	/* Forgets the child: the caller, or nobody, kills and reaps it. */
	void release()
	{
		pid_ = 0;
		pidfd_.reset();
		keep_.clear();
	}

	/* Keeps something alive for as long as the child may use it. */
	void keep(std::shared_ptr<void> what) { keep_.push_back(std::move(what)); }

private:
	ExitStatus wait_for(int flags)
	{
		siginfo_t info = {};
		ExitStatus status;
		int ret;

		do {
			ret = waitid(static_cast<idtype_t>(3 /* P_PIDFD */), pidfd_.get(), &info,
				     WEXITED | __WALL | flags);
		} while (ret && errno == EINTR);

		if (ret)
			status.error = errno;
		else if (info.si_code == CLD_EXITED)
			status.code = info.si_status;
		else
			status.signal = info.si_status;
		return status;
	}

	pid_t pid_ = 0;
	Fd pidfd_;
	std::vector<std::shared_ptr<void>> keep_;
};

/* Waits for the exit of any process, not only a child; false if that takes too long. */
inline bool exits_within(const Fd &pidfd, int milliseconds)
{
	struct pollfd exit = { pidfd.get(), POLLIN, 0 };

	return poll(&exit, 1, milliseconds) > 0;
}

inline bool exits_within(const Child &child, int milliseconds)
{
	return exits_within(child.pidfd(), milliseconds);
}

/* Waits until a child has ended, and reaps it. One that does not is killed. */
inline ExitStatus wait_or_kill(Child &child)
{
	if (!exits_within(child, limit_ms))
		child.kill();
	return child.wait();
}

inline void die_with_parent()
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

inline Fd own_pidfd()
{
	return Fd(syscall(__NR_pidfd_open, getpid(), 0));
}

/*
 * The body of a child that sleeps until the process of a pidfd has ended. That
 * works where PR_SET_PDEATHSIG does not: the process may have died before the
 * child could set it, and getppid() does not show that to an init. As the init
 * of a namespace the child leaves no zombies. It keeps no descriptors open, so
 * nobody who reads from a pipe waits for it.
 */
inline int sleep_beside(int pidfd)
{
	struct pollfd exit = {};

	signal(SIGCHLD, SIG_IGN);
	unshare(CLONE_FILES);
	exit.fd = dup2(pidfd, 0);
	exit.events = POLLIN;
	syscall(__NR_close_range, exit.fd + 1U, ~0U, 0);
	while (poll(&exit, 1, -1) < 1)
		;
	return 0;
}

#endif /* SET_TID_LIB_PROCESS_HPP */
