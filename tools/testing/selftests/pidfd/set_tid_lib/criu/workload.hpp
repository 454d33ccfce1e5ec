/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For the tests with CRIU: the processes that are dumped. The test runs itself as one of
 * these workloads.
 */
#ifndef SET_TID_LIB_CRIU_WORKLOAD_HPP
#define SET_TID_LIB_CRIU_WORKLOAD_HPP

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <string>

/* Counts the processes that have got to where they stay. */
class Arrivals {
public:
	Arrivals()
	{
		if (pipe(fds_))
			abort();
	}
	/* Once in each process. */
	void here() const
	{
		if (write(fds_[1], "", 1) != 1)
			abort();
		close(fds_[0]);
		close(fds_[1]);
	}
	void wait(int count) const
	{
		char byte;

		while (count--)
			if (read(fds_[0], &byte, 1) != 1)
				abort();
	}

private:
	int fds_[2];
};

[[noreturn]] inline void stay()
{
	for (;;)
		pause();
}

/* A child that stays after fn(). */
template <typename Fn> inline pid_t fork_child(Fn fn)
{
	const pid_t pid = fork();

	if (pid < 0)
		abort();
	if (!pid) {
		fn();
		stay();
	}
	return pid;
}

inline void leave_a_zombie()
{
	const pid_t pid = fork();
	siginfo_t info;

	if (!pid)
		_exit(7);
	waitid(P_PID, pid, &info, WEXITED | WNOWAIT);
}

inline void start_threads(int count)
{
	while (count--) {
		pthread_t thread;

		if (pthread_create(
			    &thread, nullptr, [](void *) -> void * { stay(); }, nullptr))
			abort();
	}
}

/* Three process groups of three. */
inline void tree(const Arrivals &arrivals)
{
	for (int i = 0; i < 3; i++) {
		fork_child([&] {
			setpgid(0, 0);
			fork_child([&] { arrivals.here(); });
			fork_child([&] { arrivals.here(); });
			arrivals.here();
		});
	}
	arrivals.wait(9);
}

/* Of which one belongs to a child. */
inline void threads(const Arrivals &arrivals)
{
	start_threads(4);
	fork_child([&] {
		start_threads(1);
		arrivals.here();
	});
	arrivals.wait(1);
}

inline void zombies(const Arrivals &arrivals)
{
	leave_a_zombie();
	leave_a_zombie();
	fork_child([&] {
		leave_a_zombie();
		arrivals.here();
	});
	arrivals.wait(1);
}

/* What its leader left behind belongs to init; one has a group of its own. */
inline void session_without_leader(const Arrivals &arrivals)
{
	const pid_t leader = fork();

	if (!leader) {
		setsid();
		fork_child([&] { arrivals.here(); });
		fork_child([&] {
			setpgid(0, 0);
			arrivals.here();
		});
		_exit(0);
	}
	arrivals.wait(2);
	waitpid(leader, nullptr, 0);
}

/* An init with threads, sessions and a grandchild. */
inline void pid_namespace(const Arrivals &arrivals)
{
	start_threads(2);
	fork_child([&] {
		setsid();
		fork_child([&] { arrivals.here(); });
		arrivals.here();
	});
	fork_child([&] {
		start_threads(1);
		arrivals.here();
	});
	arrivals.wait(3);
}

/* 200 with the first. */
inline void many(const Arrivals &arrivals)
{
	for (int i = 0; i < 9; i++)
		fork_child([&] { arrivals.here(); });
	for (int i = 0; i < 10; i++) {
		fork_child([&] {
			for (int j = 0; j < 18; j++)
				fork_child([&] { arrivals.here(); });
			arrivals.here();
		});
	}
	arrivals.wait(9 + 10 * 19);
}

/* 40 with the first. */
inline void forty(const Arrivals &arrivals)
{
	for (int i = 0; i < 39; i++)
		fork_child([&] { arrivals.here(); });
	arrivals.wait(39);
}

/* 120 with the first: they are restored so fast that with fewer nobody gets in between. */
inline void many_threads(const Arrivals &)
{
	start_threads(119);
}

/* A container in a container: an init with two children. */
inline void nested(const Arrivals &arrivals)
{
	if (unshare(CLONE_NEWPID))
		abort();
	fork_child([&] {
		fork_child([&] { arrivals.here(); });
		fork_child([&] { arrivals.here(); });
		arrivals.here();
	});
	arrivals.wait(3);
}

inline void pair(const Arrivals &arrivals)
{
	fork_child([&] { arrivals.here(); });
	arrivals.wait(1);
}

/* One thread goes on where the process is a zombie. */
inline void exited_leader(const Arrivals &)
{
	start_threads(1);
}

struct Workload {
	void (*build)(const Arrivals &);
	size_t processes; /* zombies included */
	size_t threads; /* besides the first of each process */
	uint64_t flags;
};

inline const std::map<std::string, Workload> workloads = {
	{ "tree", { tree, 10, 0, 0 } },
	{ "threads", { threads, 2, 5, 0 } },
	{ "exited_leader", { exited_leader, 1, 1, 0 } },
	{ "zombies", { zombies, 5, 0, 0 } },
	{ "session_without_leader", { session_without_leader, 3, 0, CLONE_NEWPID } },
	{ "pid_namespace", { pid_namespace, 4, 3, CLONE_NEWPID } },
	{ "many", { many, 200, 0, 0 } },
	{ "forty", { forty, 40, 0, 0 } },
	{ "many_threads", { many_threads, 1, 119, 0 } },
	{ "nested", { nested, 4, 0, 0 } },
	{ "shell_job", { pair, 2, 0, 0 } },
};

/* main() of a workload: builds, creates the file ready, and stays. */
inline int run_workload(const std::string &name, const char *ready)
{
	prctl(PR_SET_NAME, "workload");
	{
		const Arrivals arrivals;

		workloads.at(name).build(arrivals);
		arrivals.here();
	}
	close(open(ready, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	if (name == "exited_leader")
		syscall(__NR_exit, 0);
	stay();
}

#endif /* SET_TID_LIB_CRIU_WORKLOAD_HPP */
