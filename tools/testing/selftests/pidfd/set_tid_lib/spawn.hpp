/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Calls of clone3() with a structure that the caller has filled in.
 */
#ifndef SET_TID_LIB_SPAWN_HPP
#define SET_TID_LIB_SPAWN_HPP

#include <stddef.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "process.hpp"
#include "stack.hpp"
#include "syscall.hpp"

/* The result of a request: a child, or an errno. */
struct Spawned {
	Child child;
	int error = 0;
};

namespace detail
{
/*
 * All that a child runs. An exception (an ASSERT that uses the creator's _metadata)
 * must not get out: the stack below is a copy of the creator's, and the destructors
 * of the objects there would kill the creator's other children.
 */
template <typename Fn> int run_child(Fn &fn) noexcept
{
	die_with_parent();
	return fn();
}
} // namespace detail

/*
 * Makes the call with args as they are. The child runs fn() and exits with what
 * fn() returns. With CLONE_VM it gets a stack, unless args has one.
 */
template <typename Fn>
Spawned spawn(const clone_args &args, Fn fn, size_t size = sizeof(clone_args))
{
	if (args.flags & CLONE_VM) {
		auto run = std::make_shared<detail::SharedRun>();
		clone_args with_stack = args;

		run->fn = std::move(fn);
		if (!args.stack) {
			with_stack.stack = run->stack.base();
			with_stack.stack_size = Stack::size;
		}
		const long pid =
			sys_clone3_on_stack(&with_stack, size, detail::SharedRun::enter, run.get());
		if (pid < 0)
			return { {}, static_cast<int>(-pid) };
		Spawned spawned = { Child(pid), 0 };
		spawned.child.keep(std::move(run));
		return spawned;
	}

	const long pid = sys_clone3(&args, size);

	if (pid < 0)
		return { {}, static_cast<int>(-pid) };
	if (!pid)
		_exit(detail::run_child(fn));
	return { Child(pid), 0 };
}

/*
 * Makes the call with a structure of any size and shape and returns its errno
 * or 0. Not for CLONE_VM: see Request::attempt().
 */
inline int attempt(const void *args, size_t size)
{
	const long pid = sys_clone3(args, size);

	if (pid < 0)
		return static_cast<int>(-pid);
	if (!pid)
		_exit(0);
	Child(pid).wait();
	return 0;
}

#endif /* SET_TID_LIB_SPAWN_HPP */
