/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Threads that clone3() has created.
 */
#ifndef SET_TID_LIB_THREAD_HPP
#define SET_TID_LIB_THREAD_HPP

#include <linux/futex.h>
#include <sys/types.h>
#include <unistd.h>

#include <exception>
#include <memory>
#include <utility>

#include "stack.hpp"
#include "syscall.hpp"

/* A thread of this process, created by clone3(). Its function must return. */
class Thread {
public:
	Thread() = default;
	Thread(pid_t tid, std::shared_ptr<detail::SharedRun> run) : tid_(tid), run_(std::move(run))
	{
	}
	Thread(Thread &&) = default;
	Thread &operator=(Thread &&other) noexcept
	{
		std::swap(tid_, other.tid_);
		std::swap(run_, other.run_);
		return *this;
	}
	~Thread()
	{
		/*
		 * After a failed ASSERT nobody may let the thread go on. Leave it its
		 * stack: the process is about to exit.
		 */
		if (std::uncaught_exceptions() && run_)
			run_->kept = run_;
		else
			join();
	}
	pid_t tid() const { return tid_; }
	void join()
	{
		while (run_ && run_->alive)
			syscall(__NR_futex, &run_->alive, FUTEX_WAIT, 1, nullptr, nullptr, 0);
		run_.reset();
	}

private:
	pid_t tid_ = 0;
	std::shared_ptr<detail::SharedRun> run_;
};

struct StartedThread {
	Thread thread;
	int error = 0;
};

#endif /* SET_TID_LIB_THREAD_HPP */
