/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stacks for children that share the memory of their creator.
 */
#ifndef SET_TID_LIB_STACK_HPP
#define SET_TID_LIB_STACK_HPP

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <atomic>
#include <functional>
#include <memory>

#include "process.hpp"

class Stack {
public:
	static constexpr size_t size = size_t{ 256 } * 1024;

	Stack()
		: base_(mmap(nullptr, size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0))
	{
		if (base_ == MAP_FAILED)
			abort();
	}
	Stack(const Stack &) = delete;
	~Stack() { munmap(base_, size); }
	uint64_t base() const { return reinterpret_cast<uintptr_t>(base_); }

private:
	void *base_;
};

namespace detail
{
/* The function of a child that shares its creator's memory, and its stack. */
struct SharedRun {
	std::function<int()> fn;
	Stack stack;
	bool thread = false;
	std::atomic<int> alive = 1; /* CLONE_CHILD_CLEARTID clears it */
	std::shared_ptr<SharedRun> kept; /* itself, if nobody else keeps it */

	/* Below it is no frame that an exception could pass. */
	static int enter(void *self) noexcept
	{
		SharedRun *run = static_cast<SharedRun *>(self);

		if (!run->thread)
			die_with_parent();
		return run->fn();
	}
};
} // namespace detail

#endif /* SET_TID_LIB_STACK_HPP */
