/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For tests: a call that is stopped between its claim and the birth of the child.
 */
#ifndef SET_TID_LIB_PAUSED_CALL_HPP
#define SET_TID_LIB_PAUSED_CALL_HPP

#include <errno.h>
#include <linux/userfaultfd.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <utility>

#include "clock.hpp"
#include "fd.hpp"
#include "pids.hpp"
#include "process.hpp"
#include "request.hpp"
#include "shared.hpp"

namespace need
{
inline const char *userfaultfd()
{
	const Fd fd(syscall(__NR_userfaultfd, O_CLOEXEC));

	return fd.valid() ? nullptr : "needs CONFIG_USERFAULTFD, and the right to use it";
}
} // namespace need

/*
 * A clone3() that is paused between its claim and the birth of the child: it
 * stores the pidfd in a page that is missing until finish() (userfaultfd). The
 * caller is a process outside of the namespace that it creates the child in.
 */
class PausedCall {
public:
	/* Returns when the call is paused, or has returned. */
	PausedCall(const Fd &target, const Pids &pids)
	{
		auto body = [&] {
			if (!offer_page() || setns(target.get(), CLONE_NEWPID)) {
				state_->result = errno;
				return 1;
			}
			Request request;

			request.flags(CLONE_PIDFD).raw().pidfd = state_->page;
			state_->result = request.pids(pids).attempt();
			return 0;
		};
		/* With the descriptors, but not the memory, of the test. */
		caller_ = std::move(Request{}.flags(CLONE_FILES).spawn(body).child);

		struct pollfd events[] = { { caller_.pidfd().get(), POLLIN, 0 }, {} };
		wait_until([&] { return state_->uffd >= 0 || poll(events, 1, 0); });
		uffd_ = Fd(state_->uffd);
		events[1] = { uffd_.get(), POLLIN, 0 };
		poll(events, 2, limit_ms);
		paused_ = events[1].revents & POLLIN;
	}

	bool paused() const { return paused_; }
	Child &caller() { return caller_; }

	/* Lets the call go on. Returns its errno or 0. */
	int finish()
	{
		struct uffdio_zeropage zero = {};

		zero.range.start = state_->page;
		zero.range.len = sysconf(_SC_PAGESIZE);
		ioctl(uffd_.get(), UFFDIO_ZEROPAGE, &zero);
		if (!exits_within(caller_, limit_ms))
			return ETIMEDOUT;
		caller_.wait();
		return state_->result;
	}

private:
	struct State {
		std::atomic<int> uffd = -1;
		uint64_t page = 0;
		std::atomic<int> result = -1;
	};

	bool offer_page()
	{
		const size_t size = sysconf(_SC_PAGESIZE);
		void *page = mmap(nullptr, size, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		const int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
		struct uffdio_api api = {};
		struct uffdio_register range = {};

		api.api = UFFD_API;
		range.range.start = reinterpret_cast<uintptr_t>(page);
		range.range.len = size;
		range.mode = UFFDIO_REGISTER_MODE_MISSING;
		state_->page = range.range.start;
		if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range))
			return false;
		state_->uffd = fd;
		return true;
	}

	const Shared<State> state_;
	Child caller_;
	Fd uffd_;
	bool paused_ = false;
};

#endif /* SET_TID_LIB_PAUSED_CALL_HPP */
