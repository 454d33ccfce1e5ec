/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Makes the calls, the same way in an actor that is alone and in several workers.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_CALLER_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_CALLER_HPP

#include "../model/rules.hpp"
#include "child.hpp"
#include "../clock.hpp"
#include "../pids.hpp"
#include "../proc.hpp"
#include "../stack.hpp"
#include "../syscall.hpp"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace model
{
/*
 * Makes a call and waits for its result. With a table it writes there which PIDs
 * it has and requests, and reads what others had meanwhile.
 */
class Caller {
public:
	Caller(Table *table, int worker) : table_(table), worker_(worker) {}

	clone_args args(const Call &c) { return arguments(c, memory_, stack_.base()); }

	/* Returns what is wrong, as far as it can be seen without a prediction. */
	std::string make(const Model &m, const Actor &a, const Call &c, Result &result)
	{
		const clone_args args = this->args(c);
		const Pids asked = requested(c, visible(c, args));
		const auto watched = start_asking(m, a, c, asked);
		Started started = { c.role, &result };
		std::string wrong;

		result.ret = call_kernel(c, args, started);
		/* It has had its PIDs, if only for a moment. */
		if (result.ret > 0 || result.ret == -EFAULT || result.ret == -EBADF) {
			for (const Watched &number : watched)
				number.pid->successes++;
		}
		if (result.ret > 0)
			wrong = finish(m, a, c, watched, result);
		const bool stays = result.ret > 0 &&
				   (c.flags & CLONE_PARENT || c.role == Role::init);
		const bool meanwhile = stop_asking(watched, stays);
		if (result.ret == -EEXIST && !watched.empty() && !meanwhile) {
			/* Without the PIDs that others may have: is one still in use? */
			Model alone = m;

			alone.shares.contended_count = 0;
			if (!claim(alone, m.levels(a.target), asked, c.flags & CLONE_NEWPID)
				     .count(EEXIST))
				wrong = "a PID is in use that nobody has had meanwhile";
		}
		return wrong;
	}

	/* Enters these PIDs in the table: no PID has two holders. */
	std::string mark(const Model &m, int target, const Pids &pids)
	{
		std::string wrong;

		each(m, target, pids, [&](int space, pid_t pid) {
			const int other = table_->holder[space][pid].exchange(worker_ + 1);

			if (other)
				wrong = "worker " + std::to_string(other - 1) + " has PID " +
					std::to_string(pid) + " in namespace " +
					std::to_string(space) + ", too";
		});
		return wrong;
	}
	void unmark(const Model &m, int target, const Pids &pids)
	{
		each(m, target, pids,
		     [&](int space, pid_t pid) { table_->holder[space][pid] = 0; });
	}

	/* A child that stayed has been reaped. */
	void reaped(const Model &m, int target, const Pids &pids)
	{
		each(m, target, pids, [&](int space, pid_t pid) {
			if (m.shares.is_contended(pid))
				--table_->contended[space][pid - m.shares.contended].asking;
		});
	}

private:
	/* A PID of a request that others may have, and what was known before the call. */
	struct Watched {
		Contended *pid;
		int asking, successes;
	};

	std::vector<Watched> start_asking(const Model &m, const Actor &a, const Call &c,
					  const Pids &asked)
	{
		std::vector<Watched> watched;
		size_t i = c.flags & CLONE_NEWPID ? 1 : 0;

		for (int space : m.levels(a.target)) {
			if (i < asked.size() && table_ && m.shares.is_contended(asked[i])) {
				Contended &pid =
					table_->contended[space][asked[i] - m.shares.contended];
				const int asking = pid.asking++;

				watched.push_back({ &pid, asking, pid.successes });
			}
			i++;
		}
		return watched;
	}
	/* Returns whether anybody else may have had one of the PIDs meanwhile. */
	static bool stop_asking(const std::vector<Watched> &watched, bool stays)
	{
		bool meanwhile = false;

		for (const Watched &before : watched) {
			/* A child that stays has the PID until it is released. */
			const int others = stays ? 0 : --before.pid->asking;

			meanwhile = meanwhile || before.asking || others ||
				    before.successes != before.pid->successes;
		}
		return meanwhile;
	}

	/* A child that shares the memory reads started until it has ended. */
	static long call_kernel(const Call &c, const clone_args &args, Started &started)
	{
		alignas(clone_args) char large[8192] = {};

		memcpy(large, &args, sizeof(args));
		large[sizeof(args)] = c.tail;
		const long ret = c.flags & CLONE_VM ?
					 sys_clone3_on_stack(large, c.size, child_main, &started) :
					 sys_clone3(large, c.size);
		if (!ret)
			_exit(child_main(&started));
		return ret;
	}

	/* Calls fn() for each of the PIDs that several workers can see. */
	template <typename Fn> void each(const Model &m, int target, const Pids &pids, Fn fn)
	{
		size_t i = 0;

		for (int space : m.levels(target)) {
			if (table_ && i < pids.size() && m.spaces[space].state == PidNs::alive &&
			    !m.spaces[space].private_to_actor && space < max_spaces &&
			    pids[i] > 0 && pids[i] < table_size)
				fn(space, pids[i]);
			i++;
		}
	}

	/* Waits until the child has reported and, unless it stays, its PIDs are free again. */
	std::string finish(const Model &m, const Actor &a, const Call &c,
			   const std::vector<Watched> &watched, Result &result)
	{
		const bool sibling = c.flags & CLONE_PARENT, thread = c.flags & CLONE_THREAD;
		const bool leads = sibling && (c.role == Role::group || c.role == Role::session);
		const pid_t pid = result.ret;
		std::string wrong;

		if (c.flags & CLONE_PIDFD)
			close(memory_.pidfd);
		while (!result.child.count || (leads && !result.member.count))
			sched_yield();
		Pids got = result.child.get();
		if (c.flags & CLONE_NEWPID && !got.empty())
			got.erase(got.begin());
		wrong = mark(m, a.target, got);
		if (leads && wrong.empty())
			wrong = mark(m, a.target, result.member.get());
		if (sibling || c.role == Role::init)
			return wrong;

		unmark(m, a.target, got);
		if (thread) {
			end_thread(pid, watched, result);
		} else {
			while (waitpid(pid, nullptr, __WALL) < 0 && errno == EINTR)
				;
		}
		return wrong;
	}

	/*
	 * Nobody reaps a thread: it frees its PIDs a moment after it can no longer be found,
	 * all of them at once. From then on somebody else may have one of them, a worker one
	 * that all request, or a stranger an automatic one.
	 */
	static void end_thread(pid_t tid, const std::vector<Watched> &watched, Result &result)
	{
		std::vector<int> successes;
		auto others_have_one = [&] {
			for (size_t i = 0; i < watched.size(); i++) {
				if (watched[i].pid->successes != successes[i])
					return true;
			}
			return false;
		};

		for (const Watched &number : watched)
			successes.push_back(number.pid->successes);
		result.go = 1;
		while (!syscall(__NR_tgkill, getpid(), tid, 0))
			sched_yield();
		const uint64_t end = now_ns() + 1000000000;
		while (pid_in_use(tid) && !others_have_one() && now_ns() < end)
			sched_yield();
	}

	Table *table_;
	int worker_;
	Stack stack_;
	Memory memory_;
};

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_CALLER_HPP */
