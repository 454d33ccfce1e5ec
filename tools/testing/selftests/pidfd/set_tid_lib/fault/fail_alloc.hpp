/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For tests: make allocations of the kernel fail.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_FAULT_FAIL_ALLOC_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_FAULT_FAIL_ALLOC_HPP

#include "../fd.hpp"
#include "../file.hpp"
#include "../pids.hpp"
#include "../process.hpp"
#include "../syscall.hpp"
#include "rseq.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

/*
 * Allocations of slab objects and of pages that fail. The settings are system-wide,
 * but apply only to tasks that opt in with /proc/self/fail-nth or make-it-fail: the
 * thread that makes this object, which has no restartable sequences from then on. The
 * destructor restores the settings.
 */
class FailAlloc {
public:
	FailAlloc()
	{
		unregister_rseq();
		for (auto of : { slab, page }) {
			set(of("task-filter"), "Y");
			set(of("verbose"), "0");
		}
	}
	FailAlloc(const FailAlloc &) = delete;
	~FailAlloc()
	{
		while (!saved_.empty()) {
			write_file(saved_.back().first, saved_.back().second);
			saved_.pop_back();
		}
	}
	void set(const std::string &path, std::string_view value)
	{
		saved_.emplace_back(path, read_file(path));
		/* If it fails, the test would test something else. */
		if (write_file(path, value))
			abort();
	}
	/* Allocations that may sleep can fail as well, and single pages. */
	void any_allocation()
	{
		for (auto of : { slab, page })
			set(of("ignore-gfp-wait"), "N");
		set(page("ignore-gfp-highmem"), "N");
		set(page("min-order"), "0");
	}
	/* All slab allocations of a task that opts in fail, but at most so many. */
	void all_of_slab(long times)
	{
		set(slab("interval"), "1");
		set(slab("times"), std::to_string(times));
		set(slab("probability"), "100");
	}

	static std::string slab(const std::string &name)
	{
		return "/sys/kernel/debug/failslab/" + name;
	}
	static std::string page(const std::string &name)
	{
		return "/sys/kernel/debug/fail_page_alloc/" + name;
	}

private:
	std::vector<std::pair<std::string, std::string>> saved_;
};

namespace need
{
inline const char *failing_allocations()
{
	return access(FailAlloc::slab("").c_str(), F_OK) ||
			       access(FailAlloc::page("").c_str(), F_OK) ||
			       access("/proc/self/fail-nth", F_OK) ?
		       "needs CONFIG_FAILSLAB and CONFIG_FAIL_PAGE_ALLOC with debugfs in /sys/kernel/debug" :
		       nullptr;
}
} // namespace need

/* A number in a file that is open already: access to it allocates nothing. */
class Knob {
public:
	explicit Knob(const std::string &path) : fd_(open(path.c_str(), O_RDWR | O_CLOEXEC)) {}

	void set(long value) const
	{
		char text[24];
		const int length = snprintf(text, sizeof(text), "%ld", value);

		if (write(fd_.get(), text, length) != length)
			abort();
	}
	long get() const
	{
		char text[24] = {};

		return pread(fd_.get(), text, sizeof(text) - 1, 0) > 0 ? atol(text) : -1;
	}

private:
	Fd fd_;
};

/*
 * Makes a call whose child exits at once. Nothing else happens between arm() and
 * disarm(). Returns the errno, or 0.
 */
template <typename Arm, typename Disarm>
int attempt_armed(const clone_args &args, Arm arm, Disarm disarm)
{
	arm();
	const long pid = sys_clone3(&args, sizeof(args));
	if (!pid)
		_exit(0);
	disarm();
	if (pid < 0)
		return -pid;
	Child(pid).wait();
	return 0;
}

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_FAULT_FAIL_ALLOC_HPP */
